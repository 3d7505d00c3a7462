// usage.h: what --help and --version print.
// Thread safety: pure functions.
#pragma once

namespace plyfs {

void PrintHelp();
void PrintVersion();
// Starts with "plyfs: version X"; the next two lines have the form that fuse-overlayfs prints, for
// those who show them.
const char* VersionText();

}  // namespace plyfs
