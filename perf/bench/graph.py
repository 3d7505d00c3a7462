"""Layers and unions as the graph-driver benchmarks of Docker make them, and what has changed in them.

The steps are those of daemon/graphdriver/graphtest of Docker: which files, how many to a directory,
how large, in what order. Contents are other random bytes. Not here: measuring.
Thread rule: one thread.
"""

import hashlib
import os
from pathlib import Path

PER_DIR = 100
SIZE = 64
# A base of this many files or more is of empty ones: nobody reads them.
EMPTY_FROM = 100_000


def content(size, seed):
    """Pseudorandom bytes, the same for the same seed."""
    blocks = (hashlib.blake2b(b"%d %d" % (seed, i)).digest() for i in range(size // 64 + 1))
    return b"".join(blocks)[:size]


def write(path, data):
    """As Go's WriteFile: create or truncate, mode 0755."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755)
    try:
        if data:
            os.write(fd, data)
    finally:
        os.close(fd)


def add_files(root, seed):
    """Three files, one of them in a directory."""
    root = Path(root)
    write(root / "file-a", content(64, seed))
    (root / "dir-b").mkdir(exist_ok=True)
    write(root / "dir-b/file-b", content(128, seed + 1))
    write(root / "file-c", content(128 * 128, seed + 2))


def add_many_files(root, count, seed):
    """count files, PER_DIR to a directory."""
    for start in range(0, count, PER_DIR):
        directory = f"{root}/directory-{start}"
        os.makedirs(directory, exist_ok=True)
        for i in range(start, min(start + PER_DIR, count)):
            data = b"" if seed is None else content(SIZE, seed + i)
            write(f"{directory}/file-{i}", data)


def check_many_files(root, count, seed):
    """The first file that is not as add_many_files wrote it, or None."""
    for i in range(count):
        path = Path(root, f"directory-{i - i % PER_DIR}", f"file-{i}")
        if not path.is_file() or path.read_bytes() != content(SIZE, seed + i):
            return path
    return None


def add_layer_files(root, index):
    """What each of many layers gets: a file that they all have and a directory of its own."""
    root = Path(root)
    write(root / "top-id", b"%064d" % index)
    (root / f"layer-{index}").mkdir()
    write(root / f"layer-{index}/layer-id", b"%064d" % index)
    write(root / f"layer-{index}/parent-id", b"%064d" % (index - 1))


def ten_changes(root, turn, make=True):
    """Ten changes in one directory: four files written, three made, three of the turn before removed.

    Returns the lines of a list of them. make=False: the lines only.
    """
    directory = Path(root or "/", "directory-0")
    gone = [f"new-{turn - 1}-{i}" for i in (1, 4, 7)] if turn else ["file-2", "file-5", "file-8"]
    written = ["file-0", "file-3", "file-6", "file-9"]
    new = [f"new-{turn}-{i}" for i in (1, 4, 7)]
    if make:
        for i, name in enumerate((*written, *new)):
            write(directory / name, content(SIZE, 9000 + 10 * turn + i))
        for name in gone:
            (directory / name).unlink()
    kinds = {"C": written, "A": new, "D": gone}
    lines = {f"{kind} /directory-0/{name}" for kind, names in kinds.items() for name in names}
    return lines | {"C /directory-0"}


def many_changes(bottom, top):
    """The lines of a list after add_many_files of top files over bottom files."""
    lines = set()
    for start in range(0, top, PER_DIR):
        lines.add(f"{'C' if start < bottom else 'A'} /directory-{start}")
    for i in range(top):
        lines.add(f"{'C' if i < bottom else 'A'} /directory-{i - i % PER_DIR}/file-{i}")
    return lines


def layer_changes(index):
    """The lines of a list after add_layer_files over layers that have done so too."""
    own = f"/layer-{index}"
    return {"C /top-id", f"A {own}", f"A {own}/layer-id", f"A {own}/parent-id"}


def base_changes():
    """The lines of a list after add_files over nothing."""
    return {"A /file-a", "A /dir-b", "A /dir-b/file-b", "A /file-c"}


class Bases:
    """Lower layers, made once and kept."""

    def __init__(self, fixtures):
        self.fixtures = fixtures

    def empty(self):
        return self.fixtures.empty()

    def many(self, count):
        def make(temp):
            temp.mkdir()
            add_many_files(temp, count, None if count >= EMPTY_FROM else 3)

        return self.fixtures.made(f"graph-{count}", make)

    def layers(self, count):
        """[layer COUNT, ... layer 1, base], as lowerdir= takes them; the base also has testfile.txt."""

        def make(temp):
            (temp / "0").mkdir(parents=True)
            add_files(temp / "0", 50)
            write(temp / "0/testfile.txt", b"test content")
            for i in range(1, count + 1):
                (temp / str(i)).mkdir()
                add_layer_files(temp / str(i), i)

        folder = self.fixtures.made(f"graph-layers-{count}", make)
        return [folder / str(i) for i in range(count, -1, -1)]
