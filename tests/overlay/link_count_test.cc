// link_count_test.cc: the server dies before, and after, each change that an operation on names of a
// lower file with several makes, or the change fails; then, and after it has died again at each
// change of its recovery, st_nlink counts the names that the union shows.
// Not here: other operations and random moments, through a mount (tests/crash).
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "tests/overlay/fault_injection.h"
#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

namespace fs = std::filesystem;

constexpr int kSurvived = 7;
constexpr int kMetAnError = 8;
constexpr int kMostSteps = 100;
constexpr uid_t kUser = 1000;

struct Kind {
  const char* name;
  Whiteouts whiteouts;
  bool symlinks;  // of a user: their count is kept beside the index
};
const Kind kKinds[] = {{"Devices", Whiteouts::kDevice, false},
                       {"WhiteoutFiles", Whiteouts::kWhFile, false},
                       {"SymlinksOfAUser", Whiteouts::kDevice, true}};

// Names h1, h2 and d/h3 of one lower file, and x of another; the operations are those of the kernel.
class Linked : public Union {
 public:
  explicit Linked(const Kind& kind) : Union({.whiteouts = kind.whiteouts}), kind_(kind) {
    fs::create_directory(layer(1) + "/d");
    WriteHostFile(layer(1) + "/x", "other");
    if (kind.symlinks) fs::create_symlink("linked", layer(1) + "/h1");
    else WriteHostFile(layer(1) + "/h1", "linked");
    fs::create_hard_link(layer(1) + "/h1", layer(1) + "/h2");
    fs::create_hard_link(layer(1) + "/h1", layer(1) + "/d/h3");
    struct stat st;
    lower_ino_ = ::lstat((layer(1) + "/h1").c_str(), &st) == 0 ? st.st_ino : 0;
    if (!kind.symlinks) return;
    for (const std::string& dir : {layer(0), layer(1), work()}) GiveToUser(dir);
    GiveToUser(fs::path(work()).parent_path());
  }

  // In the process that dies.
  void BecomeUser() const {
    if (!kind_.symlinks) return;
    static_cast<void>(::setgroups(0, nullptr) + ::setgid(kUser) + ::setuid(kUser));
  }

  void OpenAfterError() {
    clean_end_ = true;
    Open();
    Change("x");
    Names("");
  }

  // Copies it up.
  void Change(const std::string& path) {
    const timespec time{.tv_sec = 1'000'000, .tv_nsec = 0};
    overlay().SetAttr(At(path), {.mtime = time}, {}).error().Ignore("it may have failed");
  }
  void Remove(const std::string& path) {
    overlay().Unlink(Dir(path), Component(Base(path))).Ignore("it may have failed");
  }
  void Rename(const std::string& from, const std::string& to, unsigned flags = 0) {
    overlay().Rename(Dir(from), Component(Base(from)), Dir(to), Component(Base(to)), flags).Ignore("it may have failed");
  }
  void Link(const std::string& from, const std::string& to) {
    overlay().Link(At(from), Dir(to), Component(Base(to))).error().Ignore("it may have failed");
  }

  // What is wrong with the link counts; empty: nothing.
  std::string Wrong() {
    Found found;
    Walk("", &found);
    std::string text = found.problems;
    for (const auto& [ino, names] : found.names) {
      for (const auto& [path, nlink] : names) {
        if (nlink == names.size()) continue;
        text += path + " says " + std::to_string(nlink) + " of " + std::to_string(names.size()) + " names; ";
      }
    }
    // A copy in the index that no name leads to is never found again. (After an error it may stay.)
    const bool shown = clean_end_ || found.names.contains(lower_ino_);
    const fs::path index = work() + "/plyfs/index";
    for (const auto& entry : fs::exists(index) ? fs::directory_iterator(index) : fs::directory_iterator()) {
      if (!shown && entry.path().extension() != ".n") text += entry.path().filename().string() + " is nobody's; ";
    }
    return text;
  }

 private:
  struct Found {
    std::map<uint64_t, std::map<std::string, uint32_t>> names;  // by inode number: path and st_nlink
    std::string problems;
  };
  void Walk(const std::string& dir, Found* found) {
    for (const std::string& name : Names(dir)) {
      const std::string path = dir.empty() ? name : dir + "/" + name;
      const Result<Attr> attr = overlay().GetAttr(At(path));
      if (!attr.ok()) found->problems += path + ": errno " + std::to_string(attr.error().value()) + "; ";
      else if (S_ISDIR(attr->mode)) Walk(path, found);
      else found->names[attr->ino.value][path] = attr->nlink;
    }
  }
  static std::string Base(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  NodeId Dir(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? NodeId::kRoot : At(path.substr(0, slash));
  }
  static void GiveToUser(const fs::path& dir) {
    static_cast<void>(::lchown(dir.c_str(), kUser, kUser));
    if (!fs::is_directory(fs::symlink_status(dir))) return;
    for (const auto& entry : fs::directory_iterator(dir)) GiveToUser(entry.path());
  }

  const Kind& kind_;
  uint64_t lower_ino_ = 0;
  bool clean_end_ = false;
};

struct Case {
  const char* name;
  void (*before)(Linked&);
  void (*operation)(Linked&);
};

void Nothing(Linked&) {}

const Case kCases[] = {
    {"Unlink", Nothing, [](Linked& u) { u.Remove("h1"); }},
    {"UnlinkASecondName", [](Linked& u) { u.Remove("h1"); }, [](Linked& u) { u.Remove("d/h3"); }},
    {"UnlinkTheLastName", [](Linked& u) { u.Remove("h1"); u.Remove("h2"); }, [](Linked& u) { u.Remove("d/h3"); }},
    {"CopyUp", Nothing, [](Linked& u) { u.Change("h1"); }},
    {"CopyUpWithOneNameGone", [](Linked& u) { u.Remove("h2"); }, [](Linked& u) { u.Change("d/h3"); }},
    {"CopyUpWithoutANameOfItsOwn", Nothing, [](Linked& u) {
       const NodeId id = u.At("h1");
       u.Remove("h1");
       u.overlay().SetAttr(id, {.mtime = timespec{.tv_sec = 1, .tv_nsec = 0}}, {}).error().Ignore("it may have failed");
     }},
    {"UnlinkALowerNameAfterCopyUp", [](Linked& u) { u.Change("h1"); }, [](Linked& u) { u.Remove("h2"); }},
    {"UnlinkTheUpperNameAfterCopyUp", [](Linked& u) { u.Change("h1"); }, [](Linked& u) { u.Remove("h1"); }},
    {"UnlinkTheLastNameAndThatIsAnUpperOne", [](Linked& u) { u.Change("h1"); u.Remove("h2"); u.Remove("d/h3"); },
     [](Linked& u) { u.Remove("h1"); }},
    {"UnlinkTheLastNameAndThatIsALowerOne", [](Linked& u) { u.Change("h1"); u.Remove("h1"); u.Remove("h2"); },
     [](Linked& u) { u.Remove("d/h3"); }},
    {"RenameOverAName", Nothing, [](Linked& u) { u.Rename("x", "h1"); }},
    {"RenameOverALowerNameAfterCopyUp", [](Linked& u) { u.Change("h1"); }, [](Linked& u) { u.Rename("x", "d/h3"); }},
    {"RenameOverTheUpperNameAfterCopyUp", [](Linked& u) { u.Change("h1"); }, [](Linked& u) { u.Rename("x", "h1"); }},
    {"RenameOverTheLastName", [](Linked& u) { u.Change("h1"); u.Remove("h1"); u.Remove("h2"); },
     [](Linked& u) { u.Rename("x", "d/h3"); u.Rename("d/h3", "x"); }},
    {"RenameAway", Nothing, [](Linked& u) { u.Rename("h1", "z"); }},
    {"RenameAwayAcrossDirectories", Nothing, [](Linked& u) { u.Rename("d/h3", "z"); }},
    {"RenameALowerNameAfterCopyUp", [](Linked& u) { u.Change("h1"); }, [](Linked& u) { u.Rename("h2", "z"); }},
    {"RenameOneNameOverAnOther", [](Linked& u) { u.Change("x"); }, [](Linked& u) { u.Rename("h1", "x"); u.Rename("x", "h2"); }},
    {"ExchangeALowerNameAfterCopyUp", [](Linked& u) { u.Change("h1"); },
     [](Linked& u) { u.Rename("h2", "x", RENAME_EXCHANGE); }},
    {"ExchangeANameAndADirectory", Nothing, [](Linked& u) { u.Rename("h2", "d", RENAME_EXCHANGE); }},
    {"Link", Nothing, [](Linked& u) { u.Link("h1", "d/new"); }},
    {"LinkOverAWhiteout", [](Linked& u) { u.Remove("x"); }, [](Linked& u) { u.Link("h2", "x"); }},
    {"LinkWhereANameWas", [](Linked& u) { u.Remove("h2"); }, [](Linked& u) { u.Link("h1", "h2"); }},
};

// What `body` does in another process, with a fault. True if it lived to its end without meeting that; the union is closed only after
// an error.
template <typename Body>
bool Lives(Linked& u, Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    u.BecomeUser();
    body();
    if (DisarmFault().empty()) ::_exit(kSurvived);
    u.Close();
    ::_exit(kMetAnError);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  EXPECT_TRUE(killed || code == kSurvived || code == kMetAnError) << status;
  return code == kSurvived;
}

void ExpectRight(Linked& u) {
  u.Open();
  EXPECT_EQ(u.Wrong(), "");
  u.Close();
}

class LinkCountTest : public testing::TestWithParam<std::tuple<Kind, Case>> {};
INSTANTIATE_TEST_SUITE_P(EachOperation, LinkCountTest,
                         testing::Combine(testing::ValuesIn(kKinds), testing::ValuesIn(kCases)), [](const auto& row) {
                           return std::string(std::get<1>(row.param).name) + std::get<0>(row.param).name;
                         });
class LinkRecoveryTest : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(EachOperation, LinkRecoveryTest, testing::ValuesIn(kCases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST_P(LinkCountTest, IsRightAfterADeathOrAnErrorAtAnyStep) {
  const auto& kind = std::get<0>(GetParam());
  const auto& row = std::get<1>(GetParam());
  if (kind.symlinks && ::getuid() != 0) GTEST_SKIP() << "only root gives layers to a user";
  for (const Fault fault : {Fault::kDieBefore, Fault::kDieAfter, Fault::kError}) {
    int nth = 1;
    for (bool lived = false; !lived && !HasFailure(); ++nth) {
      const char* how = fault == Fault::kError ? "error of" : fault == Fault::kDieBefore ? "before" : "after";
      SCOPED_TRACE(how + (" change " + std::to_string(nth)));
      ASSERT_LT(nth, kMostSteps);
      Linked u(kind);
      lived = Lives(u, [&] {
        u.Open();
        // A journal that cannot be made counts nothing.
        if (fault == Fault::kError) u.Change("");
        row.before(u);
        ArmFault(FaultIn::kChanges, nth, fault);
        row.operation(u);
      });
      // After a clean end it looks at what it remembers only when it needs that.
      if (fault == Fault::kError) u.OpenAfterError();
      ExpectRight(u);
    }
    EXPECT_TRUE(HasFailure() || nth > 2);
  }
}

TEST_P(LinkRecoveryTest, CountsAreRightAfterDeathsInTheRecovery) {
  const Case& row = GetParam();
  bool lived = false;
  for (int nth = 1; !lived && !HasFailure(); ++nth) {
    SCOPED_TRACE("after change " + std::to_string(nth));
    Linked u(kKinds[0]);
    lived = Lives(u, [&] {
      u.Open();
      row.before(u);
      ArmFault(FaultIn::kChanges, nth, Fault::kDieAfter);
      row.operation(u);
    });
    // The last one lives, changes something, and dies without saying so.
    bool recovered = false;
    for (int again = 1; !recovered && again < kMostSteps; ++again) {
      recovered = Lives(u, [&] {
        ArmFault(FaultIn::kChanges, again, Fault::kDieAfter);
        u.Open();
        u.Wrong();
        u.Remove("h2");
      });
    }
    ExpectRight(u);
    ExpectRight(u);
  }
}

}  // namespace
}  // namespace plyfs::test
