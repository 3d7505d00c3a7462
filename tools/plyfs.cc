// plyfs.cc: the drop-in mount program. All of it is in fs/mount.
#include "fs/mount/mount_main.h"

int main(int argc, char** argv) { return plyfs::MountMain(argc, argv); }
