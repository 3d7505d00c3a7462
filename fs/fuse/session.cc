// session.cc: see session.h.
#include "fs/fuse/session.h"

#include <malloc.h>
#include <poll.h>

#include <algorithm>
#include <thread>

namespace plyfs {
namespace {

constexpr uint32_t kPage = 4096;
constexpr uint32_t kLargestWrite = 1 << 20;

unsigned MaxThreads(unsigned asked) {
  if (asked != 0) return asked;
  return std::max(8u, 4 * std::thread::hardware_concurrency());
}

SessionOptions Normalised(SessionOptions options) {
  options.max_write = std::clamp(options.max_write / kPage * kPage, kPage, kLargestWrite);
  options.threads = MaxThreads(options.threads);
  return options;
}

}  // namespace

Session::Session(Overlay& overlay, UniqueFd device, const SessionOptions& options)
    : overlay_(overlay),
      options_(Normalised(options)),
      transport_(std::move(device)),
      dispatcher_(overlay, transport_,
                  {.capabilities = {.max_write = options_.max_write,
                                    .acl = options_.acl,
                                    .writeback = options_.writeback},
                   .validity = Validity::FromSeconds(options_.timeout),
                   .debug = options_.debug,
                   .control_text = options_.control_text}),
      workers_(
          transport_,
          {.max_threads = options_.threads,
           .poll_us = options_.poll_us,
           .max_payload = options_.max_write},
          [this](RequestBuffer& buffer, size_t length, RequestCounters& counters) {
            return dispatcher_.Dispatch(buffer, length, counters);
          },
          [this] {
            overlay_.TrimCaches();
            ::malloc_trim(0);
          }) {}

int Session::Run(const std::function<void()>& on_ready) {
  const int error = Initialise();
  if (error != 0 || !dispatcher_.initialised()) return error;
  return workers_.Run(on_ready);
}

// Answers INIT, which comes before every other request.
int Session::Initialise() {
  RequestBuffer buffer(options_.max_write);
  RequestCounters counters;
  while (!dispatcher_.initialised()) {
    pollfd events[] = {{.fd = transport_.fd(), .events = POLLIN, .revents = 0},
                       {.fd = workers_.stop_fd(), .events = POLLIN, .revents = 0}};
    ::poll(events, 2, -1);
    if (events[1].revents != 0) return 0;
    const Result<size_t> length = transport_.Receive(buffer.message());
    if (length.error() == EAGAIN) continue;
    if (!length.ok()) return length.error().value();
    dispatcher_.Dispatch(buffer, *length, counters);
  }
  return 0;
}

std::string Session::CountersLine() const {
  const OverlayCounters counters = overlay_.Counters();
  RequestCounters requests;
  const size_t threads = Collect(requests);
  return "threads=" + std::to_string(threads) + " " + requests.Line() + " nodes=" + std::to_string(counters.nodes) +
         " copied_up_files=" + std::to_string(counters.copied_up_files) +
         " copied_up_bytes=" + std::to_string(counters.copied_up_bytes) +
         " open_descriptors=" + std::to_string(counters.open_descriptors);
}

}  // namespace plyfs
