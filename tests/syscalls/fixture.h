// fixture.h: a union (or, for ext4, the same visible tree) prepared for one case.
// Not here: writing layers (layer_writer.h), where plyfs differs from the kernel (differences.h).
// Thread safety: gtest's: one case at a time.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"
#include "tests/syscalls/differences.h"
#include "tests/syscalls/layer_writer.h"

namespace plyfs::test {

inline constexpr uid_t kAlice = 65531;
inline constexpr uid_t kBob = 65532;
inline constexpr gid_t kStaff = 65533;

/// The layers of a case. Overwrite what differs from the standard tree.
struct LayerSet {
  LayerWriter& bottom;
  LayerWriter& middle;
  LayerWriter& upper;
};

/// The tree that most cases use; see the table in fixture.cc.
void BuildStandardTree(LayerSet& layers);

/// A non-directory or directory of the standard tree, by what is special about it.
struct TreeObject {
  const char* path;
  mode_t type;
  bool in_upper;  // nothing to copy up
};
/// One of each type from each origin.
extern const std::vector<TreeObject> kTreeObjects;
std::string IdentifierOf(const std::string& path);  // for names of gtest rows

class UnionTest : public testing::Test {
 protected:
  /// Builds and mounts. `extra`: more mount options for the union targets.
  void Start(Target target, const std::string& extra = "");
  /// Called by Start between making the layer directories and mounting.
  virtual void BuildLayers(LayerSet& layers) { BuildStandardTree(layers); }
  void TearDown() override;

  Target target() const { return target_; }
  bool is_union() const { return target_ != Target::kExt4; }
  /// What `difference` says for this target.
  long Expected(const Difference& difference) const;

  std::string P(const std::string& name) const { return *mount_ / name; }
  std::string Root() const { return mount_->path(); }
  /// Where this layer is on disk (for ext4 all are the one tree).
  std::string InUpper(const std::string& name) const { return dir_ / ("upper/" + name); }
  std::string InMiddle(const std::string& name) const;
  UnionMount& mount() { return *mount_; }
  const TempDir& dir() const { return dir_; }
  /// Drops every state that the kernel or the server holds. Nothing for ext4.
  void Remount() { mount_->Remount(); }

 private:
  TempDir dir_;
  Target target_ = Target::kExt4;
  std::unique_ptr<UnionMount> mount_;
};

/// Cases that take no more than the target.
class SyscallTest : public UnionTest, public testing::WithParamInterface<Target> {
 protected:
  void SetUp() override { Start(GetParam()); }
};

/// Cases for each target and each row of a table.
template <typename Row>
class RowTest : public UnionTest, public testing::WithParamInterface<std::tuple<Target, Row>> {
 protected:
  using Param = testing::WithParamInterface<std::tuple<Target, Row>>;
  void SetUp() override { Start(std::get<0>(Param::GetParam())); }
  const Row& row() const { return std::get<1>(Param::GetParam()); }
};

/// The targets of this run: all three.
testing::internal::ParamGenerator<Target> AllTargets();
/// kKernelOverlay and kPlyfs: for what ext4 has no notion of.
testing::internal::ParamGenerator<Target> UnionTargets();
std::string TargetName(const testing::TestParamInfo<Target>& info);

/// Names a row `<Target>_<row.name>`.
struct NameRow {
  template <typename Info>
  std::string operator()(const Info& info) const {
    return std::string(NameOf(std::get<0>(info.param))) + "_" +
           IdentifierOf(std::string(std::get<1>(info.param).name));
  }
};

/// stat of an open descriptor; a gtest failure and zeros when it fails.
struct stat Fstat(int fd);
/// open(2) that must succeed; closes itself.
class OpenFile {
 public:
  OpenFile(const std::string& path, int flags, mode_t mode = 0);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }
  /// The whole content, by pread from 0.
  std::string Content() const;
  void Close();

 private:
  int fd_;
};

/// Builds one of two values of a type for EXPECT_EQ of timespecs.
std::string TimeOf(const timespec& time);
std::string OldTime();

}  // namespace plyfs::test
