// syscalls_pch.h: what every file of this program includes; gtest takes most of the compile time.
#include <gtest/gtest.h>

#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"
