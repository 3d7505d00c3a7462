// mark_test.cc: placeholder
