// rename_matrix_test.cc: placeholder
