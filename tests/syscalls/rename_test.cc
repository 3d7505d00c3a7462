// rename_test.cc: placeholder
