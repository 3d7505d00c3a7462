// inode_flags_test.cc: placeholder
