// json_test.cc: values survive the way over the wire, whatever bytes their names hold.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "fs/control/json_codec.h"
#include "fs/control/json_path.h"
#include "fs/control/protocol.h"

namespace plyfs::test {
namespace {

using nlohmann::json;

const std::string kOddPaths[] = {"/",
                                 "/plain",
                                 "/new\nline\ttab",
                                 "/quote\"back\\slash",
                                 "/\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",  // ä € and an emoji
                                 "/latin1-\xe4",
                                 "/overlong-\xc0\xaf",
                                 "/surrogate-\xed\xa0\x80",
                                 "/too-large-\xf4\x90\x80\x80",
                                 "/cut-\xe2\x82",
                                 "/\x01\x7f\x1b[2J",
                                 "/" + std::string(255, '\xff')};

TEST(JsonPath, ComesBackAsItWas) {
  for (const std::string& path : kOddPaths) {
    std::string text;
    AppendJsonPath(path, &text);
    const json parsed = json::parse(text, nullptr, false);
    ASSERT_FALSE(parsed.is_discarded()) << text;
    EXPECT_EQ(PathFromJson(parsed), path) << text;
    EXPECT_EQ(parsed, PathToJson(path));
  }
}

TEST(JsonPath, Utf8IsRecognised) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("a\xc3\xa4\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"));
  for (const char* text : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xff",
                           "\xc3", "\xe2\x82", "\xe2\x28\xa1"}) {
    EXPECT_FALSE(IsUtf8(text)) << testing::PrintToString(text);
  }
}

TEST(JsonPath, WhatIsNoPathIsRefused) {
  for (const char* text : {"1", "null", "[]", "{}", R"({"path_bytes":1})", R"({"path_bytes":"*"})"}) {
    EXPECT_EQ(PathFromJson(json::parse(text)), std::nullopt) << text;
  }
}

template <typename T>
T RoundTrip(const T& value) {
  T back;
  const json object = json::parse(ToJson(value), nullptr, false);
  EXPECT_FALSE(object.is_discarded()) << ToJson(value);
  EXPECT_TRUE(FromJson(object, &back)) << ToJson(value);
  EXPECT_EQ(ToJson(back), ToJson(value));
  return back;
}

TEST(JsonCodec, ChangesComeBackAsTheyWere) {
  for (const std::string& path : kOddPaths) {
    const Change change = RoundTrip(Change{.kind = ChangeKind::kAdded,
                                           .path = path,
                                           .type = S_IFDIR,
                                           .renamed_from = path + "-old",
                                           .replaced = true,
                                           .implied = true});
    EXPECT_EQ(change.path, path);
    EXPECT_EQ(change.renamed_from, path + "-old");
    EXPECT_EQ(change.type, mode_t{S_IFDIR});
    EXPECT_TRUE(change.replaced && change.implied);
  }
  EXPECT_EQ(ToJson(Change{.kind = ChangeKind::kDeleted, .path = "/a"}), R"({"kind":"D","path":"/a"})");
}

TEST(JsonCodec, ThePlainFormIsReadAsTheParserReadsIt) {
  const Change changes[] = {
      {.kind = ChangeKind::kDeleted, .path = "/a"},
      {.kind = ChangeKind::kAdded, .path = "/a b", .type = S_IFREG},
      {.kind = ChangeKind::kAdded, .path = "/b\xc3\xa4", .type = S_IFDIR, .renamed_from = "/a", .replaced = true},
      {.kind = ChangeKind::kChanged, .path = "/", .type = S_IFDIR, .implied = true}};
  for (const Change& change : changes) {
    Change read;
    ASSERT_TRUE(ReadPlainChange(ToJson(change), &read)) << ToJson(change);
    EXPECT_EQ(ToJson(read), ToJson(change));
  }
  for (const char* other : {R"({"end":true})", R"({"kind":"A","path":"/a\"b"})", R"({"kind":"A","path":{"path_bytes":"L2E="}})",
                            R"({"kind":"X","path":"/a"})", R"({"kind":"A","path":"/a","more":1})", R"({"kind":"A","path":"/a")", ""}) {
    Change read;
    EXPECT_FALSE(ReadPlainChange(other, &read)) << other;
  }
}

TEST(JsonCodec, TheOthersToo) {
  const ChangeEvent event =
      RoundTrip(ChangeEvent{.sequence = UINT64_MAX, .kind = ChangeEvent::Kind::kRename, .path = "/b\xff", .from = "/a"});
  EXPECT_EQ(event.sequence, UINT64_MAX);
  EXPECT_EQ(event.path, "/b\xff");
  EXPECT_EQ(RoundTrip(ChangeEvent{.sequence = 9, .kind = ChangeEvent::Kind::kLost}).kind, ChangeEvent::Kind::kLost);
  EXPECT_EQ(RoundTrip(Checkpoint{.name = "a", .sequence = 1, .created_ns = -5}).created_ns, -5);
  EXPECT_TRUE(RoundTrip(FsckFinding{.kind = "stale", .path = "/\xff", .detail = "text", .repaired = true}).repaired);
  // A text for people that is no UTF-8 stays one line that can be parsed.
  EXPECT_FALSE(json::parse(ToJson(FsckFinding{.kind = "stale", .detail = "\xff"}), nullptr, false).is_discarded());

  UnionInfo info{.version = "1", .pid = 7, .mountpoint = "/m\n", .layers = {.lowers = {"/a", "/\xff"}, .upper = "/u", .work = "/w"}};
  info.layers.ids.uids = IdRanges({{.on_disk = 0, .shown = 1000, .length = 1}});
  info.layers.ids.squash_gid = 5;
  info.layers.override_stat = OverrideStat::kUser;
  const UnionInfo back = RoundTrip(info);
  EXPECT_EQ(back.layers.lowers, info.layers.lowers);
  EXPECT_EQ(back.layers.ids.ShownUid(0), 1000u);
  EXPECT_EQ(back.layers.ids.squash_gid, 5u);
  EXPECT_EQ(back.layers.override_stat, OverrideStat::kUser);
}

TEST(JsonCodec, WhatIsMissingOrWrongIsRefused) {
  Change change;
  for (const char* text : {"[]", "{}", R"({"kind":"A"})", R"({"kind":"X","path":"/a"})", R"({"kind":1,"path":"/a"})",
                           R"({"kind":"A","path":1})", R"({"kind":"A","path":"/a","implied":1})"}) {
    EXPECT_FALSE(FromJson(json::parse(text), &change)) << text;
  }
  ChangeEvent event;
  for (const char* text : {R"({"sequence":-1,"event":"create","path":"/a"})", R"({"sequence":1,"event":"dance"})",
                           R"({"event":"create"})"}) {
    EXPECT_FALSE(FromJson(json::parse(text), &event)) << text;
  }
}

TEST(Requests, ComeBackAsTheyWere) {
  std::string error;
  const auto watch =
      ParseRequest(ToJson(ControlRequest{.operation = ControlOperation::kWatch, .sequence = UINT64_MAX - 1}), &error);
  ASSERT_TRUE(watch.has_value()) << error;
  EXPECT_EQ(watch->operation, ControlOperation::kWatch);
  EXPECT_EQ(watch->sequence, UINT64_MAX - 1);
  const auto fsck = ParseRequest(ToJson(ControlRequest{.operation = ControlOperation::kCheckJournal, .repair = true}), &error);
  ASSERT_TRUE(fsck.has_value()) << error;
  EXPECT_TRUE(fsck->repair);
}

TEST(Requests, WhatIsWrongIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "JSON object"},
      {"[]", "JSON object"},
      {"{}", "version 1"},
      {R"({"version":2,"request":"info"})", "version 1"},
      {R"({"version":"1","request":"info"})", "version 1"},
      {R"({"version":1})", "'request'"},
      {R"({"version":1,"request":[]})", "'request'"},
      {R"({"version":1,"request":"format"})", "no such request: format"},
      {R"({"version":1,"request":"changes","checkpoint":{}})", "'checkpoint'"},
      {R"({"version":1,"request":"check-journal","repair":"yes"})", "'repair'"},
      {R"({"version":1,"request":"watch","sequence":-1})", "'sequence'"},
      {R"({"version":1,"request":"watch","sequence":18446744073709551615})", "'sequence'"}};
  for (const auto& [line, message] : cases) {
    std::string error;
    EXPECT_FALSE(ParseRequest(line, &error).has_value()) << line;
    EXPECT_NE(error.find(message), std::string::npos) << line << ": " << error;
  }
}

}  // namespace
}  // namespace plyfs::test
