// control_fixture.h: a control server over a journal that says what the test tells it to, and a client that may misbehave.
// Not here: real unions (tests/tools).
// Thread safety: FakeJournal from any thread, the others have one owner.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fs/base/unique_fd.h"
#include "fs/control/control_server.h"
#include "fs/control/journal_calls.h"
#include "tests/harness/temp_dir.h"

namespace plyfs::test {

class FakeJournal : public JournalCalls {
 public:
  Errno ForEachChange(const std::string& since_checkpoint, const OnChange& visit) override;
  Errno CreateCheckpoint(const std::string& name) override;
  Errno DeleteCheckpoint(const std::string& name) override;
  Result<std::vector<Checkpoint>> Checkpoints() override;
  Result<std::vector<ChangeEvent>> Events(uint64_t sequence, size_t limit, int timeout_ms) override;
  Result<std::vector<FsckFinding>> CheckJournal(bool repair) override;
  JournalStats GetJournalStats() override;
  OverlayCounters Counters() override;

  std::vector<Change> changes;
  std::vector<FsckFinding> findings;
  std::function<void()> before_changes;  // runs in ForEachChange
  void Add(ChangeEvent event);           // numbered by the journal

 private:
  std::mutex mutex_;
  std::vector<ChangeEvent> events_;
  std::vector<Checkpoint> checkpoints_;
};

/// One connection, lines in and out. Reading waits for 20 seconds at most, which only a defect takes.
class Client {
 public:
  explicit Client(int directory);
  bool connected() const { return socket_.valid(); }
  void Send(const std::string& bytes) const;
  /// The next line; "" when the server has hung up, "timeout" when it says nothing.
  std::string ReadLine();
  /// Sends the request and reads all lines of the reply, the last one included.
  std::vector<std::string> Ask(const std::string& request);
  int fd() const { return socket_.get(); }

 private:
  UniqueFd socket_;
  std::string received_;
};

/// A server in a directory of its own.
class ControlTest : public testing::Test {
 protected:
  ControlTest();
  void Start(int client_timeout_ms = 10'000);
  void Stop() { server_.reset(); }
  std::unique_ptr<Client> Connect() const { return std::make_unique<Client>(directory_.get()); }
  std::string SocketPath() const { return temp_ / "control"; }

  const TempDir temp_;
  UniqueFd directory_;
  FakeJournal journal_;
  UnionInfo info_;
  std::unique_ptr<ControlServer> server_;
};

}  // namespace plyfs::test
