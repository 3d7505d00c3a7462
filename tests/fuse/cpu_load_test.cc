// cpu_load_test.cc: how busy the machine is, read from the kernel's text.
#include "fs/fuse/cpu_load.h"

#include <gtest/gtest.h>

namespace plyfs {
namespace {

TEST(CpuLoadTest, TheRunnableThreadsAreTheNumberBeforeTheSlash) {
  EXPECT_EQ(CpuLoad::RunnableIn("0.20 0.18 0.12 1/80 11206\n"), 1u);
  EXPECT_EQ(CpuLoad::RunnableIn("17.20 0.18 0.12 23/801 11206\n"), 23u);
}

TEST(CpuLoadTest, ATextOfAnotherKindSaysNothing) {
  for (const char* text : {"", "/", "x/y", "0.1 0.2", " /"})
    EXPECT_EQ(CpuLoad::RunnableIn(text), 0u);
}

TEST(CpuLoadTest, ALookIsKeptForAWhile) {
  CpuLoad load;
  const bool first = load.HasSpare(1'000'000'000);
  EXPECT_EQ(load.HasSpare(1'000'000'001), first);
}

}  // namespace
}  // namespace plyfs
