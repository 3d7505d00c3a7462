// many_changes_test.cc: a directory in which many names changed is judged from whole listings of its parts; the same changes a few at
// a time, each in a directory of its own, are judged by looking at each name. Both must say the same.
// Not here: sequences of operations (changes_test.cc).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>

#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

namespace fs = std::filesystem;

constexpr int kCopies = 30;

// One thing that can happen to a name, in a union with two lowers; `top` and `bottom` are directories in them.
struct Happening {
  const char* name;
  std::function<void(const std::string& top, const std::string& bottom)> prepare;
  std::function<void(Union&, const std::string& path)> change;
};

NodeId Parent(Union& u, const std::string& path) { return u.At(path.substr(0, path.rfind('/'))); }
std::string Base(const std::string& path) { return path.substr(path.rfind('/') + 1); }
void Ok(const std::string& path, Errno error) { EXPECT_EQ(error.value(), 0) << path; }

void Create(Union& u, const std::string& path, mode_t mode = S_IFREG | 0644, dev_t device = 0) {
  Ok(path, u.overlay().Mknod(Parent(u, path), Component(Base(path)), {.mode = mode, .rdev = device}, {}).error());
}
void Write(Union& u, const std::string& path) { Ok(path, u.overlay().Write(u.At(path), std::string_view("new"), 0, {}).error()); }
void Remove(Union& u, const std::string& path) {
  u.At(path);
  Ok(path, u.overlay().Unlink(Parent(u, path), Component(Base(path))));
}
void Rename(Union& u, const std::string& from, const std::string& to) {
  Ok(from, u.overlay().Rename(Parent(u, from), Component(Base(from)), Parent(u, to), Component(Base(to)), 0));
}
void Whiteout(const std::string& path) { ASSERT_EQ(::mknod(path.c_str(), S_IFCHR | 0600, 0), 0); }

const Happening kHappenings[] = {
    {"added", [](auto&, auto&) {}, [](Union& u, auto& p) { Create(u, p); }},
    {"fifo", [](auto&, auto&) {}, [](Union& u, auto& p) { Create(u, p, S_IFIFO | 0644); }},
    {"device", [](auto&, auto&) {}, [](Union& u, auto& p) { Create(u, p, S_IFCHR | 0644, makedev(1, 3)); }},
    {"symlink", [](auto&, auto&) {},
     [](Union& u, auto& p) { Ok(p, u.overlay().Symlink(Parent(u, p), Component(Base(p)), "to", {}).error()); }},
    {"directory", [](auto&, auto&) {},
     [](Union& u, auto& p) { Ok(p, u.overlay().Mkdir(Parent(u, p), Component(Base(p)), {.mode = 0755}, {}).error()); }},
    {"gone-again", [](auto&, auto&) {}, [](Union& u, auto& p) { Create(u, p); Remove(u, p); }},
    {"changed-top", [](auto& t, auto&) { WriteHostFile(t, "x"); }, [](Union& u, auto& p) { Write(u, p); }},
    {"changed-bottom", [](auto&, auto& b) { WriteHostFile(b, "x"); }, [](Union& u, auto& p) { Write(u, p); }},
    {"deleted", [](auto&, auto& b) { WriteHostFile(b, "x"); }, [](Union& u, auto& p) { Remove(u, p); }},
    {"replaced", [](auto& t, auto&) { WriteHostFile(t, "x"); }, [](Union& u, auto& p) { Remove(u, p); Create(u, p); }},
    {"hidden-below", [](auto& t, auto& b) { Whiteout(t); WriteHostFile(b, "x"); }, [](Union& u, auto& p) { Create(u, p); }},
    {"hidden-by-wh", [](auto& t, auto& b) { WriteHostFile(t.substr(0, t.rfind('/')) + "/.wh." + Base(t), ""); WriteHostFile(b, "x"); },
     [](Union& u, auto& p) { Create(u, p); }},
    {"renamed", [](auto& t, auto&) { WriteHostFile(t, "x"); }, [](Union& u, auto& p) { Rename(u, p, p + "-new"); }},
    {"linked", [](auto& t, auto&) { WriteHostFile(t, "x"); fs::create_hard_link(t, t + "-b"); }, [](Union& u, auto& p) { Write(u, p); }},
    {"link", [](auto&, auto&) {},
     [](Union& u, auto& p) { Create(u, p); Ok(p, u.overlay().Link(u.At(p), Parent(u, p), Component(Base(p) + "-b")).error()); }},
};

class ManyChangesTest : public testing::TestWithParam<std::tuple<Whiteouts, bool>> {};
INSTANTIATE_TEST_SUITE_P(All, ManyChangesTest,
                         testing::Combine(testing::Values(Whiteouts::kDevice, Whiteouts::kWhFile), testing::Bool()),
                         [](const auto& row) {
                           return std::string(std::get<0>(row.param) == Whiteouts::kDevice ? "Devices" : "WhFiles") +
                                  (std::get<1>(row.param) ? "WithHardLinks" : "");
                         });

using Seen = std::map<std::string, std::string>;

std::string Difference(const Seen& many, const Seen& few) {
  std::string lines;
  for (const auto& [name, line] : many) {
    const auto other = few.find(name);
    if (other == few.end() || other->second != line) lines += name + ": " + line + ", few: " + (other == few.end() ? "none" : other->second) + "\n";
  }
  for (const auto& [name, line] : few) {
    if (!many.contains(name)) lines += name + ": none, few: " + line + "\n";
  }
  return lines;
}

// What is listed of all happenings, by name: those in the one directory of many names, or those in directories of their own.
Seen Observe(Union& u, bool many, const std::string& since, bool links) {
  const Result<std::vector<Change>> changes = u.overlay().Changes(since);
  EXPECT_EQ(changes.error().value(), 0);
  Seen seen;
  for (const Change& change : *changes) {
    const bool is_many = change.path.starts_with("/many/");
    if (is_many != many || change.path.rfind('/') == 0) continue;
    std::string from = change.renamed_from;
    if (!from.empty()) from = Base(from);
    const std::string line = std::string(1, static_cast<char>(change.kind)) + " " + std::to_string(change.type) + " " + from;
    const auto [found, is_new] = seen.try_emplace(Base(change.path), line);
    EXPECT_TRUE(is_new) << change.path;
    (void)found;
  }
  EXPECT_EQ(links, seen.contains("linked0-b"));
  return seen;
}

TEST_P(ManyChangesTest, AreJudgedAsFewAre) {
  const Whiteouts whiteouts = std::get<0>(GetParam());
  const bool links = std::get<1>(GetParam());
  Union u({.lowers = 2, .whiteouts = whiteouts});
  const auto wanted = [&](const Happening& h) {
    const std::string name = h.name;
    // A single one of them makes the lowers' listings worthless.
    if (name == "hidden-by-wh") return whiteouts == Whiteouts::kWhFile;
    return links || !name.starts_with("link");
  };
  const auto dir_of = [](bool many, int copy) { return many ? std::string("/many") : "/few" + std::to_string(copy); };
  const auto for_each = [&](const auto& visit) {
    for (const bool many : {true, false}) {
      for (int copy = 0; copy < kCopies; ++copy) {
        for (const Happening& h : kHappenings) {
          // A few in a directory: below the number from which listings are read.
          const std::string dir = many ? dir_of(true, 0) : dir_of(false, copy) + "-" + h.name;
          if (wanted(h)) visit(h, dir, dir + "/" + h.name + std::to_string(copy));
        }
      }
    }
  };
  for_each([&](const Happening& h, const std::string& dir, const std::string& path) {
    fs::create_directories(u.layer(1) + dir);
    fs::create_directories(u.layer(2) + dir);
    h.prepare(u.layer(1) + path, u.layer(2) + path);
  });
  u.Open();
  ASSERT_EQ(u.overlay().CreateCheckpoint("start").value(), 0);
  for_each([&](const Happening& h, const std::string& /*dir*/, const std::string& path) {
    h.change(u, path.substr(1));
    u.ForgetAll();
  });
  for (const char* since : {"", "start"}) {
    const auto many = Observe(u, true, since, links);
    EXPECT_GE(many.size(), static_cast<size_t>(kCopies) * 12);
    EXPECT_EQ(Difference(many, Observe(u, false, since, links)), "") << since;
  }
  u.Open();
  EXPECT_EQ(Difference(Observe(u, true, "", links), Observe(u, false, "", links)), "") << "after a remount";
}

}  // namespace
}  // namespace plyfs::test
