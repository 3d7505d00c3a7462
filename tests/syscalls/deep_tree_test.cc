// deep_tree_test.cc: placeholder
