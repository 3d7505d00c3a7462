// differences.h: every behaviour in which plyfs, kernel overlayfs and ext4 are known to differ.
// Not here: the cases that assert them; each row is used by at least one case.
// Thread safety: constants.
//
// A case that meets a difference asserts the value of its target here. A difference that is in no
// row is a failure of the case that meets it.
#pragma once

#include <errno.h>

namespace plyfs::test {

struct Difference {
  long ext4;
  long kernel_overlay;
  long plyfs;
  const char* reason;
};

// --- plyfs differs from kernel overlayfs -------------------------------------------------------

inline constexpr Difference kOldSharedMappingSeesNewData = {
    1, 0, 1,
    "A shared mapping from before copy-up sees what is written after it: plyfs has one page cache "
    "per file, the kernel keeps the lower file behind the old mapping."};

inline constexpr Difference kLinksOfOpenUnlinkedLower = {
    0, 1, 0, "fstat of an unlinked lower file shows its lower link count in the kernel."};

inline constexpr Difference kReopenOfUnlinkedLower = {
    0, EEXIST, 0,
    "Opening an unlinked lower file for writing through /proc/self/fd: the kernel cannot copy up "
    "what has no name, plyfs copies it up without one."};

inline constexpr Difference kLinksOfRemovedDirectory = {
    0, 1, 0, "The kernel goes on showing the link count that the lower directory has."};

inline constexpr Difference kCollapseRange = {
    0, 0, EOPNOTSUPP, "FUSE passes on preallocation, holes and zeroed ranges only."};

inline constexpr Difference kBlocksOfSparseCopy = {
    16, 4096, 16, "The kernel copies in chunks of 1 MiB and fills holes within a chunk."};
inline constexpr Difference kDataAfterHoleOfSparseCopy = {4 << 20, 4096, 4 << 20,
                                                          "As kBlocksOfSparseCopy."};

inline constexpr Difference kListedNumberOfForeignMergedDirectory = {
    0, 1, 0,
    "d_ino of a merged directory whose upper part the kernel did not make (no origin xattr) is not "
    "its st_ino; nor is d_ino of `..` below one."};

inline constexpr Difference kUpperOfOverlayfs = {
    0, EINVAL, 0, "Kernel overlayfs cannot be the upper of another overlayfs; plyfs can."};

inline constexpr Difference kOpenOfImmutableForWrite = {
    EPERM, EPERM, 0,
    "plyfs is not asked when a file is opened, and the kernel does not know its flags: the first "
    "write fails instead."};

inline constexpr Difference kRemovalOfXattrWhiteouts = {
    0, 1, 0,
    "rm -r of a merged directory whose lower part holds xattr whiteouts fails in the kernel "
    "(6.18)."};

inline constexpr Difference kMknodOfWhiteout = {
    0, EPERM, 0,
    "A character device 0:0 is a whiteout in an upper, so the kernel refuses to make one. plyfs "
    "keeps a user's as a marked file, shows it as the device, and so can be the upper of an "
    "overlayfs."};

inline constexpr Difference kRenameWhiteoutFlag = {
    0, EINVAL, 0, "As kMknodOfWhiteout: an overlayfs on plyfs needs it."};

// --- both unions differ from ext4 --------------------------------------------------------------

inline constexpr Difference kRenameOfLowerDirectory = {
    0, EXDEV, EXDEV,
    "redirect_dir is off by default, and a lower directory cannot be moved without one."};

inline constexpr Difference kFileHandles = {
    0, EOPNOTSUPP, EOPNOTSUPP,
    "name_to_handle_at: the kernel has nfs_export=off, plyfs declares NO_EXPORT_SUPPORT."};

}  // namespace plyfs::test
