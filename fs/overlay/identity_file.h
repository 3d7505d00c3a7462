// identity_file.h: inode numbers and link counts of one mount, kept for the next in WORKDIR/plyfs/identity.
// Not here: what they mean (ino.h, link_index.h).
// Thread safety: before the first and after the last request.
//
// Text, one record a line, decimal numbers:
//   plyfs-identity 1
//   origin UPPER_INODE BIRTH_NS SHOWN      an upper file shows another number than its own
//   removed DEVICE INODE COUNT             names of a lower file with several links that the union has removed
// It is written at a clean end and deleted when it has been read: after a crash there is none. Then copied-up files show the
// numbers of their upper inodes, and such link counts start anew.
#pragma once

namespace plyfs {

struct Core;

void LoadIdentity(Core& core);
void SaveIdentity(Core& core);

}  // namespace plyfs
