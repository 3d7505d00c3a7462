"""Rows, groups of rows that share one mount, and what a group's function gets.

Thread rule: one thread.
"""

import dataclasses
from typing import Callable

from . import mounts


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much work: full, or small for --quick."""

    names: int = 5000
    lower_files: int = 5000
    repeat: int = 10
    chmod: int = 2000
    big_mib: int = 1024
    fio_mib: int = 256
    fio_seconds: float = 1.0
    many_files: int = 100_000
    mounts: int = 3
    idle_seconds: float = 2.0


QUICK = Sizes(
    names=1000,
    lower_files=1000,
    repeat=20,
    chmod=500,
    big_mib=128,
    fio_mib=64,
    fio_seconds=0.5,
    mounts=2,
    idle_seconds=1.0,
)


@dataclasses.dataclass(frozen=True)
class Row:
    key: str
    title: str
    unit: str


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows that are measured one after the other on the same mount (or series of mounts)."""

    name: str
    rows: tuple[Row, ...]
    run: Callable
    ext4: bool = True  # False: the work would change the lower layer itself, or means nothing there
    kernel: bool = True  # False: needs a server process
    max_rounds: int = 1000  # what hardly varies need not be repeated as often as the rest


class Env:
    """What a group's function gets: one contestant, the fixtures, and record() for its results."""

    def __init__(self, contestant, disk, fixtures, helper, sizes, record, profiler=None):
        self.contestant = contestant
        self.fixtures = fixtures
        self.helper = helper
        self.disk = disk
        self.sizes = sizes
        self.record = record
        self.profiler = profiler

    def mounted(self, lowers, **kwargs):
        """A fresh union on a disk whose state does not depend on who was on it before."""
        self.disk.renew()
        kwargs["profiler"] = self.profiler
        return mounts.mounted(self.contestant, self.disk.root, lowers, **kwargs)
