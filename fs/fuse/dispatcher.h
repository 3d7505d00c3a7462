// dispatcher.h: from a request's bytes to its reply.
// Not here: threads and waiting (workers.h), union semantics (fs/overlay).
// Thread safety: Dispatch may run in many threads at once after INIT was answered; INIT comes
// alone.
#pragma once

#include <atomic>
#include <span>
#include <string>

#include "fs/fuse/attr_codec.h"
#include "fs/fuse/capabilities.h"
#include "fs/fuse/counters.h"
#include "fs/fuse/reply_path.h"
#include "fs/fuse/request_buffer.h"
#include "fs/overlay/overlay.h"

namespace plyfs {

class OpenFiles;
class Reply;
class Request;

struct DispatcherOptions {
  CapabilityOptions capabilities;
  Validity validity;   // of entries, negative entries and attributes
  bool debug = false;  // one log line for each request
  std::string control_text;  // the answer to kControlIoctl
  OpenFiles* open_files = nullptr;  // with capabilities.passthrough
};

// A request as a transport has received it.
struct Arrival {
  std::span<const char> message;  // lies in `buffer`
  RequestBuffer& buffer;
  ReplyPath& reply_path;
};

class Dispatcher {
 public:
  Dispatcher(Overlay& overlay, const DispatcherOptions& options)
      : overlay_(overlay), options_(options) {}

  // Answers the request: decodes, calls the Overlay once, replies. Never throws. Returns how long
  // that took until the reply was sent, in nanoseconds.
  uint64_t Dispatch(const Arrival& arrival, RequestCounters& counters);

  // INIT was answered and the versions agree: other requests may come now.
  bool initialised() const { return initialised_.load(std::memory_order_acquire); }
  // What INIT agreed on; not before initialised().
  const Capabilities& agreed() const { return agreed_; }

 private:
  void Handle(Request& request, Reply& reply, RequestBuffer& buffer);
  Errno OnInit(Request& request, Reply& reply);

  Overlay& overlay_;
  const DispatcherOptions options_;
  Capabilities agreed_;  // written by INIT, before any other request
  std::atomic<bool> initialised_ = false;
};

}  // namespace plyfs
