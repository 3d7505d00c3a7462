"""Which layers the methods are measured on: those of Docker's graph-driver benchmarks, and larger ones.

Not here: how the files are made (graph.py). Thread rule: one thread.
"""

import dataclasses
from typing import Callable

from . import graph
from .session import Row

ORIGINAL, LIST, EXPORT = "tree", "list", "export"
DEEP = 20


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A union of lowers in which fill() makes the changes that expected() lists."""

    key: str
    title: str
    lowers: Callable
    fill: Callable
    expected: Callable
    parts: tuple = (LIST, EXPORT)
    original: str = ""  # its name among Docker's benchmarks
    since: str = ""  # who is asked for ten changes since a checkpoint: "", "plyfs" or "all"
    bottom: int = 0
    top: int = 0

    @property
    def files(self):
        return self.bottom + self.top

    def rows(self):
        """{table: rows}."""
        found = {"original": [], "parent": [], "since": []}
        if ORIGINAL in self.parts:
            found["original"].append(Row(f"{self.key}-tree", f"{self.original}: {self.title}", "ms"))
        for part, what in ((LIST, "list"), (EXPORT, "tar")):
            if part in self.parts:
                title = f"{self.title}: {what}"
                found["parent"].append(Row(f"{self.key}-{part}", title, "ms"))
        for part, what in (
            ("since-list", "list"),
            ("since-again", "the same list once more"),
            ("since-export", "tar"),
        ):
            if self.since:
                found["since"].append(Row(f"{self.key}-{part}", f"{self.title}: {what}", "ms"))
        return found


def _files(count):
    return "1 file" if count == 1 else f"{count:,} files"


def many(bottom, top, *, original="", since="plyfs"):
    """top files written over a base of bottom files."""
    parts = (ORIGINAL, LIST, EXPORT) if original else (LIST, EXPORT)
    return Scenario(
        key=f"base-{bottom}-upper-{top}",
        title=f"base {_files(bottom)}, upper {_files(top)}",
        lowers=lambda bases: [bases.many(bottom)],
        fill=lambda root: graph.add_many_files(root, top, 6),
        expected=lambda: graph.many_changes(bottom, top),
        parts=parts,
        original=original,
        since=since,
        bottom=bottom,
        top=top,
    )


BASE = Scenario(
    key="diff-base",
    title="3 files, no parent",
    lowers=lambda bases: [bases.empty()],
    fill=lambda root: graph.add_files(root, 3),
    expected=graph.base_changes,
    parts=(ORIGINAL,),
    original="DiffBase",
)
LAYERS = Scenario(
    key="layers-20",
    title="the top one of 20 layers",
    lowers=lambda bases: bases.layers(DEEP)[1:],
    fill=lambda root: graph.add_layer_files(root, DEEP),
    expected=lambda: graph.layer_changes(DEEP),
    parts=(ORIGINAL, LIST, EXPORT),
    original="Diff20Layers",
)
APPLY_FILES = 100
APPLY = many(APPLY_FILES, APPLY_FILES, since="")
APPLY_ROW = Row("apply-100", "DiffApply100: base 100 files, upper 100 files", "ms")
SMALL = many(10, 10, original="DiffSmallUpper")
ORIGINALS = (
    BASE,
    SMALL,
    many(10, 10_000, original="Diff10KFileUpper"),
    many(10_000, 10, original="Diff10KFilesBottom"),
    LAYERS,
)


def chosen(quick):
    """All scenarios but that of DiffApply100, the quick ones first."""
    if quick:
        return (*ORIGINALS, many(10, 1000, since="all"))
    steps = (many(1000, 10), many(100_000, 10), many(10, 100), many(10, 1000))
    return (*ORIGINALS, *steps, many(10, 100_000, since="all"), many(1_000_000, 10))


DRIVER_ROWS = (
    Row("exists", "Exists: stat of the layer's root", "us"),
    Row("get-empty", "GetEmpty: mount of an empty layer, until its root answers", "ms"),
    Row("read-20-layers", "Read20Layers: open, read and close a file below 20 layers", "us"),
)
