// round_trip_test.cc: a layer over its lower is the union again, for us and for other programs.
#include <gtest/gtest.h>
int dummy_oci_round_trip;
