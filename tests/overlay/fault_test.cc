// fault_test.cc: every step of every operation fails once. If the operation then says that it
// failed, the union is as it was; if it says that it succeeded, the union is as after a success;
// for the same server and for the one after a remount. Not here: how a call is made to fail
// (fault_injection.h).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include "tests/overlay/fault_injection.h"
#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

constexpr int kMostSteps = 400;

// A path taken apart: the parent's id and the last component.
struct Place {
  Place(Union& u, const std::string& path)
      : dir(u.At(path.find('/') == std::string::npos ? "" : path.substr(0, path.rfind('/')))),
        text(path.substr(path.rfind('/') + 1)) {}
  Name name() const { return Component(text); }
  NodeId dir;
  std::string text;
};

Errno Keep(Union& u, const Result<Entry>& entry) {
  if (entry.ok()) u.overlay().Forget(entry->id, 1);
  return entry.error();
}

Errno Unlink(Union& u, const Place& at) { return u.overlay().Unlink(at.dir, at.name()); }
Errno Rmdir(Union& u, const Place& at) { return u.overlay().Rmdir(at.dir, at.name()); }
Errno Rename(Union& u, const Place& from, const Place& to, unsigned flags = 0) {
  return u.overlay().Rename(from.dir, from.name(), to.dir, to.name(), flags);
}
Errno Make(Union& u, const Place& at, mode_t mode = S_IFREG | 0640) {
  return Keep(
      u, u.overlay().Mknod(at.dir, at.name(), {.mode = mode}, {.uid = 5, .gid = 6, .umask = 022}));
}
Errno Mkdir(Union& u, const Place& at) {
  return Keep(u, u.overlay().Mkdir(at.dir, at.name(), {.mode = 0751}, {.uid = 5, .gid = 6}));
}
Errno Symlink(Union& u, const Place& at) {
  return Keep(u, u.overlay().Symlink(at.dir, at.name(), "target", {.uid = 5}));
}
Errno Link(Union& u, NodeId id, const Place& at) {
  return Keep(u, u.overlay().Link(id, at.dir, at.name()));
}
Errno Write(Union& u, NodeId id) {
  return u.overlay().Write(id, std::string_view("changed"), 2, {}).error();
}
Errno Chmod(Union& u, NodeId id) { return u.overlay().SetAttr(id, {.mode = 0604}, {}).error(); }

struct FaultCase {
  const char* name;
  // What has been done before, and what is done under the fault. Ids are taken before the fault is
  // armed.
  std::function<void(Union&)> prepare;
  std::function<std::function<Errno()>(Union&)> operation;
  Compare live = Compare::kLive;
};

// Makes operations of one or two places.
using Ready = std::function<Errno()>;
template <typename Call>
auto On(const char* path, Call call) {
  return [=](Union& u) -> Ready { return [&u, call, at = Place(u, path)] { return call(u, at); }; };
}
template <typename Call>
auto OnNode(const char* path, Call call) {
  return [=](Union& u) -> Ready { return [&u, call, id = u.At(path)] { return call(u, id); }; };
}
auto Renaming(const char* from, const char* to, unsigned flags = 0) {
  return [=](Union& u) -> Ready {
    return [&u, flags, a = Place(u, from), b = Place(u, to)] { return Rename(u, a, b, flags); };
  };
}
auto Linking(const char* from, const char* to) {
  return [=](Union& u) -> Ready {
    return [&u, id = u.At(from), b = Place(u, to)] { return Link(u, id, b); };
  };
}
void Nothing(Union&) {}
// `call` must succeed.
template <typename Call>
auto Done(const char* path, Call call) {
  return [=](Union& u) { EXPECT_EQ(call(u, Place(u, path)).value(), 0) << path; };
}
Errno MakeFile(Union& u, const Place& at) { return Make(u, at); }
Errno MakeFifo(Union& u, const Place& at) { return Make(u, at, S_IFIFO | 0600); }
Errno Truncate(Union& u, NodeId id) { return u.overlay().SetAttr(id, {.size = 3}, {}).error(); }
Errno Chown(Union& u, NodeId id) {
  return u.overlay().SetAttr(id, {.uid = 7, .gid = 8}, {}).error();
}
Errno SetUserXattr(Union& u, NodeId id) {
  return u.overlay().SetXattr(id, "user.k", std::string_view("new"), 0, false);
}

void CopyUpThenForget(Union& u) {
  EXPECT_EQ(Write(u, u.At("d/f")).value(), 0);
  u.ForgetAll();
}
void EmptyMerged(Union& u) {
  for (const char* path : {"m/only1", "m/only2"}) EXPECT_EQ(Unlink(u, Place(u, path)).value(), 0);
}

const FaultCase kFaultCases[] = {
    {"WriteCopiesUp", Nothing, OnNode("d/f", Write)},
    {"WriteCopiesUpDeepInLowerDirectories", Nothing, OnNode("d/sub/deep/x", Write)},
    {"WriteCopiesUpOneOfTwoNames", Nothing, OnNode("d/h1", Write)},
    {"ChmodCopiesUpAFifo", Nothing, OnNode("d/p", Chmod)},
    {"ChownCopiesUpASymlink", Nothing, OnNode("d/l", Chown)},
    {"ChmodCopiesUpADirectory", Nothing, OnNode("d/sub", Chmod)},
    {"TruncateCopiesUp", Nothing, OnNode("d/f", Truncate)},
    {"SetXattrCopiesUp", Nothing, OnNode("d/f", SetUserXattr)},
    {"CreateWhereNothingWas", Nothing, On("d/new", MakeFile)},
    {"CreateOverAWhiteout", Done("d/f", Unlink), On("d/f", MakeFile)},
    {"MakeFifo", Nothing, On("d/new", MakeFifo)},
    {"MakeSymlink", Nothing, On("d/new", Symlink)},
    {"MkdirWhereNothingWas", Nothing, On("d/new", Mkdir)},
    {"MkdirOverAWhiteout", [](Union& u) { Done("e", Rmdir)(u); }, On("e", Mkdir)},
    {"UnlinkALowerFile", Nothing, On("d/f", Unlink)},
    {"UnlinkACopiedUpFile", CopyUpThenForget, On("d/f", Unlink)},
    {"UnlinkAnUpperFile", Nothing, On("u", Unlink)},
    {"UnlinkOneOfTwoLowerNames", Nothing, On("d/h1", Unlink)},
    {"UnlinkOneOfTwoNamesAfterCopyUp", [](Union& u) { EXPECT_TRUE(Write(u, u.At("d/h1")).ok()); },
     On("d/h2", Unlink)},
    {"RmdirOfALowerDirectory", Nothing, On("e", Rmdir)},
    {"RmdirOfAMergedDirectoryFullOfWhiteouts", EmptyMerged, On("m", Rmdir)},
    {"RenameAnUpperFile", Nothing, Renaming("u", "ud/u")},
    {"RenameALowerFile", Nothing, Renaming("d/f", "d/moved")},
    {"RenameALowerFileOverALowerFile", Nothing, Renaming("d/f", "d/g")},
    {"RenameALowerFileOverAnUpperFile", Nothing, Renaming("d/f", "ud/x")},
    {"RenameOverAWhiteout", Done("d/g", Unlink), Renaming("d/f", "d/g")},
    {"RenameOneOfTwoNames", Nothing, Renaming("d/h1", "d/moved")},
    {"RenameAnUpperDirectory", Nothing, Renaming("ud", "d/ud")},
    {"RenameAnUpperDirectoryOverAWhiteout", Done("e", Rmdir), Renaming("ud", "e")},
    {"RenameALowerDirectory", Nothing, Renaming("d", "moved")},
    // Known: when the rename fails after the target's whiteouts have gone, the target, now opaque, shows another number.
    {"RenameAnUpperDirectoryOverAnEmptiedMergedOne", EmptyMerged, Renaming("ud", "m"), Compare::kRemount},
    {"RenameALowerDirectoryOverAnEmptyLowerOne", Nothing, Renaming("d/sub", "e")},
    {"ExchangeALowerAndAnUpperFile", Nothing, Renaming("d/f", "u", RENAME_EXCHANGE)},
    {"ExchangeALowerDirectoryAndAFile", Nothing, Renaming("d", "u", RENAME_EXCHANGE)},
    {"LinkALowerFile", Nothing, Linking("d/f", "d/new")},
    {"LinkOverAWhiteout", Done("d/g", Unlink), Linking("d/f", "d/g")},
    {"LinkAThirdNameOfALowerFile", Nothing, Linking("d/h2", "ud/h3")},
};

void FillLayers(const Union& u) {
  namespace fs = std::filesystem;
  const std::string top = u.layer(1);
  for (const char* dir : {"/d", "/d/sub", "/d/sub/deep", "/e", "/m"})
    fs::create_directory(top + dir);
  WriteHostFile(top + "/d/f", "content of f");
  ASSERT_EQ(::setxattr((top + "/d/f").c_str(), "user.k", "v", 1, 0), 0);
  ASSERT_EQ(::chmod((top + "/d/f").c_str(), 04751), 0);
  WriteHostFile(top + "/d/g", "content of g");
  WriteHostFile(top + "/d/sub/deep/x", std::string(100000, 'x'));
  WriteHostFile(top + "/d/h1", "two names");
  ASSERT_EQ(::link((top + "/d/h1").c_str(), (top + "/d/h2").c_str()), 0);
  ASSERT_EQ(::symlink("f", (top + "/d/l").c_str()), 0);
  ASSERT_EQ(::mkfifo((top + "/d/p").c_str(), 0640), 0);
  WriteHostFile(top + "/m/only1", "1");
  fs::create_directory(u.layer(2) + "/m");
  WriteHostFile(u.layer(2) + "/m/only2", "2");
  fs::create_directory(u.layer(2) + "/d");
  WriteHostFile(u.layer(2) + "/d/f", "below f");
  WriteHostFile(u.layer(2) + "/d/below", "below");
  WriteHostFile(u.layer(0) + "/u", "upper");
  fs::create_directory(u.layer(0) + "/ud");
  WriteHostFile(u.layer(0) + "/ud/x", "upper x");
}

struct Shown {
  std::string live;
  std::string remounted;
};

// One run of a case.
struct Outcome {
  Errno error;
  std::string failed_call;  // empty: nothing failed
  Shown before;
  Shown after;
};

Outcome RunOnce(const FaultCase& row, Whiteouts whiteouts, FaultIn sort, int nth) {
  Union u({.lowers = 2, .whiteouts = whiteouts});
  FillLayers(u);
  u.Open();
  row.prepare(u);
  u.Open();  // nothing is known from before
  Outcome run;
  run.before.live = Snapshot(u, row.live);
  run.before.remounted = Snapshot(u, Compare::kRemount);
  const Ready operation = row.operation(u);
  ArmFault(sort, nth);
  run.error = operation();
  run.failed_call = DisarmFault();
  run.after.live = Snapshot(u, row.live);
  u.Open();
  run.after.remounted = Snapshot(u, Compare::kRemount);
  return run;
}

// mtime of what was made or written just now is no fixed number.
std::string WithoutRecentTimes(std::string text) {
  static const std::string now_prefix = std::to_string(::time(nullptr)).substr(0, 6);
  for (size_t at = text.find("mtime " + now_prefix); at != std::string::npos;
       at = text.find("mtime " + now_prefix, at)) {
    text.replace(at + 6, text.find(' ', at + 6) - at - 6, "now");
  }
  return text;
}

class FaultTest : public testing::TestWithParam<std::tuple<Whiteouts, const FaultCase*>> {};
class FaultyLookTest : public testing::TestWithParam<const FaultCase*> {};

TEST_P(FaultTest, AFailedChangeLeavesTheUnionAsItWas) {
  const auto [whiteouts, row] = GetParam();
  const Outcome good = RunOnce(*row, whiteouts, FaultIn::kChanges, kMostSteps);
  ASSERT_EQ(good.error.value(), 0);
  int steps = 0;
  for (int nth = 1; nth < kMostSteps; ++nth) {
    const Outcome run = RunOnce(*row, whiteouts, FaultIn::kChanges, nth);
    if (run.failed_call.empty()) break;
    ++steps;
    SCOPED_TRACE("change " + std::to_string(nth) + ", " + run.failed_call +
                 ", fails; the operation says " + std::to_string(run.error.value()));
    if (run.error.ok()) {
      EXPECT_EQ(WithoutRecentTimes(run.after.remounted), WithoutRecentTimes(good.after.remounted));
    } else {
      EXPECT_EQ(run.error.value(), EIO);
      EXPECT_EQ(run.after.live, run.before.live);
      EXPECT_EQ(run.after.remounted, run.before.remounted);
    }
  }
  EXPECT_GT(steps, 0);
}

TEST_P(FaultyLookTest, AFailedLookLeavesAllOrNothing) {
  const FaultCase* row = GetParam();
  const Outcome good = RunOnce(*row, Whiteouts::kDevice, FaultIn::kReads, kMostSteps);
  ASSERT_EQ(good.error.value(), 0);
  const std::string after_good = WithoutRecentTimes(good.after.remounted);
  for (int nth = 1; nth < kMostSteps; ++nth) {
    const Outcome run = RunOnce(*row, Whiteouts::kDevice, FaultIn::kReads, nth);
    if (run.failed_call.empty()) break;
    const std::string after = WithoutRecentTimes(run.after.remounted);
    const bool whole = after == after_good || after == WithoutRecentTimes(run.before.remounted);
    EXPECT_TRUE(whole) << "look " << nth << ", " << run.failed_call
                       << ", fails; the operation says " << run.error.value() << "; before:\n"
                       << run.before.remounted << "after:\n"
                       << run.after.remounted << "expected:\n"
                       << good.after.remounted;
  }
}

std::vector<const FaultCase*> AllCases() {
  std::vector<const FaultCase*> all;
  for (const FaultCase& row : kFaultCases) all.push_back(&row);
  return all;
}

INSTANTIATE_TEST_SUITE_P(EachOperation, FaultTest,
                         testing::Combine(testing::Values(Whiteouts::kDevice, Whiteouts::kWhFile),
                                          testing::ValuesIn(AllCases())),
                         [](const auto& each) {
                           return std::string(std::get<1>(each.param)->name) +
                                  (std::get<0>(each.param) == Whiteouts::kDevice
                                       ? ""
                                       : "WithWhiteoutFiles");
                         });
INSTANTIATE_TEST_SUITE_P(EachOperation, FaultyLookTest, testing::ValuesIn(AllCases()),
                         [](const auto& each) { return std::string(each.param->name); });

}  // namespace
}  // namespace plyfs::test
