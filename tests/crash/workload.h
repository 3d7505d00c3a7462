// workload.h: lower files that tell who they are, threads that change a union at random, and what must
// hold in it afterwards whenever its server was killed.
// Not here: killing (kill_test.cc), the journal (full_walk.h).
// Thread safety: RunThread may run in several threads at once; the rest belongs to one.
//
// A lower file is four pages: the first says which file it is and is never written; the others are all
// of one byte each, as is every page that a thread writes. So a page that is not uniform, or a lower
// file of another size, is a copy or a write that was half visible.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace plyfs::crash {

/// Fills an empty directory: files with one name and with three, in two levels.
void MakeLower(const std::string& lower);

/// Changes the tree below `mount` until the server is gone or `stop` is set. Returns how many
/// operations there were.
uint64_t RunThread(const std::string& mount, uint64_t seed, const std::atomic<bool>& stop);

/// st_ino of each lower file, by its number.
std::map<int, ino_t> Numbers(const std::string& mount);

/// Looks at all of it. What is wrong with content, numbers and link counts.
std::vector<std::string> CheckTree(const std::string& mount, const std::map<int, ino_t>& numbers);

/// Names whose st_nlink is not the number of names, in any tree.
std::vector<std::string> WrongLinkCounts(const std::string& mount);

}  // namespace plyfs::crash
