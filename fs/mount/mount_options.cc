// mount_options.cc: see mount_options.h. Flags, positional arguments, defaults, and the checks
// across options.
#include "fs/mount/mount_options.h"

#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "fs/mount/option_table.h"
#include "fs/mount/option_text.h"

namespace plyfs {
namespace {

// The command line with flags and positional arguments taken apart, -o texts still whole.
struct CommandLine {
  std::vector<OptionText> options;
  std::string mountpoint;
  std::vector<std::string> unknown;
};

// Consumes the value of a flag that takes one (`-o X` or `-oX`) at `*at`; null if it is missing.
const char* FlagValue(std::span<const char* const> arguments, size_t* at) {
  const char* attached = arguments[*at] + 2;
  if (*attached != '\0') return attached;
  if (*at + 1 == arguments.size()) return nullptr;
  return arguments[++*at];
}

// Flags that only set something. False if `flag` is none of them.
bool ApplyFlag(std::string_view flag, MountOptions* options) {
  if (flag == "-f") {
    options->foreground = true;
  } else if (flag == "-d" || flag == "--debug") {
    options->debug = options->foreground = true;
  } else if (flag == "-s") {
    options->session.threads = 1;
  } else if (flag == "-h" || flag == "--help") {
    options->action = Action::kHelp;
  } else if (flag == "-V" || flag == "--version") {
    options->action = Action::kVersion;
  } else {
    return false;
  }
  return true;
}

bool ReadArguments(std::span<const char* const> arguments, MountOptions* options, CommandLine* line,
                   std::string* error) {
  bool flags_ended = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (flags_ended || argument.empty() || argument[0] != '-' || argument == "-") {
      line->mountpoint = argument;  // the last one: mount.fuse3 puts the source before it
    } else if (argument == "--") {
      flags_ended = true;
    } else if (argument.starts_with("-o") || argument.starts_with("-t")) {
      const char* value = FlagValue(arguments, &i);
      if (value == nullptr) {
        *error = "an argument is missing after " + std::string(argument);
        return false;
      }
      if (argument[1] == 't')
        continue;  // the filesystem type, which mount(8) passes to its helpers
      for (OptionText& option : SplitOptions(value)) line->options.push_back(std::move(option));
    } else if (!ApplyFlag(argument, options)) {
      line->unknown.emplace_back(argument);
    }
  }
  return true;
}

void SetDefaults(const MountEnvironment& environment, MountOptions* options) {
  options->mount.flags = MS_NOATIME | MS_NODEV | (environment.euid_is_root ? 0 : MS_NOSUID);
  options->mount.allow_other = environment.euid_is_root;
  options->layers.force_wh_whiteouts = environment.disable_ovl_whiteout;
}

bool ApplyOptions(CommandLine* line, MountOptions* options, std::string* error) {
  OptionState state{.options = options};
  for (const OptionText& option : line->options) {
    std::string why;
    const OptionOutcome outcome = ApplyOption(option, &state, &why);
    if (outcome == OptionOutcome::kUnknown) line->unknown.push_back(option.written);
    if (outcome == OptionOutcome::kBadValue) {
      *error = "option '" + option.written + "': " + why;
      return false;
    }
  }
  // squash_to_uid and squash_to_gid win over squash_to_root wherever they stand.
  IdMap& ids = options->layers.ids;
  if (state.squash_to_root) {
    ids.squash_uid = ids.squash_uid.value_or(0);
    ids.squash_gid = ids.squash_gid.value_or(0);
  }
  return true;
}

bool CheckWhole(MountOptions* options, std::string* error) {
  LayerStackOptions& layers = options->layers;
  if (options->mount.mountpoint.empty()) {
    *error = "missing mountpoint; see plyfs --help";
  } else if (layers.lowers.empty()) {
    *error = "option lowerdir is missing";
  } else if (!layers.upper.empty() && layers.work.empty()) {
    *error = "option upperdir needs workdir, a directory on the same filesystem";
  } else if (options->session.io == IoMode::kPassthrough && options->session.writeback) {
    *error = "options io=passthrough and writeback=1: the kernel cannot gather writes that it passes on; leave one of them out";
  } else {
    return true;
  }
  return false;
}

void SettleReadOnly(MountOptions* options) {
  LayerStackOptions& layers = options->layers;
  if (!layers.upper.empty()) return;
  if (!layers.work.empty()) {
    options->warnings.push_back("workdir ignored: without upperdir the mount is read-only");
    layers.work.clear();
  }
  options->mount.flags |= MS_RDONLY;
}

}  // namespace

MountEnvironment MountEnvironment::OfProcess() {
  return {.euid_is_root = ::geteuid() == 0,
          .disable_ovl_whiteout = std::getenv("FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT") != nullptr};
}

std::unique_ptr<MountOptions> ParseCommandLine(std::span<const char* const> arguments,
                                               const MountEnvironment& environment,
                                               std::string* error) {
  auto options = std::make_unique<MountOptions>();
  CommandLine line;
  SetDefaults(environment, options.get());
  if (!ReadArguments(arguments, options.get(), &line, error)) return nullptr;
  if (options->action != Action::kMount) return options;
  options->mount.mountpoint = line.mountpoint;
  if (!ApplyOptions(&line, options.get(), error) || !CheckWhole(options.get(), error))
    return nullptr;
  for (const std::string& unknown : line.unknown) {
    options->warnings.push_back("unknown argument ignored: " + unknown);
  }
  SettleReadOnly(options.get());
  // Without xattrs there are no ACLs either, and the kernel need not ask for them.
  options->session.acl = options->overlay.acl = options->overlay.acl && options->overlay.xattrs;
  options->session.debug = options->debug;
  return options;
}

}  // namespace plyfs
