// dir_rename_test.cc: placeholder
