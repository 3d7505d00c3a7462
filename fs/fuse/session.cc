// session.cc: see session.h.
#include "fs/fuse/session.h"

#include <malloc.h>
#include <poll.h>

#include <algorithm>
#include <thread>

#include "fs/base/log.h"

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
      workers_(
          transport_,
          {.max_threads = options_.threads,
           .poll_us = options_.poll_us,
           .max_payload = options_.max_write},
          [this](RequestBuffer& buffer, size_t length, RequestCounters& counters) {
            return dispatcher_.Dispatch({buffer.message().first(length), buffer, transport_},
                                        counters);
          },
          [this] { OnIdle(); }),
      uring_(PrepareUring(options.threads)),
      open_files_(options.io == IoMode::kPassthrough ? std::make_unique<OpenFiles>(overlay, transport_.fd()) : nullptr),
      dispatcher_(overlay,
                  {.capabilities = {.max_write = options_.max_write,
                                    .acl = options_.acl,
                                    .writeback = options_.writeback,
                                    .over_io_uring = uring_ != nullptr,
                                    .passthrough = open_files_ != nullptr,
                                    .stacked_upper = open_files_ != nullptr && overlay.UpperIsStacked()},
                   .validity = Validity::FromSeconds(options_.timeout),
                   .debug = options_.debug,
                   .control_text = options_.control_text,
                   .open_files = open_files_.get()}) {
  if (open_files_) overlay_.WatchWriters([files = open_files_.get()] { return files->Writers(); });
}

Session::~Session() {
  if (open_files_) overlay_.WatchWriters(nullptr);
}

void Session::OnIdle() {
  overlay_.TrimCaches();
  ::malloc_trim(0);
}

// Null unless the option asks for io_uring and rings can be had.
std::unique_ptr<UringWorkers> Session::PrepareUring(unsigned threads) {
  if (options_.transport != Transport::kUring) return nullptr;
  auto uring = std::make_unique<UringWorkers>(
      UringWorkersOptions{.threads = threads,
                          .max_payload = options_.max_write,
                          .stop_fd = workers_.stop_fd()},
      [this](const Arrival& arrival, RequestCounters& counters) {
        return dispatcher_.Dispatch(arrival, counters);
      },
      [this] { OnIdle(); });
  const Errno error = uring->Prepare();
  if (error.ok()) return uring;
  LogWarning("transport=uring: no io_uring (errno %d); going on with /dev/fuse", error.value());
  return nullptr;
}

int Session::Run(const std::function<void()>& on_ready) {
  const int error = Initialise();
  if (error != 0 || !dispatcher_.initialised()) return error;
  if (open_files_ && !dispatcher_.agreed().has(abi::kPassthrough)) {
    LogWarning("io=passthrough: not offered by the kernel (it is older than 6.9); data goes by way of the server");
  }
  const bool over_uring = uring_ != nullptr && dispatcher_.agreed().has(abi::kOverIoUring);
  if (over_uring) {
    workers_.ExpectFewRequests();
    uring_->Start(transport_.fd(), [this](int why) { workers_.Stop(why); });
  } else if (uring_ != nullptr) {
    LogWarning("transport=uring: not offered by the kernel (fuse.enable_uring is off, or it is "
               "older than 6.14); going on with /dev/fuse");
    uring_->End();
  }
  const int result = workers_.Run(on_ready);
  if (over_uring) uring_->End();
  return result;
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
    dispatcher_.Dispatch({buffer.message().first(*length), buffer, transport_}, counters);
  }
  return 0;
}

size_t Session::Collect(RequestCounters& total) const {
  const size_t threads = workers_.Collect(total);
  return threads + (uring_ != nullptr ? uring_->Collect(total) : 0);
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
