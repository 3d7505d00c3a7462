// concurrency_test.cc: many threads on one Overlay, as many requests of one mount; the interesting
// run of it is the one under ThreadSanitizer, and the one with Abseil's deadlock detection (on
// unless a program turns it off). Not here: single-threaded semantics (tests/syscalls,
// tests/model).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <random>
#include <set>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

constexpr int kThreads = 6;
constexpr int kNames = 10;
constexpr const char* kDirs[] = {"a", "a/b", "c", "c/d"};
// Every byte of every file is this one, so that a half-made file shows.
constexpr char kByte = 'x';

size_t EntriesIn(const std::string& path) {
  const std::filesystem::directory_iterator all(path);
  return std::distance(begin(all), end(all));
}

std::string FileName(int n) { return "f" + std::to_string(n); }

void FillLower(const Union& u) {
  for (const char* dir : kDirs) {
    const std::string path = u.layer(1) + "/" + dir;
    std::filesystem::create_directory(path);
    for (int i = 0; i < kNames; i += 2)
      WriteHostFile(path + "/" + FileName(i), std::string(40000 + i, kByte));
    ::symlink("nowhere", (path + "/l").c_str());
  }
  // Hard links within a directory and over two of them.
  ASSERT_EQ(::link((u.layer(1) + "/a/f0").c_str(), (u.layer(1) + "/a/f1").c_str()), 0);
  ASSERT_EQ(::link((u.layer(1) + "/a/f2").c_str(), (u.layer(1) + "/c/d/f1").c_str()), 0);
  ASSERT_EQ(::link((u.layer(1) + "/c/f4").c_str(), (u.layer(1) + "/a/b/f5").c_str()), 0);
  std::filesystem::create_directory(u.layer(1) + "/c/deep");
}

// One client: looks names up, does one thing, and forgets what it has looked up, as the kernel does
// under memory pressure.
class Client {
 public:
  Client(Overlay& overlay, unsigned seed) : overlay_(overlay), random_(seed) {}
  virtual ~Client() = default;

  void Run(int operations) {
    for (int i = 0; i < operations; ++i) {
      Step();
      ForgetAll();
    }
  }

  // Every errno that was answered; how often unlink(2) gave one that it has no reason for; bytes
  // read that nobody has written.
  std::set<int> errors;
  int wrong_unlinks = 0;
  int wrong_bytes = 0;

 protected:
  virtual void Step() {
    const NodeId dir = Directory();
    if (dir == NodeId::kNone) return;
    const std::string name = FileName(Pick(kNames));
    const std::string other = FileName(Pick(kNames));
    switch (Pick(13)) {
      case 0: {
        const Errno error = overlay_.Unlink(dir, Component(name));
        Note(error);
        wrong_unlinks += !(error.ok() || error == ENOENT || error == EISDIR);
        break;
      }
      case 1:
        Take(overlay_.Mknod(dir, Component(name), {.mode = S_IFREG | 0644}, {}));
        break;
      case 2:
        Note(overlay_.Rename(dir, Component(name), dir, Component(other), 0));
        break;
      case 3:
        Note(overlay_.Rename(dir, Component(name), dir, Component(other), RENAME_EXCHANGE));
        break;
      case 4:
        if (const NodeId to = Directory(); to != NodeId::kNone) {
          Note(overlay_.Rename(dir, Component(name), to, Component(other), 0));
        }
        break;
      case 5:
        if (const NodeId id = Look(dir, name); id != NodeId::kNone)
          Take(overlay_.Link(id, dir, Component(other)));
        break;
      case 6:
        Write(Look(dir, name));
        break;
      case 7:
        Read(Look(dir, name));
        break;
      case 8:
        ListAll(dir, ReaddirMode::kPlus);
        break;
      case 9:
        ListAll(dir, ReaddirMode::kNames);
        break;
      case 10:
        Change(Look(dir, name));
        break;
      case 11:
        Take(overlay_.Mkdir(dir, Component("sub"), {.mode = 0755}, {}));
        Note(overlay_.Rmdir(dir, Component("sub")));
        break;
      case 12:
        if (Pick(8) == 0) overlay_.TrimCaches();
        break;
    }
  }

  int Pick(int bound) { return static_cast<int>(random_() % bound); }
  void Note(Errno error) {
    if (!error.ok()) errors.insert(error.value());
  }
  void Take(const Result<Entry>& entry) {
    Note(entry.error());
    if (entry.ok() && entry->id != NodeId::kNone) counted_.push_back(entry->id);
  }
  NodeId Look(NodeId dir, const std::string& name) {
    const Result<Entry> entry = overlay_.Lookup(dir, Component(name));
    Take(entry);
    return entry.ok() ? entry->id : NodeId::kNone;
  }
  NodeId Directory() {
    const std::string path = kDirs[Pick(4)];
    const size_t slash = path.find('/');
    const NodeId first = Look(NodeId::kRoot, path.substr(0, slash));
    if (slash == std::string::npos || first == NodeId::kNone) return first;
    return Look(first, path.substr(slash + 1));
  }
  void Write(NodeId id) {
    if (id == NodeId::kNone) return;
    const std::string data(5000, kByte);
    Note(overlay_.Write(id, data, Pick(2) * 3000, {}).error());
  }
  void Read(NodeId id) {
    if (id == NodeId::kNone) return;
    std::string data(50000, '\0');
    const Result<size_t> got = overlay_.Read(id, data, 0);
    Note(got.error());
    // A hole of a file that was written at 3000 only reads as zeros.
    for (size_t i = 3000; got.ok() && i < *got; ++i) wrong_bytes += data[i] != kByte;
  }
  void Change(NodeId id) {
    if (id == NodeId::kNone) return;
    switch (Pick(4)) {
      case 0:
        Note(overlay_.SetAttr(id, {.mode = 0600 + Pick(8)}, {}).error());
        break;
      case 1:
        Note(overlay_.SetAttr(id, {.size = 0}, {}).error());
        break;
      case 2:
        Note(overlay_.SetXattr(id, "user.test", std::string_view("value"), 0, false));
        break;
      case 3:
        Note(overlay_.GetAttr(id).error());
        break;
    }
  }
  void ListAll(NodeId dir, ReaddirMode mode) {
    struct Sink : DirSink {
      explicit Sink(Client& c) : client(c) {}
      bool Fits(size_t) const override { return taken < 5; }
      void Add(std::string_view, Ino, uint8_t, uint64_t next, const Entry* entry) override {
        ++taken;
        cookie = next;
        if (entry != nullptr) client.Take(*entry);
      }
      Client& client;
      int taken = 0;
      uint64_t cookie = 0;
    };
    Sink sink(*this);
    do {
      sink.taken = 0;
      Note(overlay_.Readdir(dir, sink.cookie, mode, sink));
    } while (sink.taken > 0);
  }
  void ForgetAll() {
    for (const NodeId id : counted_) overlay_.Forget(id, 1);
    counted_.clear();
  }

  Overlay& overlay_;

 private:
  std::mt19937 random_;
  std::vector<NodeId> counted_;
};

// Moves and exchanges directories too.
class MovingClient : public Client {
 public:
  using Client::Client;

 protected:
  void Step() override {
    if (Pick(4) != 0) return Client::Step();
    const NodeId a = Look(NodeId::kRoot, "a");
    const NodeId c = Look(NodeId::kRoot, "c");
    if (a == NodeId::kNone || c == NodeId::kNone) return;
    const std::string names[] = {"b", "d", "deep"};
    const std::string& name = names[Pick(3)];
    const std::string& other = names[Pick(3)];
    switch (Pick(4)) {
      case 0:
        Note(overlay_.Rename(a, Component(name), c, Component(other), 0));
        break;
      case 1:
        Note(overlay_.Rename(c, Component(name), a, Component(other), 0));
        break;
      case 2:
        Note(overlay_.Rename(a, Component(name), c, Component(other), RENAME_EXCHANGE));
        break;
      case 3:
        Note(overlay_.Rename(NodeId::kRoot, Component("a"), NodeId::kRoot, Component("c"),
                             RENAME_EXCHANGE));
        break;
    }
  }
};

template <typename AnyClient>
void RunClients(Union& u, int operations) {
  std::vector<std::unique_ptr<AnyClient>> clients;
  for (int i = 0; i < kThreads; ++i)
    clients.push_back(std::make_unique<AnyClient>(u.overlay(), 1234 + i));
  std::vector<std::thread> threads;
  for (auto& client : clients)
    threads.emplace_back([&client, operations] { client->Run(operations); });
  for (std::thread& thread : threads) thread.join();
  // What a name can honestly answer while others change it. Never: EIO, ESTALE, EINVAL, EBADF,
  // ENOTTY.
  const std::set<int> honest = {ENOENT, EEXIST, EISDIR, ENOTDIR, ENOTEMPTY};
  for (const auto& client : clients) {
    for (const int error : client->errors) EXPECT_TRUE(honest.contains(error)) << "errno " << error;
    EXPECT_EQ(client->wrong_unlinks, 0);
    EXPECT_EQ(client->wrong_bytes, 0);
  }
}

void CheckWhatIsLeft(Union& u) {
  EXPECT_EQ(u.overlay().Counters().nodes, 1u)
      << "every reference has been dropped; only the root may be left";
  EXPECT_EQ(EntriesIn(u.work() + "/plyfs/tmp"), 0u);
  EXPECT_EQ(EntriesIn(u.work() + "/plyfs/orphans"), 0u);
  const std::string before = Snapshot(u, Compare::kRemount);
  EXPECT_EQ(before.find("errno"), std::string::npos) << before;
  EXPECT_EQ(before.find("differs"), std::string::npos) << before;
  u.Open();
  EXPECT_EQ(Snapshot(u, Compare::kRemount), before)
      << "after a remount the union shows something else";
}

TEST(ConcurrencyTest, ThreadsOnTheSameFilesKeepTheUnionWhole) {
  Union u;
  FillLower(u);
  u.Open();
  RunClients<Client>(u, 1000);
  CheckWhatIsLeft(u);
}

TEST(ConcurrencyTest, ThreadsOnTheSameFilesKeepTheUnionWholeWithWhiteoutFiles) {
  Union u({.whiteouts = Whiteouts::kWhFile});
  FillLower(u);
  u.Open();
  RunClients<Client>(u, 500);
  CheckWhatIsLeft(u);
}

TEST(ConcurrencyTest, DirectoriesMoveUnderTheFeetOfOtherThreads) {
  // A move turns parent and child of two mutexes round, under the exclusive tree lock; the detector
  // remembers the old order.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  {
    Union u;
    FillLower(u);
    u.Open();
    RunClients<MovingClient>(u, 1000);
    CheckWhatIsLeft(u);
  }
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kAbort);
}

TEST(ConcurrencyTest, TwoNamesOfOneLowerFileLookedUpAtOnceAreOneNode) {
  constexpr int kFiles = 64;
  Union u;
  std::filesystem::create_directory(u.layer(1) + "/p");
  std::filesystem::create_directory(u.layer(1) + "/q");
  for (int i = 0; i < kFiles; ++i) {
    WriteHostFile(u.layer(1) + "/p/" + FileName(i), "one file");
    ASSERT_EQ(::link((u.layer(1) + "/p/" + FileName(i)).c_str(),
                     (u.layer(1) + "/q/" + FileName(i)).c_str()),
              0);
  }
  u.Open();
  const NodeId dirs[] = {u.At("p"), u.At("q")};
  int split = 0;
  for (int round = 0; round < 40; ++round) {
    NodeId ids[2][kFiles] = {};
    std::atomic<int> arrived[kFiles] = {};
    const auto look = [&](int side) {
      for (int i = 0; i < kFiles; ++i) {
        ++arrived[i];
        while (arrived[i] < 2)
          std::this_thread::yield();  // both at once, as far as that can be had
        const std::string name = FileName(i);
        const Result<Entry> entry = u.overlay().Lookup(dirs[side], Component(name));
        if (entry.ok()) ids[side][i] = entry->id;
      }
    };
    std::thread other(look, 1);
    look(0);
    other.join();
    for (int i = 0; i < kFiles; ++i) {
      split += ids[0][i] != ids[1][i];
      u.overlay().Forget(ids[0][i], 1);
      u.overlay().Forget(ids[1][i], 1);
    }
  }
  EXPECT_EQ(split, 0) << "files that got two nodes: their copies would go apart";
}

TEST(ConcurrencyTest, ManyWritersCopyAFileUpOnce) {
  Union u;
  WriteHostFile(u.layer(1) + "/big", std::string(8 << 20, kByte));
  u.Open();
  const NodeId id = u.At("big");
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const std::string data(100, static_cast<char>('0' + i));
      failures += !u.overlay().Write(id, data, i * 100, {}).ok();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(u.overlay().Counters().copied_up_files, 1u);
  std::string data(kThreads * 100, '\0');
  ASSERT_TRUE(u.overlay().Read(id, data, 0).ok());
  for (int i = 0; i < kThreads; ++i)
    EXPECT_EQ(data[i * 100 + 50], '0' + i) << "a write was lost in the copy-up";
}

}  // namespace
}  // namespace plyfs::test
