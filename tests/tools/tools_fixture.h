// tools_fixture.h: a union in a directory of its own, and the subcommands of plyfs run on it.
// Not here: the control socket's protocol (tests/control).
// Thread safety: none needed, one owner.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/harness/child.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"

namespace plyfs::test {

using Words = std::vector<std::string>;

/// The output's lines, which must all end in a newline.
Words LinesOf(const std::string& text);
/// Each line of the output is one JSON object.
std::vector<nlohmann::json> JsonLinesOf(const std::string& text);
bool Contains(const std::string& text, const std::string& part);

/// The lower holds the files a, c and sub/b; upper and work are empty.
class ToolsTest : public testing::Test {
 protected:
  ToolsTest();

  void Mount(const std::string& extra = "");
  void Unmount() { mount_.reset(); }
  std::string In(const std::string& name) const { return mountpoint_ + "/" + name; }

  /// plyfs ARGUMENTS...
  ProgramResult Run(const Words& arguments, const ProgramOptions& how = {}) const;
  /// The same; the command must succeed and say nothing else. Its output.
  std::string Output(const Words& arguments) const;
  /// TARGET of what is mounted, or the options for what is not.
  Words Target() const;
  Words With(Words arguments) const;

  const TempDir temp_;
  const std::string lower_, upper_, work_, mountpoint_;
  std::unique_ptr<UnionMount> mount_;
};

}  // namespace plyfs::test
