// tools_fixture.cc: see tools_fixture.h.
#include "tests/tools/tools_fixture.h"

#include "tests/harness/file_ops.h"

namespace plyfs::test {

Words LinesOf(const std::string& text) {
  Words lines;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(text.substr(begin, end - begin));
  }
  EXPECT_EQ(begin, text.size()) << "no newline at the end of: " << text;
  return lines;
}

std::vector<nlohmann::json> JsonLinesOf(const std::string& text) {
  std::vector<nlohmann::json> objects;
  for (const std::string& line : LinesOf(text)) {
    objects.push_back(nlohmann::json::parse(line, nullptr, false));
    EXPECT_TRUE(objects.back().is_object()) << line;
  }
  return objects;
}

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

ToolsTest::ToolsTest()
    : lower_(temp_.MakeDir("lower")),
      upper_(temp_.MakeDir("upper")),
      work_(temp_.MakeDir("work")),
      mountpoint_(temp_.MakeDir("mnt")) {
  MakeDirs(lower_ + "/sub");
  WriteFile(lower_ + "/a", "a\n");
  WriteFile(lower_ + "/c", "c\n");
  WriteFile(lower_ + "/sub/b", "b\n");
}

void ToolsTest::Mount(const std::string& extra) {
  mount_ = std::make_unique<UnionMount>(
      UnionOptions{.lowers = {lower_}, .upper = upper_, .work = work_, .mountpoint = mountpoint_, .extra = extra});
  ASSERT_TRUE(mount_->ok());
}

ProgramResult ToolsTest::Run(const Words& arguments, const ProgramOptions& how) const {
  Words argv = {PlyfsBinary()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunProgram(argv, how);
}

std::string ToolsTest::Output(const Words& arguments) const {
  const ProgramResult result = Run(arguments);
  EXPECT_EQ(result.exit_code, 0) << testing::PrintToString(arguments);
  EXPECT_EQ(result.err, "") << testing::PrintToString(arguments);
  return result.out;
}

Words ToolsTest::Target() const {
  if (mount_ != nullptr) return {mountpoint_};
  return {"--upper", upper_, "--work", work_, "--lower", lower_};
}

Words ToolsTest::With(Words arguments) const {
  const Words target = Target();
  arguments.insert(arguments.end(), target.begin(), target.end());
  return arguments;
}

}  // namespace plyfs::test
