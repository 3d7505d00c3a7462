// option_table.cc: see option_table.h. One row an option; the rows are in the order of
// docs/options.md.
#include "fs/mount/option_table.h"

#include <sys/mount.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

namespace plyfs {
namespace {

// Sets what an option says; returns what is wrong with the value, or null. `value` is still
// escaped.
using Setter = const char* (*)(OptionState& state, std::string_view value);

enum class ValueRule {
  kNone,      // `key`
  kRequired,  // `key=value`
  kSwitch,    // `key=0`, `key=1`, or `key`, which is `key=1`
};

struct OptionRow {
  const char* key;
  ValueRule rule;
  Setter set;
};

constexpr uint32_t kMinWrite = 4096;
constexpr uint32_t kMaxWrite = 1024 * 1024;  // beyond it the kernel splits requests anyway
constexpr unsigned kMaxThreads = 64;
constexpr unsigned kMaxPollUs = 1000000;

template <typename Number>
bool ParseNumber(std::string_view text, Number* number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return failure == std::errc() && end == text.data() + text.size();
}

const char* SetFlag(OptionState& state, unsigned long flag, bool on) {
  unsigned long& flags = state.options->mount.flags;
  flags = on ? flags | flag : flags & ~flag;
  return nullptr;
}

template <unsigned long kFlag, bool kOn>
const char* MountFlag(OptionState& state, std::string_view) {
  return SetFlag(state, kFlag, kOn);
}

// Accepted because callers send it; docs/options.md says why it changes nothing.
const char* NoEffect(OptionState&, std::string_view) { return nullptr; }

const char* SetPath(std::string* path, std::string_view value) {
  *path = Unescape(value);
  return path->empty() ? "empty path" : nullptr;
}

const char* SetLowers(OptionState& state, std::string_view value) {
  std::optional<std::vector<std::string>> lowers = SplitLowers(value);
  if (!lowers) return "empty layer (data-only layers, '::', are not supported)";
  if (lowers->empty()) return "no layer given";
  state.options->layers.lowers = *std::move(lowers);
  return nullptr;
}

const char* SetRanges(IdRanges* ranges, std::string_view value) {
  std::optional<IdRanges> parsed = IdRanges::Parse(Unescape(value));
  if (!parsed) return "not a list of ID_ON_DISK:ID_SHOWN:LENGTH triples joined by colons";
  *ranges = *std::move(parsed);
  return nullptr;
}

const char* SetId(std::optional<uint32_t>* id, std::string_view value) {
  uint32_t number = 0;
  if (!ParseNumber(value, &number) || number == std::numeric_limits<uint32_t>::max()) {
    return "not a user or group number";
  }
  *id = number;
  return nullptr;
}

const char* SetSwitch(bool* on, std::string_view value) {
  if (value != "0" && value != "1") return "neither 0 nor 1";
  *on = value == "1";
  return nullptr;
}

const char* SetXattrPermissions(OptionState& state, std::string_view value) {
  if (value != "0" && value != "1" && value != "2") return "not 0, 1 or 2";
  state.options->layers.override_stat = value == "0"   ? OverrideStat::kNone
                                        : value == "1" ? OverrideStat::kPrivileged
                                                       : OverrideStat::kUser;
  return nullptr;
}

const char* SetRedirectDir(OptionState& state, std::string_view value) {
  // The kernel's other two words say whether redirects that exist are followed, and here they
  // always are.
  if (value != "on" && value != "off" && value != "follow" && value != "nofollow")
    return "neither on nor off";
  state.options->overlay.redirect_dir = value == "on" ? RedirectDir::kOn : RedirectDir::kOff;
  return nullptr;
}

const char* SetTimeout(OptionState& state, std::string_view value) {
  double seconds = 0;
  if (!ParseNumber(value, &seconds) || !std::isfinite(seconds) || seconds < 0)
    return "not a number of seconds";
  state.options->session.timeout = seconds;
  return nullptr;
}

const char* SetThreads(OptionState& state, std::string_view value) {
  if (!ParseNumber(value, &state.options->session.threads) ||
      state.options->session.threads > kMaxThreads) {
    return "not a number from 0 to 64";
  }
  return nullptr;
}

const char* SetThreaded(OptionState& state, std::string_view value) {
  bool threaded = true;
  if (const char* why = SetSwitch(&threaded, value)) return why;
  state.options->session.threads = threaded ? 0 : 1;
  return nullptr;
}

const char* SetPoll(OptionState& state, std::string_view value) {
  if (!ParseNumber(value, &state.options->session.poll_us) ||
      state.options->session.poll_us > kMaxPollUs) {
    return "not a number of microseconds from 0 to 1000000";
  }
  return nullptr;
}

const char* SetMaxWrite(OptionState& state, std::string_view value) {
  uint64_t bytes = 0;
  if (!ParseNumber(value, &bytes)) return "not a number of bytes";
  state.options->session.max_write = static_cast<uint32_t>(
      std::clamp<uint64_t>(bytes, kMinWrite, kMaxWrite) / kMinWrite * kMinWrite);
  return nullptr;
}

const char* SetNoXattrs(OptionState& state, std::string_view value) {
  bool off = false;
  if (const char* why = SetSwitch(&off, value)) return why;
  state.options->overlay.xattrs = !off;
  return nullptr;
}

const char* SetXino(OptionState&, std::string_view value) {
  return value == "on" || value == "off" || value == "auto" ? nullptr : "not on, off or auto";
}

const char* SetJournal(OptionState& state, std::string_view value) {
  if (value != "on" && value != "off") return "not on or off";
  state.options->overlay.journal = value == "on";
  return nullptr;
}

const char* SetIo(OptionState& state, std::string_view value) {
  if (value != "auto" && value != "cached" && value != "passthrough") return "not auto, cached or passthrough";
  state.options->session.io = value == "passthrough" ? IoMode::kPassthrough : IoMode::kCached;
  return nullptr;
}

const char* SetTransport(OptionState& state, std::string_view value) {
  if (value != "auto" && value != "dev" && value != "uring") return "not auto, dev or uring";
  state.options->session.transport = value == "uring" ? Transport::kUring : Transport::kDev;
  return nullptr;
}

constexpr OptionRow kRows[] = {
    // Layers.
    {"lowerdir", ValueRule::kRequired, SetLowers},
    {"upperdir", ValueRule::kRequired,
     [](OptionState& s, std::string_view v) { return SetPath(&s.options->layers.upper, v); }},
    {"workdir", ValueRule::kRequired,
     [](OptionState& s, std::string_view v) { return SetPath(&s.options->layers.work, v); }},
    {"redirect_dir", ValueRule::kRequired, SetRedirectDir},
    {"volatile", ValueRule::kNone,
     [](OptionState& s, std::string_view) -> const char* {
       s.options->layers.volatile_upper = s.options->overlay.volatile_upper = true;
       return nullptr;
     }},
    {"fsync", ValueRule::kSwitch,
     [](OptionState& s, std::string_view v) { return SetSwitch(&s.options->overlay.fsync, v); }},
    // Owners and permissions.
    {"uidmapping", ValueRule::kRequired,
     [](OptionState& s, std::string_view v) { return SetRanges(&s.options->layers.ids.uids, v); }},
    {"gidmapping", ValueRule::kRequired,
     [](OptionState& s, std::string_view v) { return SetRanges(&s.options->layers.ids.gids, v); }},
    {"squash_to_root", ValueRule::kNone,
     [](OptionState& s, std::string_view) -> const char* {
       s.squash_to_root = true;
       return nullptr;
     }},
    {"squash_to_uid", ValueRule::kRequired,
     [](OptionState& s, std::string_view v) {
       return SetId(&s.options->layers.ids.squash_uid, v);
     }},
    {"squash_to_gid", ValueRule::kRequired,
     [](OptionState& s, std::string_view v) {
       return SetId(&s.options->layers.ids.squash_gid, v);
     }},
    {"xattr_permissions", ValueRule::kRequired, SetXattrPermissions},
    {"noacl", ValueRule::kNone,
     [](OptionState& s, std::string_view) -> const char* {
       s.options->overlay.acl = false;
       return nullptr;
     }},
    {"noxattrs", ValueRule::kSwitch, SetNoXattrs},
    {"context", ValueRule::kRequired,
     [](OptionState& s, std::string_view v) -> const char* {
       s.options->mount.context = Unescape(v);
       return nullptr;
     }},
    // What stat(2) shows.
    {"static_nlink", ValueRule::kNone,
     [](OptionState& s, std::string_view) -> const char* {
       s.options->overlay.static_nlink = true;
       return nullptr;
     }},
    {"ino32_t", ValueRule::kNone,
     [](OptionState& s, std::string_view) -> const char* {
       s.options->overlay.ino32 = true;
       return nullptr;
     }},
    {"xino", ValueRule::kRequired, SetXino},
    {"fast_ino", ValueRule::kSwitch, NoEffect},
    {"journal", ValueRule::kRequired, SetJournal},
    // Speed.
    {"timeout", ValueRule::kRequired, SetTimeout},
    {"threads", ValueRule::kRequired, SetThreads},
    {"threaded", ValueRule::kSwitch, SetThreaded},
    {"poll_us", ValueRule::kRequired, SetPoll},
    {"writeback", ValueRule::kSwitch,
     [](OptionState& s, std::string_view v) {
       return SetSwitch(&s.options->session.writeback, v);
     }},
    {"max_write", ValueRule::kRequired, SetMaxWrite},
    {"io", ValueRule::kRequired, SetIo},
    {"transport", ValueRule::kRequired, SetTransport},
    {"splice_read", ValueRule::kNone, NoEffect},
    {"splice_write", ValueRule::kNone, NoEffect},
    {"splice_move", ValueRule::kNone, NoEffect},
    {"kernel_cache", ValueRule::kNone, NoEffect},
    {"plugins", ValueRule::kRequired, NoEffect},
    // The mount.
    {"debug", ValueRule::kNone,
     [](OptionState& s, std::string_view) -> const char* {
       s.options->debug = s.options->foreground = true;
       return nullptr;
     }},
    {"allow_other", ValueRule::kNone,
     [](OptionState& s, std::string_view) -> const char* {
       s.options->mount.allow_other = true;
       return nullptr;
     }},
    {"allow_root", ValueRule::kNone, NoEffect},
    {"default_permissions", ValueRule::kNone, NoEffect},
    {"ro", ValueRule::kNone, MountFlag<MS_RDONLY, true>},
    {"rw", ValueRule::kNone, MountFlag<MS_RDONLY, false>},
    {"suid", ValueRule::kNone, MountFlag<MS_NOSUID, false>},
    {"nosuid", ValueRule::kNone, MountFlag<MS_NOSUID, true>},
    {"dev", ValueRule::kNone, MountFlag<MS_NODEV, false>},
    {"nodev", ValueRule::kNone, MountFlag<MS_NODEV, true>},
    {"exec", ValueRule::kNone, MountFlag<MS_NOEXEC, false>},
    {"noexec", ValueRule::kNone, MountFlag<MS_NOEXEC, true>},
    {"atime", ValueRule::kNone, MountFlag<MS_NOATIME, false>},
    {"noatime", ValueRule::kNone, MountFlag<MS_NOATIME, true>},
    {"diratime", ValueRule::kNone, MountFlag<MS_NODIRATIME, false>},
    {"nodiratime", ValueRule::kNone, MountFlag<MS_NODIRATIME, true>},
};

}  // namespace

OptionOutcome ApplyOption(const OptionText& option, OptionState* state, std::string* why) {
  for (const OptionRow& row : kRows) {
    if (option.key != row.key) continue;
    if (!option.value && row.rule == ValueRule::kRequired) {
      *why = "a value is missing";
      return OptionOutcome::kBadValue;
    }
    // `key=value` of an option that takes none is not the option that we know.
    if (option.value && row.rule == ValueRule::kNone) return OptionOutcome::kUnknown;
    const char* wrong = row.set(*state, option.value ? std::string_view(*option.value) : "1");
    if (wrong == nullptr) return OptionOutcome::kApplied;
    *why = wrong;
    return OptionOutcome::kBadValue;
  }
  return OptionOutcome::kUnknown;
}

}  // namespace plyfs
