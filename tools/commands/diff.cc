// diff.cc: plyfs diff: the changes of a union as an OCI layer.
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "fs/oci/layer_writer.h"
#include "fs/overlay/overlay.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"
#include "tools/commands/open_target.h"
#include "tools/commands/output_file.h"
#include "tools/commands/progress.h"

namespace plyfs {
namespace {

LayerCompression CompressionOf(const std::string& name) {
  if (name == "gzip") return LayerCompression::kGzip;
  return name == "zstd" ? LayerCompression::kZstd : LayerCompression::kNone;
}

// reproducible-builds.org/specs/source-date-epoch: a number of seconds; anything else is an error, not to be ignored.
absl::StatusOr<std::optional<int64_t>> SourceDateEpoch() {
  const char* text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return std::nullopt;
  int64_t seconds = 0;
  if (!absl::SimpleAtoi(text, &seconds) || seconds < 0) {
    return absl::InvalidArgumentError(absl::StrCat("SOURCE_DATE_EPOCH is '", text, "', which is no number of seconds; set it to one or unset it"));
  }
  return std::optional<int64_t>(seconds);
}

bool IsToStdout(const DiffOptions& options) { return options.output.empty() || options.output == "-"; }

// What the union shows now, read without its server.
absl::StatusOr<std::unique_ptr<Overlay>> OpenContent(Target& target) {
  absl::StatusOr<UnionInfo> info = target.Info();
  if (!info.ok()) return info.status();
  LayerStackOptions layers = info->layers;
  layers.view = true;
  OverlayConfig config;
  MountError error;
  if (!OpenLayerStack(layers, &config.layers, &error)) return absl::FailedPreconditionError(error.message);
  return std::make_unique<Overlay>(std::move(config));
}

absl::StatusOr<std::vector<Change>> List(Target& target, const std::string& since) {
  const Progress progress("listing the changes", NamesLookedAt(target));
  return target.Changes(since);
}

absl::StatusOr<LayerSummary> Write(const DiffOptions& options, int out) {
  const absl::StatusOr<std::optional<int64_t>> epoch = SourceDateEpoch();
  if (!epoch.ok()) return epoch.status();
  const absl::StatusOr<std::unique_ptr<Target>> target = OpenTarget(options.target);
  if (!target.ok()) return target.status();
  const absl::StatusOr<std::vector<Change>> changes = List(**target, options.since);
  if (!changes.ok()) return changes.status();
  const absl::StatusOr<std::unique_ptr<Overlay>> content = OpenContent(**target);
  if (!content.ok()) return content.status();

  std::atomic<uint64_t> entries = 0;
  std::atomic<uint64_t> bytes = 0;
  const Progress progress("writing the layer", [&]() -> ProgressState {
    return {.done = entries, .total = changes->size(), .counted = absl::StrCat(entries.load(), " entries, ", SizeText(bytes))};
  });
  const LayerWriterOptions how{.compression = CompressionOf(options.compression),
                               .source_date_epoch = *epoch,
                               .progress =
                                   [&](const LayerProgress& so_far) {
                                     entries = so_far.entries;
                                     bytes = so_far.bytes;
                                   },
                               .warning = [](const std::string& text) { PrintError("warning: " + text); }};
  LayerSummary summary;
  LayerError error;
  if (!WriteLayer(**content, *changes, out, how, &summary, &error)) {
    return absl::InternalError((IsToStdout(options) ? "" : "layer '" + options.output + "': ") + error.message);
  }
  return summary;
}

absl::StatusOr<LayerSummary> WriteToFile(const DiffOptions& options) {
  OutputFile file;
  if (absl::Status opened = file.Open(options.output); !opened.ok()) return opened;
  absl::StatusOr<LayerSummary> summary = Write(options, file.fd());
  if (!summary.ok()) return summary;
  if (absl::Status committed = file.Commit(); !committed.ok()) return committed;
  return summary;
}

}  // namespace

int RunDiff(const DiffOptions& options) {
  const bool to_stdout = IsToStdout(options);
  if (to_stdout && ::isatty(STDOUT_FILENO) != 0) {
    PrintError("a layer is no text for a terminal; give --output FILE, or redirect the output");
    return kToolUsage;
  }
  const absl::StatusOr<LayerSummary> summary = to_stdout ? Write(options, STDOUT_FILENO) : WriteToFile(options);
  if (!summary.ok()) return PrintError(summary.status()), kToolFailed;
  PrintNote("DiffID: " + summary->diff_id);
  PrintNote("digest: " + summary->digest);
  return kToolOk;
}

}  // namespace plyfs
