// main.cc: the model's command line. Without an option of its own the program is a gtest program.
// Not here: the test cases (model_test.cc).

#include <getopt.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <string>

#include "tests/harness/hang_guard.h"
#include "tests/model/campaign.h"
#include "tests/model/user_namespace.h"

namespace {

using plyfs::model::CampaignOptions;
using plyfs::test::Target;

constexpr char kHelp[] = R"(usage: model_test [gtest options]
       model_test OPTION...
Random sequences of filesystem operations, compared with a model in memory.
  --target=plyfs|kernel|ext4|fuse-overlayfs   what is mounted (default plyfs, from $PLYFS)
  --seed=N       seed of the first round (default: a fresh one)
  --rounds=N     how many rounds, each with the next seed (default 1)
  --minutes=M    rounds until M minutes are over
  --ops=N        operations of a round, of each thread (default 200)
  --threads=N    more than 1: each thread in its own subtree and in a shared directory
  --extra=OPTS   more mount options, as redirect_dir=on
  --vary         the seed decides the umask, too
  --shrink-seconds=N  time for making a failing sequence smaller (default 60; 0: not at all)
  --keep-going   go on after a round that failed
  --wh           whiteouts must be written as .wh.NAME
  --tmpfs        every other lower on a tmpfs
  --rootless     as root of a user namespace (ids 100000 and up)
  --forgetful    inode numbers and st_nlink of lower files need not outlast a remount (journal=off)
  --verbose      print every operation
)";

bool ParseTarget(const std::string& name, Target* target) {
  if (name == "plyfs")
    *target = Target::kPlyfs;
  else if (name == "kernel")
    *target = Target::kKernelOverlay;
  else if (name == "ext4")
    *target = Target::kExt4;
  else if (name == "fuse-overlayfs")
    *target = Target::kFuseOverlayfs;
  else
    return false;
  return true;
}

enum OptionId {
  kTarget = 1000,
  kSeed,
  kRounds,
  kMinutes,
  kOps,
  kThreads,
  kExtra,
  kVary,
  kShrinkSeconds,
  kKeepGoing,
  kForgetful,
  kTmpfs,
  kWh,
  kRootless,
  kVerbose,
  kHelpOption
};

constexpr option kOptions[] = {{"target", required_argument, nullptr, kTarget},
                               {"seed", required_argument, nullptr, kSeed},
                               {"rounds", required_argument, nullptr, kRounds},
                               {"minutes", required_argument, nullptr, kMinutes},
                               {"ops", required_argument, nullptr, kOps},
                               {"threads", required_argument, nullptr, kThreads},
                               {"extra", required_argument, nullptr, kExtra},
                               {"vary", no_argument, nullptr, kVary},
                               {"shrink-seconds", required_argument, nullptr, kShrinkSeconds},
                               {"keep-going", no_argument, nullptr, kKeepGoing},
                               {"forgetful", no_argument, nullptr, kForgetful},
                               {"wh", no_argument, nullptr, kWh},
                               {"tmpfs", no_argument, nullptr, kTmpfs},
                               {"rootless", no_argument, nullptr, kRootless},
                               {"verbose", no_argument, nullptr, kVerbose},
                               {"help", no_argument, nullptr, kHelpOption},
                               {nullptr, 0, nullptr, 0}};

// 0 to run, else the exit code plus 1.
int ParseCommandLine(int argc, char** argv, CampaignOptions* options) {
  std::string extra;
  options->seed = plyfs::model::FreshSeed();
  for (int id; (id = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (id) {
      case kTarget:
        if (!ParseTarget(optarg, &options->run.target)) {
          fprintf(stderr, "model_test: unknown target %s\n", optarg);
          return 3;
        }
        break;
      case kSeed:
        options->seed = strtoull(optarg, nullptr, 10);
        break;
      case kRounds:
        options->rounds = strtoull(optarg, nullptr, 10);
        break;
      case kMinutes:
        options->minutes = atof(optarg);
        break;
      case kOps:
        options->ops = strtoull(optarg, nullptr, 10);
        break;
      case kThreads:
        options->threads = atoi(optarg);
        break;
      case kExtra:
        extra = optarg;
        break;
      case kVary:
        options->vary = true;
        break;
      case kShrinkSeconds:
        options->shrink_seconds = atoi(optarg);
        break;
      case kKeepGoing:
        options->keep_going = true;
        break;
      case kWh:
        options->run.wh_whiteouts = true;
        break;
      case kTmpfs:
        options->run.lowers_on_tmpfs = true;
        break;
      case kRootless:
        options->run.rootless = true;
        break;
      case kForgetful:
        options->run.remembers = false;
        break;
      case kVerbose:
        options->run.verbose = true;
        break;
      case kHelpOption:
        fputs(kHelp, stdout);
        return 1;
      default:
        fputs(kHelp, stderr);
        return 3;
    }
  }
  options->run.extra = plyfs::model::DefaultExtra(options->run.target);
  if (!extra.empty()) options->run.extra += (options->run.extra.empty() ? "" : ",") + extra;
  return 0;
}

bool HasOwnOption(int argc, char** argv) { return argc > 1 && strncmp(argv[1], "--gtest", 7) != 0; }

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  umask(022);
  // Mounts of our own: another program that copies the mount table (unshare -m) would keep them
  // busy after the unmount.
  if (unshare(CLONE_NEWNS) == 0) mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  // Daemons of mount programs become our children when their parents exit, so that they are reaped.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (!HasOwnOption(argc, argv)) {
    plyfs::test::InstallHangGuard();
    return RUN_ALL_TESTS();
  }
  CampaignOptions options;
  const int done = ParseCommandLine(argc, argv, &options);
  if (done != 0) return done - 1;
  if (options.run.rootless && !plyfs::model::IsInUserNamespace()) {
    return plyfs::model::RunInUserNamespace(argv);
  }
  return plyfs::model::RunCampaign(options) == 0 ? 0 : 1;
}
