// text_fuzz.cc: a libFuzzer target: any text as what plyfs parses of others: mount options, id mappings, and the values of attributes
// that lie on layers. What is accepted must mean the same when it is written back.
// Not here: the same attributes on real files (marks_fuzz.cc).
// Thread safety: one thread.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fs/layer/acl.h"
#include "fs/layer/id_map.h"
#include "fs/layer/overlay_xattr.h"
#include "fs/layer/override_stat.h"
#include "fs/mount/mount_options.h"
#include "fs/mount/option_text.h"
#include "tests/fuzz/program.h"

namespace plyfs::test {
namespace {

// Words as a shell would hand them over: NUL ends each.
void CommandLine(const std::string& text) {
  std::vector<const char*> arguments;
  for (size_t at = 0; at < text.size(); at += std::char_traits<char>::length(text.c_str() + at) + 1) {
    arguments.push_back(text.c_str() + at);
  }
  std::string error;
  const std::unique_ptr<MountOptions> options = ParseCommandLine(arguments, {.euid_is_root = true}, &error);
  if ((options == nullptr) == error.empty()) Stop("refused without a word, or the reverse");
  if (options == nullptr || options->action != Action::kMount) return;
  if (options->layers.lowers.empty() || options->mount.mountpoint.empty()) Stop("a mount of nothing, or nowhere");
  if (options->layers.upper.empty() != options->layers.work.empty()) Stop("an upper without work, or the reverse");
}

void OptionTexts(const std::string& text) {
  for (const OptionText& option : SplitOptions(text)) {
    if (option.written.empty()) Stop("an empty option");
    Unescape(option.value.value_or(""));
  }
  if (const auto lowers = SplitLowers(text)) {
    for (const std::string& lower : *lowers) {
      if (lower.empty()) Stop("an empty lower");
    }
  }
}

void Mapping(const std::string& text) {
  const std::optional<IdRanges> ranges = IdRanges::Parse(text);
  if (!ranges) return;
  for (const IdRange& range : ranges->ranges()) {
    for (const uint32_t shown : {range.shown, range.shown + (range.length - 1)}) {
      const std::optional<uint32_t> disk = ranges->ToDisk(shown);
      if (!disk || ranges->ToShown(*disk) != shown) Stop("an id does not come back");
    }
  }
}

void OwnerAndMode(const std::string& text) {
  const std::optional<OverriddenStat> stat = ParseOverrideStat(text);
  if (!stat) return;
  const std::string written = FormatOverrideStat(*stat);
  const std::optional<OverriddenStat> again = ParseOverrideStat(written);
  if (!again || FormatOverrideStat(*again) != written || again->rdev != stat->rdev) Stop("an override_stat does not come back");
}

void AttributeName(const std::string& text) {
  if (const std::optional<std::string> stored = EscapeXattrName(text)) {
    if (UnescapeXattrName(*stored) != text) Stop("an attribute's name does not come back");
  }
  if (const std::optional<std::string> shown = UnescapeXattrName(text)) {
    if (EscapeXattrName(*shown) != text) Stop("an attribute's stored name does not come back");
  }
}

void Redirect(const std::string& text) {
  if (!IsSafeRedirect(text)) return;
  if (text.empty() || text.ends_with('/') || ("/" + text + "/").find("/../") != std::string::npos) Stop("a redirect leads out");
}

void Acl(const std::string& text) {
  const Result<InheritedAcl> inherited = InheritAcl(text, 0666);
  if (inherited.ok() && (inherited->mode & ~mode_t{0666}) != 0) Stop("an ACL gives more than was asked for");
  const auto shift = [](uint32_t id) { return std::optional<uint32_t>(id + 1000); };
  const Result<std::string> mapped = MapAclIds(text, shift, shift);
  if (mapped.ok() && mapped->size() != text.size()) Stop("a mapped ACL has another size");
}

}  // namespace
}  // namespace plyfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace plyfs::test;
  constexpr void (*kParsers[])(const std::string&) = {CommandLine, OptionTexts, Mapping, OwnerAndMode, AttributeName, Redirect, Acl};
  Program program(data, size);
  const auto parse = program.Pick(kParsers);
  parse(program.Rest());
  return 0;
}
