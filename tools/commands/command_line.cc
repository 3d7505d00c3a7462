// command_line.cc: see command_line.h. The long form of the help texts are the man pages.
#include "tools/commands/command_line.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>

#include "absl/strings/numbers.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"

namespace plyfs {
namespace {

constexpr const char* kStatus = "Exit status: 0 done, 1 failed, 2 wrong usage.";
constexpr const char* kQuoting =
    "Names that hold control characters, \", \\ or bytes that are no UTF-8 are printed in\n"
    "double quotes, with \\n, \\t, \\r, \\\", \\\\ and \\ooo (octal).\n";

// All options of all commands; a command fills in its own.
struct Arguments {
  ChangesOptions changes;
  DiffOptions diff;
  ApplyCommandOptions apply;
  CheckpointOptions checkpoint;
  WatchOptions watch;
  uint64_t watch_since = 0;
  FsckOptions fsck;
  StatsOptions stats;
};

// One command: what to check that the parser cannot, and what to do.
struct Chosen {
  const TargetOptions* target = nullptr;
  std::function<int()> run;
};

void AddTarget(CLI::App* command, TargetOptions* target) {
  command->add_option("TARGET", target->mountpoint, "the mountpoint of the union")->type_name("");
  const char* group = "Instead of TARGET, for an upper that is not mounted";
  command->add_option("--upper", target->upper, "its upper directory")->group(group)->type_name("DIR");
  command->add_option("--work", target->work, "its work directory")->group(group)->type_name("DIR");
  command->add_option("--lower", target->lowers, "a lower directory, the topmost first; can be given again")
      ->group(group)
      ->type_name("DIR")
      ->allow_extra_args(false);
}

void AddMountpoint(CLI::App* command, std::string* mountpoint) {
  command->add_option("MOUNTPOINT", *mountpoint, "the mountpoint of the union")->required()->type_name("");
}

void AddJson(CLI::App* command, bool* json) { command->add_flag("--json", *json, "print JSON, one object a line"); }

// A script's empty variable must not mean that the option was not given.
CLI::Validator NotEmpty() {
  return CLI::Validator([](std::string& value) { return value.empty() ? "it is empty" : std::string(); }, "");
}

void AddSince(CLI::App* command, std::string* since) {
  command->add_option("--since", *since, "only what has changed since this checkpoint")->type_name("CHECKPOINT")->check(NotEmpty());
}

// The parser takes a number that is too great for the greatest one.
CLI::Validator Sequence() {
  return CLI::Validator([](std::string& value) {
    uint64_t number = 0;
    const bool fits = absl::SimpleAtoi(value, &number) && number != UINT64_MAX;
    return fits ? std::string() : "'" + value + "' is no sequence number";
  }, "");
}

CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& description, const std::string& footer) {
  CLI::App* command = parent->add_subcommand(name, description);
  command->footer(footer);
  return command;
}

// --- the commands ---------------------------------------------------------------------------------

void AddChanges(CLI::App* app, Arguments* arguments, Chosen* chosen) {
  ChangesOptions* options = &arguments->changes;
  CLI::App* command = AddCommand(app, "changes", "Lists what has changed against the lower directories, as `docker diff` does",
                                 std::string("Lines are `A PATH` (added), `C PATH` (changed) or `D PATH` (deleted).\n") + kQuoting +
                                     kStatus);
  AddSince(command, &options->since);
  AddJson(command, &options->json);
  AddTarget(command, &options->target);
  command->callback([=] { *chosen = {.target = &options->target, .run = [=] { return RunChanges(*options); }}; });
}

void AddDiff(CLI::App* app, Arguments* arguments, Chosen* chosen) {
  DiffOptions* options = &arguments->diff;
  CLI::App* command = AddCommand(app, "diff", "Writes what has changed as an OCI image layer",
                                 std::string("The DiffID and the digest go to standard error. SOURCE_DATE_EPOCH is honoured.\n") + kStatus);
  AddSince(command, &options->since);
  command->add_option("-o,--output", options->output, "where to write the layer; it gets its name when it is complete")
      ->type_name("FILE")
      ->check(NotEmpty());
  command->add_option("--compress", options->compression, "none, gzip or zstd")
      ->check(CLI::IsMember({"none", "gzip", "zstd"}))
      ->type_name("METHOD")
      ->capture_default_str();
  AddTarget(command, &options->target);
  command->callback([=] { *chosen = {.target = &options->target, .run = [=] { return RunDiff(*options); }}; });
}

void AddApply(CLI::App* app, Arguments* arguments, Chosen* chosen) {
  ApplyCommandOptions* options = &arguments->apply;
  CLI::App* command =
      AddCommand(app, "apply", "Unpacks an OCI image layer into an upper or lower directory, in the form that overlayfs reads",
                 std::string("The layer may come from anybody: nothing outside of DIRECTORY is touched.\nNo mount may use DIRECTORY.\n") +
                     kStatus);
  command->add_option("LAYER", options->layer, "the layer, a tar, plain or compressed by gzip or zstd; `-`: standard input")->required()->type_name("");
  command->add_option("DIRECTORY", options->directory, "where to unpack it")->required()->type_name("");
  command->callback([=] { *chosen = {.run = [=] { return RunApply(*options); }}; });
}

void AddCheckpoint(CLI::App* app, Arguments* arguments, Chosen* chosen) {
  CheckpointOptions* options = &arguments->checkpoint;
  CLI::App* command = AddCommand(app, "checkpoint", "Names moments, to list what has changed since", kStatus);
  command->require_subcommand(1);
  const auto add = [=](const std::string& name, const std::string& description, int (*run)(const CheckpointOptions&)) {
    CLI::App* sub = AddCommand(command, name, description, kStatus);
    if (name == "list") {
      AddJson(sub, &options->json);
    } else {
      sub->add_option("NAME", options->name, "1 to 128 letters, digits, dots, underscores and hyphens")->required()->type_name("");
    }
    AddTarget(sub, &options->target);
    sub->callback([=] { *chosen = {.target = &options->target, .run = [=] { return run(*options); }}; });
  };
  add("create", "Names the present moment", RunCheckpointCreate);
  add("list", "Lists the checkpoints: time, sequence number, name", RunCheckpointList);
  add("delete", "Forgets a checkpoint", RunCheckpointDelete);
}

void AddWatch(CLI::App* app, Arguments* arguments, Chosen* chosen) {
  WatchOptions* options = &arguments->watch;
  CLI::App* command = AddCommand(app, "watch", "Prints changes as they happen, until the union is unmounted",
                                 std::string("Lines are `SEQUENCE create|modify|delete PATH`, `SEQUENCE rename OLD -> NEW` or\n`SEQUENCE lost`.\n") +
                                     kQuoting + kStatus);
  CLI::Option* since =
      command->add_option("--since", arguments->watch_since, "begin with the events after this one, not with those from now on")
          ->type_name("SEQUENCE")
          ->check(Sequence());
  AddJson(command, &options->json);
  AddMountpoint(command, &options->mountpoint);
  command->callback([=] {
    if (since->count() > 0) options->since = arguments->watch_since;
    *chosen = {.run = [=] { return RunWatch(*options); }};
  });
}

void AddFsck(CLI::App* app, Arguments* arguments, Chosen* chosen) {
  FsckOptions* options = &arguments->fsck;
  CLI::App* command = AddCommand(
      app, "fsck", "Compares the journal with a full walk of the upper",
      std::string(kQuoting) + "Exit status: 0 clean, 1 everything repaired, 4 damage is left, 8 the check failed,\n16 wrong usage.");
  command->add_flag("--repair", options->repair, "mend what can be mended");
  AddJson(command, &options->json);
  AddTarget(command, &options->target);
  command->callback([=] {
    *chosen = {.target = &options->target, .run = [=] { return RunFsck(*options); }};
  });
}

void AddStats(CLI::App* app, Arguments* arguments, Chosen* chosen) {
  StatsOptions* options = &arguments->stats;
  CLI::App* command = AddCommand(app, "stats", "Shows what the server of a mount has done", kStatus);
  CLI::Option* json = command->add_flag("--json", options->json, "print one JSON object");
  command->add_flag("--prometheus", options->prometheus, "print the text format of Prometheus")->excludes(json);
  AddMountpoint(command, &options->mountpoint);
  command->callback([=] { *chosen = {.run = [=] { return RunStats(*options); }}; });
}

// Errors of a command line go where all messages go, with one hint.
int UsageError(const std::string& command, const std::string& message, int status) {
  PrintError(message);
  PrintNote("Try `plyfs " + command + " --help`.");
  return status;
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  CLI::App app("What has changed in a union that plyfs mounts, and layers made of it.", "plyfs");
  app.require_subcommand(1);
  app.set_version_flag("--version", "plyfs: version " PLYFS_VERSION);
  app.failure_message(CLI::FailureMessage::simple);
  Arguments arguments;
  Chosen chosen;
  for (const auto add : {AddChanges, AddDiff, AddApply, AddCheckpoint, AddWatch, AddFsck, AddStats}) {
    add(&app, &arguments, &chosen);
  }
  const std::string command = argc > 1 ? argv[1] : "";
  SetProgramName(command.empty() ? "plyfs" : "plyfs " + command);
  const int usage_status = command == "fsck" ? int{kFsckUsage} : int{kToolUsage};
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {
    app.exit(wanted);  // --help, --version
    std::cout.flush();
    if (!std::cout) return PrintError("cannot write to standard output"), int{kToolFailed};
    return kToolOk;
  } catch (const CLI::Error& error) {
    return UsageError(command, error.what(), usage_status);
  }
  const std::string wrong = chosen.target != nullptr ? chosen.target->Check() : "";
  if (!wrong.empty()) return UsageError(command, wrong, usage_status);
  return chosen.run();
}

}  // namespace plyfs
