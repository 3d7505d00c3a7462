// stats.cc: plyfs stats: as a table, as JSON, and in the text format of Prometheus.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "fs/control/json_codec.h"
#include "fs/control/target.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"
#include "tools/commands/progress.h"

namespace plyfs {
namespace {

std::string Format(const char* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string Number(uint64_t value) { return std::to_string(value); }

// --- for people -----------------------------------------------------------------------------------

// A time that so many of 1000 requests stayed below, in microseconds, as the bounds of the buckets tell it.
std::string Quantile(const OperationStats& operation, uint64_t per_mille) {
  uint64_t seen = 0;
  for (size_t i = 0; i < operation.buckets.size(); ++i) {
    seen += operation.buckets[i];
    if (seen * 1000 < operation.count * per_mille) continue;
    return i + 1 < operation.buckets.size() ? "<" + Number(uint64_t{1} << i) : ">=" + Number(uint64_t{1} << (i - 1));
  }
  return "-";
}

void PrintOperations(const StatsReport& report) {
  if (report.operations.empty()) return;
  PrintLine("");
  PrintLine(Format("%-20s %12s %10s %10s %10s", "operation", "requests", "mean us", "50 % us", "99 % us"));
  for (const OperationStats& operation : report.operations) {
    const double mean = static_cast<double>(operation.nanoseconds) / static_cast<double>(operation.count) / 1000;
    PrintLine(Format("%-20s %12llu %10.1f %10s %10s", operation.name.c_str(), static_cast<unsigned long long>(operation.count),
                     mean, Quantile(operation, 500).c_str(), Quantile(operation, 990).c_str()));
  }
}

void PrintTable(const StatsReport& report) {
  const auto row = [](const char* name, const std::string& value) { PrintLine(Format("%-20s ", name) + value); };
  const JournalStats& journal = report.journal;
  row("threads", Number(report.threads));
  row("nodes", Number(report.overlay.nodes));
  row("open descriptors", Number(report.overlay.open_descriptors));
  row("examined names", Number(report.overlay.examined_names) + " by lists of changes and checks");
  row("copied-up files", Number(report.overlay.copied_up_files));
  row("copied-up bytes", Number(report.overlay.copied_up_bytes) + " (" + SizeText(report.overlay.copied_up_bytes) + ")");
  row("journal", journal.lost ? "lost: the next list of changes reads the whole upper" : journal.open ? "open" : "not open");
  row("journal sequence", Number(journal.sequence));
  row("journal lag", Number(journal.pending_records) + " records not in the database yet");
  row("journal size", SizeText(journal.database_bytes));
  PrintOperations(report);
}

// --- for Prometheus -------------------------------------------------------------------------------

// A label's value: backslash, quote and newline are escaped, and it must be UTF-8.
std::string LabelValue(const std::string& text) {
  std::string value;
  for (const char c : text) {
    if (c == '\\' || c == '"') value += '\\';
    value += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return value;
}

class PrometheusText {
 public:
  explicit PrometheusText(const std::string& mountpoint) : label_("mountpoint=\"" + LabelValue(QuoteName(mountpoint)) + "\"") {}

  void Metric(const char* name, const char* type, const char* help, uint64_t value) const {
    Head(name, type, help);
    PrintLine("plyfs_" + std::string(name) + "{" + label_ + "} " + Number(value));
  }

  void Durations(const std::vector<OperationStats>& operations) const {
    Head("request_duration_seconds", "histogram", "Time from the receipt of a request to its reply.");
    for (const OperationStats& operation : operations) Durations(operation);
  }

 private:
  void Head(const std::string& name, const char* type, const char* help) const {
    PrintLine("# HELP plyfs_" + name + " " + help);
    PrintLine("# TYPE plyfs_" + name + " " + type);
  }

  void Durations(const OperationStats& operation) const {
    const std::string labels = label_ + ",operation=\"" + LabelValue(operation.name) + "\"";
    const std::string name = "plyfs_request_duration_seconds";
    // The buckets are read one by one while the server goes on: their sum is the count that fits to them.
    uint64_t cumulative = 0;
    for (size_t i = 0; i < operation.buckets.size(); ++i) {
      cumulative += operation.buckets[i];
      const bool last = i + 1 == operation.buckets.size();
      const std::string bound = last ? "+Inf" : Format("%.6f", static_cast<double>(uint64_t{1} << i) / 1e6);
      PrintLine(absl::StrCat(name, "_bucket{", labels, ",le=\"", bound, "\"} ", cumulative));
    }
    PrintLine(name + "_sum{" + labels + "} " + Format("%.9f", static_cast<double>(operation.nanoseconds) / 1e9));
    PrintLine(name + "_count{" + labels + "} " + Number(cumulative));
  }

  const std::string label_;
};

void PrintPrometheus(const std::string& mountpoint, const StatsReport& report) {
  const PrometheusText text(mountpoint);
  const JournalStats& journal = report.journal;
  text.Durations(report.operations);
  text.Metric("copied_up_files_total", "counter", "Files copied up since the mount.", report.overlay.copied_up_files);
  text.Metric("copied_up_bytes_total", "counter", "Bytes copied up since the mount.", report.overlay.copied_up_bytes);
  text.Metric("nodes", "gauge", "Objects that the kernel refers to.", report.overlay.nodes);
  text.Metric("examined_names_total", "counter", "Names that lists of changes and checks have looked at.", report.overlay.examined_names);
  text.Metric("open_descriptors", "gauge", "Descriptors in the caches.", report.overlay.open_descriptors);
  text.Metric("threads", "gauge", "Threads that serve requests.", report.threads);
  text.Metric("journal_open", "gauge", "1: the database is open.", journal.open ? 1 : 0);
  text.Metric("journal_lost", "gauge", "1: the journal could not be written.", journal.lost ? 1 : 0);
  text.Metric("journal_sequence", "counter", "Number of the last event.", journal.sequence);
  text.Metric("journal_pending_records", "gauge", "Records that are not in the database yet.", journal.pending_records);
  text.Metric("journal_database_bytes", "gauge", "Size of the database on disk.", journal.database_bytes);
}

// A label must not depend on from where it was asked.
std::string AbsolutePath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> absolute(::realpath(path.c_str(), nullptr), std::free);
  return absolute != nullptr ? absolute.get() : path;
}

}  // namespace

int RunStats(const StatsOptions& options) {
  const absl::StatusOr<std::unique_ptr<LiveTarget>> target = OpenMounted(options.mountpoint);
  if (!target.ok()) return PrintError(target.status()), kToolFailed;
  const absl::StatusOr<StatsReport> report = (*target)->Stats();
  if (!report.ok()) return PrintError(report.status()), kToolFailed;
  if (options.json) {
    PrintLine(ToJson(*report));
  } else if (options.prometheus) {
    PrintPrometheus(AbsolutePath(options.mountpoint), *report);
  } else {
    PrintTable(*report);
  }
  FlushOutput();
  return kToolOk;
}

}  // namespace plyfs
