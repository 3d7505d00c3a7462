// plyfs.cc: the drop-in mount program. All of it is in fs/mount; the subcommands are another program, so that this one stays
// small and starts fast.
#include "fs/mount/mount_main.h"
#include "tools/subcommand.h"

int main(int argc, char** argv) {
  if (argc > 1 && plyfs::IsSubcommand(argv[1])) return plyfs::ExecSubcommand(argv);
  return plyfs::MountMain(argc, argv);
}
