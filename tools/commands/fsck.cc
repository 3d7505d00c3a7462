// fsck.cc: plyfs fsck.
#include <algorithm>

#include "fs/control/json_codec.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"
#include "tools/commands/open_target.h"
#include "tools/commands/progress.h"

namespace plyfs {
namespace {

absl::StatusOr<std::vector<FsckFinding>> Check(const FsckOptions& options) {
  const absl::StatusOr<std::unique_ptr<Target>> target = OpenTarget(options.target);
  if (!target.ok()) return target.status();
  const Progress progress(options.repair ? "repairing the journal" : "checking the journal", NamesLookedAt(**target));
  return (*target)->CheckJournal(options.repair);
}

std::string LineOf(const FsckFinding& finding) {
  std::string line = finding.kind;
  if (!finding.path.empty()) line += " " + QuoteName(finding.path, Spaces::kQuoted);
  line += ": " + finding.detail;
  return finding.repaired ? line + " (repaired)" : line;
}

std::string Summary(size_t found, size_t repaired, bool repair) {
  if (found == 0) return "clean";
  std::string text = std::to_string(found) + (found == 1 ? " problem" : " problems");
  if (repair) return text + ", " + std::to_string(repaired) + " repaired";
  return text + "; with --repair they are mended";
}

}  // namespace

int RunFsck(const FsckOptions& options) {
  const absl::StatusOr<std::vector<FsckFinding>> findings = Check(options);
  if (!findings.ok()) return PrintError(findings.status()), kFsckFailed;
  for (const FsckFinding& finding : *findings) PrintLine(options.json ? ToJson(finding) : LineOf(finding));
  FlushOutput();
  const auto repaired = static_cast<size_t>(
      std::count_if(findings->begin(), findings->end(), [](const FsckFinding& finding) { return finding.repaired; }));
  if (!options.json) PrintNote(Summary(findings->size(), repaired, options.repair));
  if (findings->empty()) return kFsckClean;
  return repaired == findings->size() ? kFsckRepaired : kFsckDamaged;
}

}  // namespace plyfs
