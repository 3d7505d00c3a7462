// server_test.cc: the control server with clients that behave, that do not, and those that come when it is gone.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

#include "fs/control/line_socket.h"
#include "tests/control/control_fixture.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"

namespace plyfs::test {
namespace {

constexpr const char* kInfo = R"({"version":1,"request":"info"})";
constexpr const char* kChanges = R"({"version":1,"request":"changes"})";
constexpr const char* kWatch = R"({"version":1,"request":"watch"})";
constexpr const char* kEnd = R"({"end":true})";

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool Eventually(const std::function<bool()>& condition) {
  for (int tries = 0; tries < 2000; ++tries) {
    if (condition()) return true;
    ::usleep(10'000);
  }
  return false;
}

// --- the socket -----------------------------------------------------------------------------------

TEST_F(ControlTest, TheSocketIsItsOwnersAloneAndGoesWithTheServer) {
  Start();
  EXPECT_EQ(Lstat(SocketPath()).st_mode, mode_t{S_IFSOCK | 0600});
  Stop();
  EXPECT_FALSE(Exists(SocketPath()));
}

TEST_F(ControlTest, WhatAKilledServerLeftIsReplaced) {
  {
    // The file without its listener.
    const Result<UniqueFd> dead = ListenAt(directory_.get(), "control");
    ASSERT_TRUE(dead.ok());
  }
  ASSERT_TRUE(Exists(SocketPath()));
  EXPECT_FALSE(Connect()->connected());
  Start();
  EXPECT_EQ(Connect()->Ask(kInfo).size(), 2u);
}

TEST_F(ControlTest, AnyPathLengthWorks) {
  std::string path = temp_.path();
  for (int i = 0; i < 8; ++i) path += "/" + std::string(100, 'd');
  MakeDirs(path);
  directory_ = UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Start();
  EXPECT_EQ(Connect()->Ask(kInfo).size(), 2u);
}

TEST_F(ControlTest, OthersThanRootAndTheServersUserAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  Start();
  // Let them through to the server's own check.
  ASSERT_EQ(::chmod(SocketPath().c_str(), 0666), 0);
  ASSERT_EQ(::chmod(temp_.path().c_str(), 0755), 0);
  const int result = RunAs({.uid = 12345, .gid = 12345}, [&] {
    const UniqueFd directory(::open(temp_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    Client client(directory.get());
    if (!client.connected()) return 1;
    const std::string line = client.Ask(kInfo).back();
    return Contains(line, "only root") && Contains(line, "EACCES") ? 0 : 2;
  });
  EXPECT_EQ(result, 0);
}

TEST_F(ControlTest, ClientsOfTheFirstMomentAreServedLater) {
  Result<std::unique_ptr<ControlServer>> server = ControlServer::Bind(directory_.get());
  ASSERT_TRUE(server.ok());
  const std::unique_ptr<Client> early = Connect();
  early->Send(std::string(kInfo) + "\n");
  ASSERT_TRUE((*server)->Serve(journal_, {.info = info_}).ok());
  EXPECT_TRUE(Contains(early->ReadLine(), "\"pid\":42"));
}

// --- requests -------------------------------------------------------------------------------------

TEST_F(ControlTest, AConversationHoldsManyRequests) {
  Start();
  journal_.changes = {{.kind = ChangeKind::kAdded, .path = "/a\xff", .type = S_IFREG}};
  const std::unique_ptr<Client> client = Connect();
  const std::vector<std::string> info = client->Ask(kInfo);
  ASSERT_EQ(info.size(), 2u);
  EXPECT_TRUE(Contains(info[0], R"("lowers":["/l1",{"path_bytes":"L2z/"}])")) << info[0];
  EXPECT_EQ(info[1], kEnd);
  EXPECT_EQ(client->Ask(kChanges),
            (std::vector<std::string>{R"({"kind":"A","path":{"path_bytes":"L2H/"},"type":"file"})", kEnd}));
  EXPECT_EQ(client->Ask(R"({"version":1,"request":"create-checkpoint","checkpoint":"one"})"), std::vector<std::string>{kEnd});
  EXPECT_EQ(client->Ask(R"({"version":1,"request":"checkpoints"})"),
            (std::vector<std::string>{R"({"created_ns":1700000000000000001,"name":"one","sequence":0})", kEnd}));
  const std::string stats = client->Ask(R"({"version":1,"request":"stats"})")[0];
  EXPECT_TRUE(Contains(stats, R"("copied_up_bytes":5000000000)")) << stats;
  EXPECT_TRUE(Contains(stats, R"("examined_names":9)")) << stats;
  EXPECT_TRUE(Contains(stats, R"({"buckets":[1,2],"count":3,"name":"LOOKUP","nanoseconds":9000})")) << stats;
}

TEST_F(ControlTest, FailuresSayWhatToDo) {
  Start();
  const std::unique_ptr<Client> client = Connect();
  const std::string missing = client->Ask(R"({"version":1,"request":"changes","checkpoint":"gone"})").back();
  EXPECT_TRUE(Contains(missing, "\"errno\":\"ENOENT\"")) << missing;
  EXPECT_TRUE(Contains(missing, "no checkpoint 'gone'")) << missing;
  const std::string bad_name = client->Ask(R"({"version":1,"request":"create-checkpoint","checkpoint":"no/name"})").back();
  EXPECT_TRUE(Contains(bad_name, "EINVAL") && Contains(bad_name, "letters, digits")) << bad_name;
  // The conversation goes on after what is no request.
  EXPECT_TRUE(Contains(client->Ask("nonsense").back(), "EPROTO"));
  EXPECT_EQ(client->Ask(kInfo).back(), kEnd);
}

TEST_F(ControlTest, AWatchBeginsNowAndMissesNothing) {
  Start();
  journal_.Add({.kind = ChangeEvent::Kind::kCreate, .path = "/before"});
  const std::unique_ptr<Client> client = Connect();
  client->Send(std::string(kWatch) + "\n");
  EXPECT_EQ(client->ReadLine(), R"({"sequence":1,"event":"start"})");
  journal_.Add({.kind = ChangeEvent::Kind::kRename, .path = "/b", .from = "/a"});
  EXPECT_EQ(client->ReadLine(), R"({"sequence":2,"event":"rename","path":"/b","from":"/a"})");
}

TEST_F(ControlTest, AWatchBeginsWhereItIsTold) {
  Start();
  for (int i = 0; i < 1000; ++i) journal_.Add({.kind = ChangeEvent::Kind::kCreate, .path = "/" + std::to_string(i)});
  const std::unique_ptr<Client> client = Connect();
  client->Send(R"({"version":1,"request":"watch","sequence":0})" "\n");
  client->ReadLine();
  for (int i = 1; i <= 1000; ++i) {
    ASSERT_TRUE(Contains(client->ReadLine(), "\"sequence\":" + std::to_string(i) + ",")) << i;
  }
}

// --- clients that misbehave -----------------------------------------------------------------------

TEST_F(ControlTest, ARequestWithoutAnEndIsCutOff) {
  Start();
  const std::unique_ptr<Client> client = Connect();
  client->Send(std::string(100'000, 'x'));
  EXPECT_TRUE(Contains(client->ReadLine(), "EMSGSIZE"));
  EXPECT_EQ(client->ReadLine(), "");
  EXPECT_EQ(Connect()->Ask(kInfo).back(), kEnd);
}

TEST_F(ControlTest, NestedAndBinaryRequestsAreOnlyRefused) {
  Start();
  const std::unique_ptr<Client> client = Connect();
  EXPECT_TRUE(Contains(client->Ask(std::string(8000, '[')).back(), "EPROTO"));
  EXPECT_TRUE(Contains(client->Ask(std::string("\0\xff\x01{", 4)).back(), "EPROTO"));
  const std::string strange = client->Ask("{\"version\":1,\"request\":\"\\u0000\\ud83d\"}").back();
  EXPECT_TRUE(Contains(strange, "EPROTO")) << strange;
  EXPECT_EQ(client->Ask(kInfo).back(), kEnd);
}

TEST_F(ControlTest, ASilentClientIsHungUpOn) {
  Start(/*client_timeout_ms=*/200);
  EXPECT_EQ(Connect()->ReadLine(), "");
  // A byte now and then does not prolong it.
  const std::unique_ptr<Client> slow = Connect();
  std::atomic<bool> stop = false;
  std::thread drip([&] {
    while (!stop) {
      slow->Send("x");
      ::usleep(20'000);
    }
  });
  EXPECT_EQ(slow->ReadLine(), "");
  stop = true;
  drip.join();
}

TEST_F(ControlTest, AClientThatDoesNotReadIsHungUpOn) {
  Start(/*client_timeout_ms=*/200);
  journal_.changes.assign(100'000, {.kind = ChangeKind::kAdded, .path = "/" + std::string(100, 'a')});
  const std::unique_ptr<Client> client = Connect();
  client->Send(std::string(kChanges) + "\n");
  // Nothing is read before the server has given up.
  pollfd hung_up{.fd = client->fd(), .events = 0, .revents = 0};
  ASSERT_EQ(::poll(&hung_up, 1, 20'000), 1);
  std::string line;
  std::string last;
  while (!(line = client->ReadLine()).empty()) last = line;
  EXPECT_NE(last, kEnd);
}

TEST_F(ControlTest, EightClientsAtOnceAndNoMore) {
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(Connect());
    ASSERT_EQ(clients.back()->Ask(kInfo).back(), kEnd);
  }
  EXPECT_TRUE(Contains(Connect()->ReadLine(), "EBUSY"));
  clients.pop_back();
  EXPECT_TRUE(Eventually([&] { return Connect()->Ask(kInfo).back() == kEnd; }));
}

TEST_F(ControlTest, AFloodOfConnectionsLeavesNothing) {
  Start();
  const auto descriptors = [] { return ListDir("/proc/self/fd").size(); };
  const size_t before = descriptors();
  for (int i = 0; i < 500; ++i) {
    const std::unique_ptr<Client> client = Connect();
    if (i % 2 == 0) client->Send(std::string(kInfo) + "\n");
  }
  EXPECT_TRUE(Eventually([&] { return Connect()->Ask(kInfo).back() == kEnd; }));
  EXPECT_TRUE(Eventually([&] { return descriptors() <= before; })) << descriptors() << " > " << before;
}

TEST_F(ControlTest, ALongRequestKeepsNobodyElseWaiting) {
  Start();
  std::latch entered(1);
  std::latch go_on(1);
  journal_.before_changes = [&] {
    entered.count_down();
    go_on.wait();
  };
  const std::unique_ptr<Client> slow = Connect();
  slow->Send(std::string(kChanges) + "\n");
  entered.wait();
  EXPECT_EQ(Connect()->Ask(kInfo).back(), kEnd);
  go_on.count_down();
  EXPECT_EQ(slow->ReadLine(), kEnd);
}

TEST_F(ControlTest, AnExceptionEndsTheConversationOnly) {
  Start();
  journal_.before_changes = [] { throw std::bad_alloc(); };
  EXPECT_EQ(Connect()->Ask(kChanges).back(), "");
  EXPECT_EQ(Connect()->Ask(kInfo).back(), kEnd);
}

// --- the end --------------------------------------------------------------------------------------

TEST_F(ControlTest, TheEndDoesNotWaitForClients) {
  Start();
  const std::unique_ptr<Client> silent = Connect();
  const std::unique_ptr<Client> watcher = Connect();
  watcher->Send(std::string(kWatch) + "\n");
  watcher->ReadLine();
  journal_.changes.assign(100'000, {.kind = ChangeKind::kAdded, .path = "/" + std::string(100, 'a')});
  const std::unique_ptr<Client> deaf = Connect();
  deaf->Send(std::string(kChanges) + "\n");
  const auto start = std::chrono::steady_clock::now();
  Stop();
  // Each of them would have ten seconds.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8));
  EXPECT_EQ(silent->ReadLine(), "");
}

TEST_F(ControlTest, TheEndWaitsForARequestInWork) {
  Start();
  std::atomic<bool> finished = false;
  std::latch entered(1);
  journal_.before_changes = [&] {
    entered.count_down();
    ::usleep(100'000);
    finished = true;
  };
  const std::unique_ptr<Client> client = Connect();
  client->Send(std::string(kChanges) + "\n");
  entered.wait();
  Stop();
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace plyfs::test
