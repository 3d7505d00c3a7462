// layers.go: makes lists and tars of a layer's changes with the code of containers/storage itself, as
// the drivers of podman, buildah and CRI-O do, or runs other programs, and prints what it cost.
// Not here: mounting, repeating in rounds, comparing (perf/diff does that).
// Thread rule: one goroutine, beside those that containers/storage starts.
//
// A command is repeated until --seconds have passed, once at least, and its cost printed as one JSON
// object: the wall clock, the CPU time of this process and of the programs that it ran, and the CPU
// time of each --server process. Where a command has several steps, each step's cost is its own.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
	"time"

	"github.com/containers/storage/pkg/archive"
	"github.com/containers/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// A single stat is shorter than reading the clocks.
const (
	times     = 1000
	timesText = "1000"
)

const usage = `usage: layers [OPTION]... COMMAND ARG...

  naive NEW OLD             two steps: compares two trees, and writes the differences as a tar: what the
                            naive driver does, over which all mount programs are used
  upper-list UPPER LOWER... lists the changes in an upper directory, as overlay's own driver does
  upper-tar UPPER LOWER...  a tar of an upper directory, as overlay's own driver makes it
  tree-tar DIR              a tar of all below a directory: the naive driver's Diff without a parent
  tree-apply SOURCE TARGET  tree-tar, unpacked into another union: the naive driver's Diff and ApplyDiff
  upper-apply SOURCE TARGET upper-tar, unpacked into another upper directory
  run PROGRAM ARG... [ '|' PROGRAM ARG... ]
                            runs a program, or two with a pipe between them; reads what it prints
  start PATH PROGRAM ARG... runs a program, then stat(PATH): how long a mount takes to be usable
  stat PATH                 ` + timesText + ` stats
  read PATH                 opens, reads and closes a file ` + timesText + ` times
options:
`

// step is one part of a command; the last of them may be followed by reports.
type step func() error

// command is what is repeated, and how to write what it found: only asked for after the measuring.
type command struct {
	steps     []step
	writeList func(io.Writer) error
	writeTar  func(io.Writer) error
	// entries is how many changes were found, when that is known.
	entries func() int
}

func copyAll(archive io.ReadCloser, err error, to io.Writer) error {
	if err != nil {
		return err
	}
	defer archive.Close()
	_, err = io.Copy(to, archive)
	return err
}

func writeChanges(to io.Writer, changes []archive.Change) error {
	lines := make([]string, 0, len(changes))
	for _, change := range changes {
		lines = append(lines, change.String()+"\n")
	}
	sort.Strings(lines)
	_, err := io.WriteString(to, strings.Join(lines, ""))
	return err
}

func naive(newDir, oldDir string) command {
	mappings := &idtools.IDMappings{}
	var changes []archive.Change
	export := func(to io.Writer) error {
		tar, err := archive.ExportChanges(newDir, changes, nil, nil)
		return copyAll(tar, err, to)
	}
	compare := func() (err error) {
		changes, err = archive.ChangesDirs(newDir, mappings, oldDir, mappings)
		return err
	}
	return command{
		steps:     []step{compare, func() error { return export(io.Discard) }},
		writeList: func(to io.Writer) error { return writeChanges(to, changes) },
		writeTar:  export,
		entries:   func() int { return len(changes) },
	}
}

func upperList(upper string, lowers []string) command {
	var changes []archive.Change
	return command{
		steps: []step{func() (err error) {
			changes, err = archive.OverlayChanges(lowers, upper)
			return err
		}},
		writeList: func(to io.Writer) error { return writeChanges(to, changes) },
		entries:   func() int { return len(changes) },
	}
}

func upperTar(upper string, lowers []string) (io.ReadCloser, error) {
	return archive.TarWithOptions(upper, &archive.TarOptions{
		Compression:    archive.Uncompressed,
		WhiteoutFormat: archive.OverlayWhiteoutFormat,
		WhiteoutData:   lowers,
	})
}

func treeTar(dir string) (io.ReadCloser, error) {
	return archive.TarWithOptions(dir, &archive.TarOptions{Compression: archive.Uncompressed})
}

func exportOnly(make func() (io.ReadCloser, error)) command {
	write := func(to io.Writer) error {
		tar, err := make()
		return copyAll(tar, err, to)
	}
	return command{steps: []step{func() error { return write(io.Discard) }}, writeTar: write}
}

func applyTo(make func() (io.ReadCloser, error), apply func(io.Reader) error) command {
	return command{steps: []step{func() error {
		tar, err := make()
		if err != nil {
			return err
		}
		defer tar.Close()
		return apply(tar)
	}}}
}

// program is a command of argv; its messages are kept for the case that it fails.
func program(argv []string) (*exec.Cmd, *strings.Builder) {
	cmd := exec.Command(argv[0], argv[1:]...)
	messages := &strings.Builder{}
	cmd.Stderr = messages
	return cmd, messages
}

func explained(argv []string, messages *strings.Builder, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(messages.String()))
}

// runPrograms runs argv, in which "|" stands between two programs. The output is read through a
// pipe, as an engine reads it.
func runPrograms(argv []string, out io.Writer) error {
	for i, word := range argv {
		if word == "|" {
			return runPair(argv[:i], argv[i+1:], out)
		}
	}
	cmd, messages := program(argv)
	cmd.Stdout = struct{ io.Writer }{out}
	return explained(argv, messages, cmd.Run())
}

func runPair(first, second []string, out io.Writer) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	from, fromMessages := program(first)
	to, toMessages := program(second)
	from.Stdout, to.Stdin, to.Stdout = writer, reader, struct{ io.Writer }{out}
	startErr := to.Start()
	reader.Close()
	if startErr != nil {
		writer.Close()
		return startErr
	}
	runErr := from.Run()
	writer.Close()
	waitErr := to.Wait()
	if runErr != nil {
		return explained(first, fromMessages, runErr)
	}
	return explained(second, toMessages, waitErr)
}

func startProgram(path string, argv []string) error {
	cmd, messages := program(argv)
	// A server that goes on in the background keeps standard error open: a file, nobody waits for it.
	file, err := os.CreateTemp("", "layers-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	cmd.Stderr = file
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(file.Name())
		messages.Write(text)
		return explained(argv, messages, err)
	}
	_, err = os.Stat(path)
	return err
}

func manyTimes(one step) command {
	return command{steps: []step{func() error {
		for i := 0; i < times; i++ {
			if err := one(); err != nil {
				return err
			}
		}
		return nil
	}}}
}

func commandOf(name string, args []string) (command, error) {
	need := map[string]int{"naive": 2, "upper-list": 2, "upper-tar": 2, "tree-tar": 1, "tree-apply": 2,
		"upper-apply": 2, "run": 1, "start": 2, "stat": 1, "read": 1}
	if count, known := need[name]; !known || len(args) < count {
		return command{}, fmt.Errorf("unknown command or too few arguments: %s", name)
	}
	switch name {
	case "naive":
		return naive(args[0], args[1]), nil
	case "upper-list":
		return upperList(args[0], args[1:]), nil
	case "upper-tar":
		return exportOnly(func() (io.ReadCloser, error) { return upperTar(args[0], args[1:]) }), nil
	case "tree-tar":
		return exportOnly(func() (io.ReadCloser, error) { return treeTar(args[0]) }), nil
	case "tree-apply":
		return applyTo(func() (io.ReadCloser, error) { return treeTar(args[0]) }, func(tar io.Reader) error {
			_, err := archive.ApplyUncompressedLayer(args[1], tar, &archive.TarOptions{})
			return err
		}), nil
	case "upper-apply":
		return applyTo(func() (io.ReadCloser, error) { return upperTar(args[0], nil) }, func(tar io.Reader) error {
			options := &archive.TarOptions{WhiteoutFormat: archive.OverlayWhiteoutFormat}
			return archive.UntarUncompressed(tar, args[1], options)
		}), nil
	case "run":
		return command{
			steps:     []step{func() error { return runPrograms(args, io.Discard) }},
			writeList: func(to io.Writer) error { return runPrograms(args, to) },
			writeTar:  func(to io.Writer) error { return runPrograms(args, to) },
		}, nil
	case "start":
		return command{steps: []step{func() error { return startProgram(args[0], args[1:]) }}}, nil
	case "stat":
		return manyTimes(func() error { _, err := os.Stat(args[0]); return err }), nil
	default:
		return manyTimes(func() error { _, err := os.ReadFile(args[0]); return err }), nil
	}
}

// cost is what the steps took so far, in nanoseconds.
type cost struct {
	Wall   int64 `json:"wall_ns"`
	Client int64 `json:"client_cpu_ns"`
	Server int64 `json:"server_cpu_ns"`
}

func usedBy(who int) int64 {
	var used unix.Rusage
	if unix.Getrusage(who, &used) != nil {
		return 0
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

func now(servers []int) cost {
	found := cost{Client: usedBy(unix.RUSAGE_SELF) + usedBy(unix.RUSAGE_CHILDREN)}
	for _, pid := range servers {
		var clock unix.Timespec
		// The clock of a whole other process, as clock_getcpuclockid(3) names it.
		if unix.ClockGettime(int32(^pid)<<3|2, &clock) == nil {
			found.Server += clock.Nano()
		}
	}
	var wall unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &wall) == nil {
		found.Wall = wall.Nano()
	}
	return found
}

func measure(what command, servers []int, limit time.Duration) (ops int, costs []cost, err error) {
	costs = make([]cost, len(what.steps))
	start := time.Now()
	for ops == 0 || time.Since(start) < limit {
		for i, one := range what.steps {
			before := now(servers)
			if err := one(); err != nil {
				return 0, nil, err
			}
			after := now(servers)
			costs[i].Wall += after.Wall - before.Wall
			costs[i].Client += after.Client - before.Client
			costs[i].Server += after.Server - before.Server
		}
		ops++
	}
	return ops, costs, nil
}

func writeTo(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	if write == nil {
		return fmt.Errorf("this command has nothing to write to %s", path)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return write(file)
}

func run() error {
	var servers []int
	flag.Func("server", "`PID` of a process whose CPU time is counted too; may be repeated", func(text string) error {
		var pid int
		_, err := fmt.Sscanf(text, "%d", &pid)
		servers = append(servers, pid)
		return err
	})
	seconds := flag.Float64("seconds", 0, "repeat until this `TIME` has passed")
	list := flag.String("list", "", "afterwards write the list of changes to this `FILE`")
	tar := flag.String("tar", "", "afterwards write the tar to this `FILE`")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage); flag.PrintDefaults() }
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	what, err := commandOf(flag.Arg(0), flag.Args()[1:])
	if err != nil {
		return err
	}
	ops, costs, err := measure(what, servers, time.Duration(*seconds*float64(time.Second)))
	if err != nil {
		return err
	}
	if err := writeTo(*list, what.writeList); err != nil {
		return err
	}
	if err := writeTo(*tar, what.writeTar); err != nil {
		return err
	}
	result := map[string]interface{}{"ops": ops, "steps": costs}
	if what.entries != nil {
		result["entries"] = what.entries()
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
}
