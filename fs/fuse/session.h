// session.h: one mounted filesystem, served from INIT to unmount.
// Not here: mounting and unmounting, signals (fs/mount).
// Thread safety: Run is called once; Stop, CountersLine and Collect from any thread (Stop also from a signal
// handler).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "fs/base/unique_fd.h"
#include "fs/fuse/dev_transport.h"
#include "fs/fuse/dispatcher.h"
#include "fs/fuse/open_files.h"
#include "fs/fuse/uring_workers.h"
#include "fs/fuse/workers.h"
#include "fs/overlay/overlay.h"

namespace plyfs {

// How requests travel.
enum class Transport {
  kDev,    // read(2) and write(2) on /dev/fuse
  kUring,  // io_uring, a queue for each CPU; /dev/fuse where that is not offered
};

// How the data of files travels.
enum class IoMode {
  kCached,       // by way of this server, through the kernel's page cache
  kPassthrough,  // files of the upper: straight to its filesystem
};

struct SessionOptions {
  Transport transport = Transport::kDev;
  IoMode io = IoMode::kCached;
  // The most threads that serve requests; 0: as many as the machine can use. One is started, more
  // on demand.
  unsigned threads = 0;
  // How long the waiting thread looks for the next request before it sleeps, in microseconds; only
  // while requests keep coming within that time. 0: never.
  unsigned poll_us = 50;
  // The largest WRITE and READ, in bytes; rounded to pages, 4 KiB to 1 MiB.
  uint32_t max_write = 1 << 20;
  bool writeback = false;
  bool acl = true;
  // For how long the kernel believes entries, negative entries and attributes, in seconds.
  double timeout = 1e9;
  bool debug = false;  // log each request
  std::string control_text;  // the answer to kControlIoctl
};

class Session {
 public:
  // `device` is an open /dev/fuse on which a mount has been made. `overlay` outlives the Session.
  Session(Overlay& overlay, UniqueFd device, const SessionOptions& options);
  ~Session();

  // Serves until the filesystem is unmounted or Stop is called; then 0, else an errno. Calls
  // `on_ready` once, when INIT was answered and requests are being served.
  int Run(const std::function<void()>& on_ready);
  // Makes Run return soon although the filesystem is still mounted. Requests in work are finished.
  void Stop() { workers_.Stop(); }

  // One line: threads, requests by opcode with their mean times, and the Overlay's counters.
  std::string CountersLine() const;
  // The requests of all threads so far; how many threads there are.
  size_t Collect(RequestCounters& total) const;

 private:
  int Initialise();
  std::unique_ptr<UringWorkers> PrepareUring(unsigned threads);
  void OnIdle();

  Overlay& overlay_;
  const SessionOptions options_;
  DevTransport transport_;
  Workers workers_;
  const std::unique_ptr<UringWorkers> uring_;  // null unless there are rings for it
  const std::unique_ptr<OpenFiles> open_files_;  // null unless the option asks for passthrough
  Dispatcher dispatcher_;
};

}  // namespace plyfs
