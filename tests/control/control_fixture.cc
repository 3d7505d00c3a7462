// control_fixture.cc: see control_fixture.h.
#include "tests/control/control_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "fs/control/line_socket.h"

namespace plyfs::test {

Errno FakeJournal::ForEachChange(const std::string& since_checkpoint, const OnChange& visit) {
  if (before_changes) before_changes();
  if (since_checkpoint == "gone") return ENOENT;
  for (const Change& change : changes) {
    if (!visit(change)) break;
  }
  return kOk;
}

Errno FakeJournal::CreateCheckpoint(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (name == "no/name") return EINVAL;
  for (const Checkpoint& checkpoint : checkpoints_) {
    if (checkpoint.name == name) return EEXIST;
  }
  checkpoints_.push_back({.name = name, .sequence = events_.size(), .created_ns = 1'700'000'000'000'000'001});
  return kOk;
}

Errno FakeJournal::DeleteCheckpoint(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return std::erase_if(checkpoints_, [&](const Checkpoint& c) { return c.name == name; }) > 0 ? kOk : Errno(ENOENT);
}

Result<std::vector<Checkpoint>> FakeJournal::Checkpoints() {
  const std::lock_guard lock(mutex_);
  return checkpoints_;
}

Result<std::vector<ChangeEvent>> FakeJournal::Events(uint64_t sequence, size_t limit, int timeout_ms) {
  for (int waited = 0;; ++waited) {
    {
      const std::lock_guard lock(mutex_);
      std::vector<ChangeEvent> events;
      for (const ChangeEvent& event : events_) {
        if (event.sequence > sequence && events.size() < limit) events.push_back(event);
      }
      if (!events.empty() || waited >= timeout_ms) return events;
    }
    ::usleep(1000);
  }
}

Result<std::vector<FsckFinding>> FakeJournal::CheckJournal(bool repair) {
  std::vector<FsckFinding> found = findings;
  for (FsckFinding& finding : found) finding.repaired = repair;
  return found;
}

JournalStats FakeJournal::GetJournalStats() {
  const std::lock_guard lock(mutex_);
  return {.open = true, .lost = false, .sequence = events_.size(), .pending_records = 3, .database_bytes = 4096};
}

OverlayCounters FakeJournal::Counters() {
  return {.nodes = 7, .copied_up_files = 5, .copied_up_bytes = 5'000'000'000, .open_descriptors = 2, .examined_names = 9};
}

void FakeJournal::Add(ChangeEvent event) {
  const std::lock_guard lock(mutex_);
  event.sequence = events_.size() + 1;
  events_.push_back(std::move(event));
}

Client::Client(int directory) {
  Result<UniqueFd> socket = ConnectAt(directory, "control");
  if (socket.ok()) socket_ = std::move(socket).value();
}

void Client::Send(const std::string& bytes) const {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t put = ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (put <= 0) return;
    sent += static_cast<size_t>(put);
  }
}

std::string Client::ReadLine() {
  for (;;) {
    const size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    pollfd entry{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, 20'000) != 1) return "timeout";
    char buffer[65536];
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return "";
    received_.append(buffer, static_cast<size_t>(got));
  }
}

std::vector<std::string> Client::Ask(const std::string& request) {
  Send(request + "\n");
  std::vector<std::string> lines;
  do {
    lines.push_back(ReadLine());
  } while (!lines.back().empty() && lines.back() != "timeout" && !lines.back().starts_with(R"({"end")") &&
           lines.back().find(R"("error":)") == std::string::npos);
  return lines;
}

ControlTest::ControlTest() : directory_(::open(temp_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  info_ = {.version = "1.2.3",
           .pid = 42,
           .mountpoint = "/mnt",
           .layers = {.lowers = {"/l1", "/l\xff"}, .upper = "/u", .work = "/w"},
           .redirect_dir = RedirectDir::kOn};
}

void ControlTest::Start(int client_timeout_ms) {
  Result<std::unique_ptr<ControlServer>> server = ControlServer::Bind(directory_.get());
  ASSERT_TRUE(server.ok()) << server.error().value();
  server_ = std::move(server).value();
  const Errno started = server_->Serve(journal_, {.info = info_,
                                                  .session_stats =
                                                      [](StatsReport* report) {
                                                        report->threads = 2;
                                                        report->operations = {
                                                            {.name = "LOOKUP", .count = 3, .nanoseconds = 9000, .buckets = {1, 2}}};
                                                      },
                                                  .client_timeout_ms = client_timeout_ms});
  ASSERT_TRUE(started.ok()) << started.value();
}

}  // namespace plyfs::test
