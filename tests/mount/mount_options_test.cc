// mount_options_test.cc: command lines, those of all known callers included, and what becomes of
// them.
#include "fs/mount/mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

namespace plyfs {
namespace {

using Arguments = std::vector<const char*>;
using List = std::vector<std::string>;

constexpr MountEnvironment kRoot = {.euid_is_root = true};
constexpr MountEnvironment kUser = {.euid_is_root = false};

// The parsed options; a gtest failure and an empty object if the command line is refused.
std::unique_ptr<MountOptions> Parse(const Arguments& arguments,
                                    const MountEnvironment& environment = kRoot) {
  std::string error;
  std::unique_ptr<MountOptions> options = ParseCommandLine(arguments, environment, &error);
  EXPECT_NE(options, nullptr) << error;
  return options ? std::move(options) : std::make_unique<MountOptions>();
}

// The same with `text` behind what every mount needs.
std::unique_ptr<MountOptions> ParseOption(const std::string& text,
                                          const MountEnvironment& environment = kRoot) {
  return Parse({"-o", "lowerdir=l,upperdir=u,workdir=w", "-o", text.c_str(), "m"}, environment);
}

std::string ErrorOf(const Arguments& arguments) {
  std::string error;
  EXPECT_EQ(ParseCommandLine(arguments, kRoot, &error), nullptr);
  return error;
}

std::string ErrorOfOption(const std::string& text) {
  return ErrorOf({"-o", "lowerdir=l,upperdir=u,workdir=w", "-o", text.c_str(), "m"});
}

// --- callers
// ---------------------------------------------------------------------------------------

TEST(Callers, PodmanWritable) {
  const auto options =
      Parse({"-o",
             "lowerdir=l/AAAA:l/BBBB,upperdir=/s/overlay/1/diff,workdir=/s/overlay/1/work,,"
             "volatile,context=\"system_u:object_r:container_file_t:s0:c1,c2\","
             "uidmapping=:0:1000:1:1:110000:65536,gidmapping=:0:1000:1:1:110000:65536,"
             "xattr_permissions=2",
             "/s/overlay/1/merged"});
  EXPECT_EQ(options->layers.lowers, (List{"l/AAAA", "l/BBBB"}));
  EXPECT_EQ(options->layers.upper, "/s/overlay/1/diff");
  EXPECT_EQ(options->layers.work, "/s/overlay/1/work");
  EXPECT_TRUE(options->layers.volatile_upper);
  EXPECT_TRUE(options->overlay.volatile_upper);
  EXPECT_EQ(options->mount.context, "system_u:object_r:container_file_t:s0:c1,c2");
  EXPECT_EQ(options->layers.ids.uids.ToShown(0), 1000u);
  EXPECT_EQ(options->layers.ids.gids.ToShown(5), 110004u);
  EXPECT_EQ(options->layers.override_stat, OverrideStat::kUser);
  EXPECT_EQ(options->mount.mountpoint, "/s/overlay/1/merged");
  EXPECT_FALSE(options->foreground);
  EXPECT_EQ(options->warnings, List{});
}

TEST(Callers, PodmanReadOnlyHasNoUpperAndNeverSaysRo) {
  const auto options = Parse({"-o", "lowerdir=l/AAAA:l/BBBB", "/s/overlay/1/merged"});
  EXPECT_TRUE(options->layers.upper.empty());
  EXPECT_TRUE(options->layers.work.empty());
  EXPECT_TRUE(options->mount.flags & MS_RDONLY);
  EXPECT_EQ(options->warnings, List{});
}

TEST(Callers, PodmanSquashes) {
  const auto options =
      Parse({"-o", "lowerdir=l,upperdir=u,workdir=w,squash_to_uid=7,squash_to_gid=8", "m"});
  EXPECT_EQ(options->layers.ids.squash_uid, 7u);
  EXPECT_EQ(options->layers.ids.squash_gid, 8u);
}

TEST(Callers, BuildahOverlayVolume) {
  const auto options =
      Parse({"-o", R"(lowerdir=/src\:1,upperdir=/o/upper,workdir=/o/work,private,context="a,b")",
             "/o/merge"});
  EXPECT_EQ(options->layers.lowers, List{"/src:1"});
  EXPECT_EQ(options->warnings, List{"unknown argument ignored: private"});
  EXPECT_EQ(options->mount.context, "a,b");
}

TEST(Callers, ContainerdThroughMountFuse3) {
  const auto options =
      Parse({"overlay", "/target", "-o", "workdir=w,upperdir=u,lowerdir=l1:l2,dev,suid"});
  EXPECT_EQ(options->mount.mountpoint, "/target");
  EXPECT_EQ(options->layers.lowers, (List{"l1", "l2"}));
  EXPECT_FALSE(options->mount.flags & (MS_NODEV | MS_NOSUID));
  EXPECT_EQ(options->warnings, List{});
}

TEST(Callers, ContainerdOwnForm) {
  const auto options = Parse({"overlay", "/target", "-o", "workdir=w", "-o", "upperdir=u", "-o",
                              "lowerdir=l", "-t", "fuse-overlayfs"});
  EXPECT_EQ(options->mount.mountpoint, "/target") << "the argument of -t is no mountpoint";
  EXPECT_EQ(options->layers.upper, "u");
  EXPECT_EQ(options->warnings, List{});
}

TEST(Callers, Moby) {
  const auto options = Parse({"-o", "lowerdir=l/A:l/B,upperdir=x/diff,workdir=x/work", "x/merged"});
  EXPECT_EQ(options->layers.lowers.size(), 2u);
  EXPECT_EQ(options->mount.mountpoint, "x/merged");
}

// --- flags
// ------------------------------------------------------------------------------------------

TEST(Flags, ForegroundDebugAndSingleThread) {
  EXPECT_TRUE(Parse({"-f", "-o", "lowerdir=l", "m"})->foreground);
  for (const char* flag : {"-d", "--debug", "-odebug"}) {
    const auto options = Parse({flag, "-olowerdir=l", "m"});
    EXPECT_TRUE(options->debug && options->foreground && options->session.debug) << flag;
  }
  EXPECT_EQ(Parse({"-s", "-olowerdir=l", "m"})->session.threads, 1u);
}

TEST(Flags, HelpAndVersionWinOverWhateverElseIsWrong) {
  for (const char* flag : {"-h", "--help"}) {
    EXPECT_EQ(Parse({flag})->action, Action::kHelp);
  }
  for (const char* flag : {"-V", "--version"}) {
    EXPECT_EQ(Parse({"-o", "fsync=x", flag})->action, Action::kVersion);
  }
}

TEST(Flags, UnknownOnesAreIgnoredWithOneWarningEach) {
  const auto options = Parse({"-x", "--what", "-olowerdir=l,metacopy=on,ro=1", "m", "-n"});
  EXPECT_EQ(options->mount.mountpoint, "m");
  EXPECT_EQ(options->warnings,
            (List{"unknown argument ignored: -x", "unknown argument ignored: --what",
                  "unknown argument ignored: -n", "unknown argument ignored: metacopy=on",
                  "unknown argument ignored: ro=1"}));
}

TEST(Flags, DoubleDashEndsThem) {
  EXPECT_EQ(Parse({"-olowerdir=l", "--", "-m"})->mount.mountpoint, "-m");
}

// --- defaults
// ---------------------------------------------------------------------------------------

TEST(Defaults, OfRoot) {
  const auto options = ParseOption("");
  EXPECT_EQ(options->mount.flags, static_cast<unsigned long>(MS_NOATIME | MS_NODEV));
  EXPECT_TRUE(options->mount.allow_other);
}

TEST(Defaults, OfAUser) {
  const auto options = ParseOption("", kUser);
  EXPECT_EQ(options->mount.flags, static_cast<unsigned long>(MS_NOATIME | MS_NODEV | MS_NOSUID));
  EXPECT_FALSE(options->mount.allow_other);
}

TEST(Defaults, OfTheUnion) {
  const auto options = ParseOption("");
  EXPECT_EQ(options->overlay.redirect_dir, RedirectDir::kOff);
  EXPECT_TRUE(options->overlay.fsync);
  EXPECT_TRUE(options->overlay.xattrs);
  EXPECT_TRUE(options->overlay.acl);
  EXPECT_TRUE(options->session.acl);
  EXPECT_FALSE(options->overlay.volatile_upper);
  EXPECT_FALSE(options->overlay.static_nlink);
  EXPECT_FALSE(options->overlay.ino32);
  EXPECT_FALSE(options->session.writeback);
  EXPECT_EQ(options->session.io, IoMode::kCached);
  EXPECT_TRUE(options->layers.ids.identity());
  EXPECT_EQ(options->layers.override_stat, OverrideStat::kNone);
  EXPECT_FALSE(options->layers.force_wh_whiteouts);
}

TEST(Defaults, TheEnvironmentForcesWhiteoutFiles) {
  const auto options = ParseOption("", {.euid_is_root = true, .disable_ovl_whiteout = true});
  EXPECT_TRUE(options->layers.force_wh_whiteouts);
}

// --- options
// ----------------------------------------------------------------------------------------

TEST(Options, MountFlagsAndTheirOpposites) {
  const auto flags = [](const char* text) { return ParseOption(text)->mount.flags; };
  EXPECT_TRUE(flags("ro") & MS_RDONLY);
  EXPECT_FALSE(flags("ro,rw") & MS_RDONLY);
  EXPECT_TRUE(flags("nosuid") & MS_NOSUID);
  EXPECT_FALSE(flags("nosuid,suid") & MS_NOSUID);
  EXPECT_FALSE(flags("dev") & MS_NODEV);
  EXPECT_TRUE(flags("dev,nodev") & MS_NODEV);
  EXPECT_TRUE(flags("noexec") & MS_NOEXEC);
  EXPECT_FALSE(flags("noexec,exec") & MS_NOEXEC);
  EXPECT_FALSE(flags("atime") & MS_NOATIME);
  EXPECT_TRUE(flags("atime,noatime") & MS_NOATIME);
  EXPECT_TRUE(flags("nodiratime") & MS_NODIRATIME);
  EXPECT_FALSE(flags("nodiratime,diratime") & MS_NODIRATIME);
}

TEST(Options, RwCannotMakeAUnionWithoutUpperWritable) {
  EXPECT_TRUE(Parse({"-olowerdir=l,rw", "m"})->mount.flags & MS_RDONLY);
}

TEST(Options, WorkdirWithoutUpperIsIgnored) {
  const auto options = Parse({"-olowerdir=l,workdir=w", "m"});
  EXPECT_TRUE(options->layers.work.empty());
  EXPECT_EQ(options->warnings, List{"workdir ignored: without upperdir the mount is read-only"});
}

TEST(Options, TheLastOneOfARepeatedOptionCounts) {
  const auto options = ParseOption("lowerdir=x:y,fsync=0,fsync=1");
  EXPECT_EQ(options->layers.lowers, (List{"x", "y"}));
  EXPECT_TRUE(options->overlay.fsync);
}

TEST(Options, SquashToRootYieldsToSquashToUidWhereverItStands) {
  const auto squash = [](const char* text) { return ParseOption(text)->layers.ids; };
  EXPECT_EQ(squash("squash_to_root").squash_uid, 0u);
  EXPECT_EQ(squash("squash_to_root").squash_gid, 0u);
  EXPECT_EQ(squash("squash_to_uid=5,squash_to_root").squash_uid, 5u);
  EXPECT_EQ(squash("squash_to_root,squash_to_uid=5").squash_uid, 5u);
  EXPECT_EQ(squash("squash_to_root,squash_to_uid=5").squash_gid, 0u);
}

TEST(Options, WhatTheUnionDoes) {
  EXPECT_EQ(ParseOption("redirect_dir=on")->overlay.redirect_dir, RedirectDir::kOn);
  for (const char* off : {"redirect_dir=off", "redirect_dir=follow", "redirect_dir=nofollow"}) {
    EXPECT_EQ(ParseOption(off)->overlay.redirect_dir, RedirectDir::kOff) << off;
  }
  EXPECT_FALSE(ParseOption("fsync=0")->overlay.fsync);
  EXPECT_TRUE(ParseOption("static_nlink")->overlay.static_nlink);
  EXPECT_TRUE(ParseOption("ino32_t")->overlay.ino32);
  EXPECT_EQ(ParseOption("xattr_permissions=1")->layers.override_stat, OverrideStat::kPrivileged);
  EXPECT_EQ(ParseOption("xattr_permissions=0")->layers.override_stat, OverrideStat::kNone);
}

TEST(Options, WithoutXattrsOrAclsTheKernelIsNotAskedForAcls) {
  EXPECT_FALSE(ParseOption("noacl")->overlay.acl);
  EXPECT_FALSE(ParseOption("noacl")->session.acl);
  EXPECT_TRUE(ParseOption("noacl")->overlay.xattrs);
  EXPECT_FALSE(ParseOption("noxattrs=1")->overlay.xattrs);
  EXPECT_FALSE(ParseOption("noxattrs=1")->session.acl);
  EXPECT_TRUE(ParseOption("noxattrs=0")->session.acl);
}

TEST(Options, HowRequestsTravel) {
  EXPECT_EQ(ParseOption("")->session.transport, Transport::kDev);
  EXPECT_EQ(ParseOption("transport=auto")->session.transport, Transport::kDev);
  EXPECT_EQ(ParseOption("transport=dev")->session.transport, Transport::kDev);
  EXPECT_EQ(ParseOption("transport=uring")->session.transport, Transport::kUring);
}

TEST(Options, HowTheSessionRuns) {
  EXPECT_EQ(ParseOption("threaded=0")->session.threads, 1u);
  EXPECT_EQ(ParseOption("threaded=1")->session.threads, 0u);
  EXPECT_EQ(ParseOption("threads=3")->session.threads, 3u);
  EXPECT_EQ(ParseOption("poll_us=0")->session.poll_us, 0u);
  EXPECT_TRUE(ParseOption("writeback=1")->session.writeback);
  EXPECT_TRUE(ParseOption("writeback")->session.writeback);
  EXPECT_DOUBLE_EQ(ParseOption("timeout=0.5")->session.timeout, 0.5);
  EXPECT_DOUBLE_EQ(ParseOption("timeout=0")->session.timeout, 0);
  EXPECT_EQ(ParseOption("max_write=65536")->session.max_write, 65536u);
  EXPECT_EQ(ParseOption("max_write=70000")->session.max_write, 69632u) << "whole pages";
  EXPECT_EQ(ParseOption("max_write=1")->session.max_write, 4096u);
  EXPECT_EQ(ParseOption("max_write=99999999999")->session.max_write, 1048576u);
}

TEST(Options, PathsAreUnescaped) {
  const auto options = ParseOption(R"(upperdir=/a\,b,workdir=/c\:d)");
  EXPECT_EQ(options->layers.upper, "/a,b");
  EXPECT_EQ(options->layers.work, "/c:d");
}

TEST(Options, ThoseWithoutEffectAreAcceptedInSilence) {
  const auto options = ParseOption(
      "splice_read,splice_write,splice_move,kernel_cache,fast_ino=1,plugins=a:b,xino=auto,"
      "default_permissions,allow_root,io=auto,transport=dev");
  EXPECT_EQ(options->warnings, List{});
}

TEST(Options, AUserMayAskForAllowOther) {
  EXPECT_TRUE(ParseOption("allow_other", kUser)->mount.allow_other);
}

// --- refusals
// ---------------------------------------------------------------------------------------

struct BadOption {
  const char* text;
  const char* message;
};

class BadOptionTest : public testing::TestWithParam<BadOption> {};

TEST_P(BadOptionTest, IsRefusedByName) {
  EXPECT_EQ(ErrorOfOption(GetParam().text), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadOptionTest,
    testing::Values(
        BadOption{"lowerdir", "option 'lowerdir': a value is missing"},
        BadOption{"lowerdir=", "option 'lowerdir=': no layer given"},
        BadOption{
            "lowerdir=a::b",
            "option 'lowerdir=a::b': empty layer (data-only layers, '::', are not supported)"},
        BadOption{"upperdir=", "option 'upperdir=': empty path"},
        BadOption{"workdir=", "option 'workdir=': empty path"},
        BadOption{"uidmapping=1:2",
                  "option 'uidmapping=1:2': not a list of ID_ON_DISK:ID_SHOWN:LENGTH triples "
                  "joined by colons"},
        BadOption{"gidmapping=a:0:1",
                  "option 'gidmapping=a:0:1': not a list of ID_ON_DISK:ID_SHOWN:LENGTH triples "
                  "joined by colons"},
        BadOption{"squash_to_uid=-1", "option 'squash_to_uid=-1': not a user or group number"},
        BadOption{"squash_to_uid=4294967295",
                  "option 'squash_to_uid=4294967295': not a user or group number"},
        BadOption{"squash_to_gid=root", "option 'squash_to_gid=root': not a user or group number"},
        BadOption{"xattr_permissions=3", "option 'xattr_permissions=3': not 0, 1 or 2"},
        BadOption{"redirect_dir=maybe", "option 'redirect_dir=maybe': neither on nor off"},
        BadOption{"timeout=soon", "option 'timeout=soon': not a number of seconds"},
        BadOption{"timeout=-1", "option 'timeout=-1': not a number of seconds"},
        BadOption{"timeout=nan", "option 'timeout=nan': not a number of seconds"},
        BadOption{"timeout=1x", "option 'timeout=1x': not a number of seconds"},
        BadOption{"threaded=2", "option 'threaded=2': neither 0 nor 1"},
        BadOption{"threads=65", "option 'threads=65': not a number from 0 to 64"},
        BadOption{"poll_us=x",
                  "option 'poll_us=x': not a number of microseconds from 0 to 1000000"},
        BadOption{"fsync=yes", "option 'fsync=yes': neither 0 nor 1"},
        BadOption{"writeback=", "option 'writeback=': neither 0 nor 1"},
        BadOption{"noxattrs=2", "option 'noxattrs=2': neither 0 nor 1"},
        BadOption{"max_write=big", "option 'max_write=big': not a number of bytes"},
        BadOption{"xino=yes", "option 'xino=yes': not on, off or auto"},
        BadOption{"io=fast", "option 'io=fast': not auto, cached or passthrough"},
        BadOption{"io=passthrough,writeback=1",
                  "options io=passthrough and writeback=1: the kernel cannot gather writes that it passes on; leave one of them out"},
        BadOption{"transport=fast", "option 'transport=fast': not auto, dev or uring"}));

TEST(Refusals, WhatIsIndispensable) {
  EXPECT_EQ(ErrorOf({}), "missing mountpoint; see plyfs --help");
  EXPECT_EQ(ErrorOf({"-o", "lowerdir=l"}), "missing mountpoint; see plyfs --help");
  EXPECT_EQ(ErrorOf({"-o", "lowerdir=l", ""}), "missing mountpoint; see plyfs --help");
  EXPECT_EQ(ErrorOf({"m"}), "option lowerdir is missing");
  EXPECT_EQ(ErrorOf({"-o", "upperdir=u,workdir=w", "m"}), "option lowerdir is missing");
  EXPECT_EQ(ErrorOf({"-o", "lowerdir=l,upperdir=u", "m"}),
            "option upperdir needs workdir, a directory on the same filesystem");
  EXPECT_EQ(ErrorOf({"m", "-o"}), "an argument is missing after -o");
}

}  // namespace
}  // namespace plyfs
