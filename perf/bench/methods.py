"""The ways to find out what a layer has changed, each as (name, what it can do, how it is measured).

A method's answers are compared with what was changed before its times count.
Not here: the unions (rig.py), which scenarios there are (scenarios.py). Thread rule: one thread.
"""

import os
import tempfile
from pathlib import Path, PurePosixPath

from . import graph
from .measure import Failed, run
from .rig import PARKED
from .storage import added

UPPER = "tar of the upper"
QUOTED = 6  # lines of a difference that a message quotes


def with_parents(lines):
    """A list in which each directory above a change is there, as changed if nothing else is said.

    overlay's own driver leaves out directories of the lower in which a file was only written.
    """
    found = dict(line.split(" ", 1)[::-1] for line in lines)
    for path in list(found):
        for parent in PurePosixPath(path).parents:
            if str(parent) != "/":
                found.setdefault(str(parent), "C")
    return {f"{kind} {path}" for path, kind in found.items()}


def tar_of(lines):
    """What a tar of these changes must hold: (is a whiteout, path)."""
    return {(line[0] == "D", line[2:]) for line in with_parents(lines)}


def tar_entries(path):
    """What a tar holds, with all directories above it."""
    found = set()
    for name in run(["tar", "-tf", str(path)], keep_output=True)[3].splitlines():
        entry = PurePosixPath("/", name)
        deleted = entry.name.startswith(".wh.")
        if deleted:
            entry = entry.parent / entry.name[len(".wh.") :]
        if str(entry) != "/":
            found.add((deleted, str(entry)))
            found |= {(False, str(parent)) for parent in entry.parents if str(parent) != "/"}
    return found


def whole_tree(lowers, expected):
    """All that a union shows of lowers without whiteouts and of changes, as a tar must hold it."""
    found = tar_of(expected)
    for layer in lowers:
        for folder, directories, files in os.walk(layer):
            above = "/" / PurePosixPath(folder).relative_to(layer)
            found |= {(False, str(above / name)) for name in (*directories, *files)}
    return found


def compare(what, found, expected):
    if found == expected:
        return
    differences = [f"-{entry}" for entry in sorted(expected - found)[:QUOTED]]
    differences += [f"+{entry}" for entry in sorted(found - expected)[:QUOTED]]
    raise Failed(f"{what} is not what was changed: {', '.join(map(str, differences))}")


class Method:
    """Base of the methods. measure() gives {part: Sample}; parts are those that it can do."""

    def __init__(self, name, union, layers):
        self.name = name
        self.union_name = union
        self.layers = layers

    def measure(self, union, parts, expected):
        """parts: some of list, export, tree. expected: lines to check the answers with, or None."""
        with tempfile.TemporaryDirectory(prefix="plyfs-perf-answer-") as folder:
            list_to, tar_to = Path(folder, "list"), Path(folder, "tar")
            return self._measure(union, parts, expected, list_to, tar_to)

    def _run(self, command, *args, expected=None, list_to="", tar_to="", **kwargs):
        """One call of the program; checks what it wrote if expected is given."""
        check = expected is not None
        samples, _ = self.layers(
            command, *args, list_to=check and list_to, tar_to=check and tar_to, **kwargs
        )
        if check and list_to:
            listed = Path(list_to).read_text(encoding="utf-8").splitlines()
            compare("the list", with_parents(listed), with_parents(expected))
        if check and tar_to:
            compare("the tar", tar_entries(tar_to), tar_of(expected))
        return samples

    def _tree(self, union, expected, tar_to):
        """Diff without a parent, as the naive driver does it: all that the union shows."""
        check = expected is not None
        (sample,), _ = self.layers(
            "tree-tar", union.path, servers=union.servers(), tar_to=check and tar_to
        )
        if check:
            compare("the tar", tar_entries(tar_to), whole_tree(union.lowers, expected))
        return sample


class Naive(Method):
    """containers/storage compares the mounted union with the mounted parent, file by file."""

    def __init__(self, kind, layers):
        super().__init__(f"naive, {kind}", kind, layers)

    def _measure(self, union, parts, expected, list_to, tar_to):
        found = {}
        if "tree" in parts:
            found["tree"] = self._tree(union, expected, tar_to)
        if "list" in parts or "export" in parts:
            parent = union.frozen or union.parent
            args = ("naive", union.path, parent.path)
            files = {"expected": expected, "list_to": list_to, "tar_to": tar_to}
            first, second = self._run(*args, servers=union.servers(parent), **files)
            found |= {"list": first, "export": added(first, second)}
        return found

    def apply(self, source, target):
        servers = [*source.mount.servers, *target.servers]
        return self.layers("tree-apply", source.path, target.path, seconds=0, servers=servers)


class Upper(Method):
    """overlay's own driver looks at the upper directory only."""

    def __init__(self, layers):
        super().__init__(UPPER, "kernel", layers)

    def _measure(self, union, parts, expected, list_to, tar_to):
        found = {}
        args = (union.upper, *union.lowers)
        if "list" in parts:
            (found["list"],) = self._run(
                "upper-list", *args, expected=expected, list_to=list_to
            )
        for part in {"export", "tree"} & set(parts):
            (found[part],) = self._run("upper-tar", *args, expected=expected, tar_to=tar_to)
        return found

    def apply(self, source, target):
        return self.layers("upper-apply", source.upper, target.upper, seconds=0)


class Plyfs(Method):
    """The commands of plyfs, as processes: what an engine would start."""

    def __init__(self, name, program, layers):
        super().__init__(name, "plyfs" if name != PARKED else PARKED, layers)
        self.program = str(program)

    def _call(self, union, command, *args, **kwargs):
        argv = ("run", self.program, command, *args, *union.target)
        (sample,) = self._run(*argv, servers=union.servers(), **kwargs)
        return sample

    def _measure(self, union, parts, expected, list_to, tar_to):
        found = {}
        if "list" in parts:
            found["list"] = self._call(union, "changes", expected=expected, list_to=list_to)
        for part in {"export", "tree"} & set(parts):
            found[part] = self._call(union, "diff", expected=expected, tar_to=tar_to)
        return found

    def _ten_changes(self, union, turn):
        """A checkpoint and ten changes; returns (name of the checkpoint, lines of a list)."""
        name = f"turn-{turn}"
        run([self.program, "checkpoint", "create", name, *union.target])
        with union.awake():
            return name, graph.ten_changes(union.path, turn)

    def measure_since(self, union, turn):
        """The first list and the first tar after ten changes each, and a list once more."""
        found = {}
        with tempfile.TemporaryDirectory(prefix="plyfs-perf-answer-") as folder:
            file = Path(folder, "answer")
            name, lines = self._ten_changes(union, 2 * turn + 1)  # turn 0 was that of everybody
            since = f"--since={name}"
            files = {"expected": lines, "list_to": file}
            found["since-list"] = self._call(union, "changes", since, seconds=0, **files)
            found["since-again"] = self._call(union, "changes", since)
            name, lines = self._ten_changes(union, 2 * turn + 2)
            files = {"expected": lines, "tar_to": file}
            found["since-export"] = self._call(union, "diff", f"--since={name}", seconds=0, **files)
        return found

    def apply(self, source, target):
        apply = [self.program, "apply", "-", str(target.upper)]
        argv = [self.program, "diff", *source.target, "|", *apply]
        return self.layers("run", *argv, seconds=0, servers=source.servers())


def all_methods(contestants, layers):
    """Those whose contestants take part, in the order of the columns."""
    found = [Naive(contestant.name, layers) for contestant in contestants]
    by_name = {contestant.name: contestant for contestant in contestants}
    if "kernel" in by_name:
        found.append(Upper(layers))
    if "plyfs" in by_name:
        program = by_name["plyfs"].plyfs
        found += [Plyfs("plyfs, mounted", program, layers), Plyfs(PARKED, program, layers)]
    return found
