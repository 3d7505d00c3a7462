// copy_up_test.cc: placeholder
