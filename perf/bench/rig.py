"""The unions of one scenario: one for each contestant, with the same lowers and the same changes.

Not here: measuring (methods.py), what the changes are (scenarios.py). Thread rule: one thread.
"""

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

from . import graph, mounts
from .measure import Failed, drop_caches, log, read_all, run

PARKED = "plyfs, unmounted"


class Union:
    """A mounted union; also what to compare it with, and how plyfs' tools are told which one."""

    def __init__(self, mount, lowers):
        self.mount = mount
        self.lowers = lowers
        self.upper = mount.scratch / "upper"
        self.parent = None  # the mount of the lowers alone
        self.frozen = None  # the mount of the state at the checkpoint

    @property
    def path(self):
        return self.mount.path

    @property
    def target(self):
        """What plyfs' tools take: the mountpoint, or the layers if it is not mounted."""
        if self.mount.servers:
            return [str(self.path)]
        layers = [f"--lower={lower}" for lower in self.lowers]
        return [f"--upper={self.upper}", f"--work={self.mount.scratch}/work", *layers]

    def servers(self, other=None):
        return [*self.mount.servers, *(other.servers if other else [])]

    def park(self):
        """Unmounts it; the layers stay."""
        run(["umount", str(self.path)])
        if mounts.wait_exit(self.mount.servers, mounts.SERVER_EXIT_TIMEOUT_S):
            raise Failed("the server did not end after the unmount")
        self.mount.servers = []

    @contextlib.contextmanager
    def awake(self):
        """Mounts it for as long, if it is parked."""
        if self.mount.servers or not self.mount.contestant.has_server:
            yield
            return
        argv = self.mount.contestant.mount_argv(self.mount.options(self.lowers), self.path)
        mounts.start(argv, None)
        self.mount.find_servers()
        yield
        self.park()


class Rig(contextlib.ExitStack):
    """All unions of a scenario. A contestant that cannot be set up is in .errors, with the reason."""

    def __init__(self, env, scenario):
        super().__init__()
        self.env = env
        self.scenario = scenario
        self.lowers = scenario.lowers(env.bases)
        self.unions = {}
        self.errors = {}

    def __enter__(self):
        super().__enter__()
        try:
            self.env.disk.renew()
            for lower in self.lowers:
                read_all(lower)  # or the first one asked would read it from the disk for all others
            for contestant in self.env.contestants:
                self._guarded(contestant.name, self._set_up, contestant)
            self._guarded(PARKED, self._set_up_parked)
            os.sync()
        except BaseException:
            self.close()
            raise
        return self

    def _guarded(self, name, work, *args):
        try:
            work(*args)
        except (Failed, OSError) as error:
            log(f"  {name}, {self.scenario.key}: {error}")
            self.errors[name] = str(error)
            self.unions.pop(name, None)

    def _mounted(self, contestant, lowers):
        return self.enter_context(mounts.mounted(contestant, self.env.disk.root, lowers))

    def _set_up(self, contestant):
        union = Union(self._mounted(contestant, self.lowers), self.lowers)
        self.unions[contestant.name] = union
        self.scenario.fill(union.path)
        union.parent = self._mounted(contestant, self.lowers)

    def _set_up_parked(self):
        """One more of plyfs, which is unmounted when its changes have been made."""
        plyfs = next((c for c in self.env.contestants if c.name == "plyfs"), None)
        if plyfs is None:
            return
        union = Union(self._mounted(plyfs, self.lowers), self.lowers)
        self.unions[PARKED] = union
        self.scenario.fill(union.path)
        union.park()

    def ten_changes(self):
        """Makes the first ten changes in every union; returns the lines of a list of them."""
        for name, union in list(self.unions.items()):
            self._guarded(name, self._ten_changes, union)
        return graph.ten_changes(None, 0, make=False)

    @staticmethod
    def _ten_changes(union):
        with union.awake():
            graph.ten_changes(union.path, 0)

    def freeze(self):
        """Keeps the present state of each live union as a tree to compare with later."""
        for contestant in self.env.contestants:
            if contestant.name in self.unions:
                self._guarded(contestant.name, self._freeze, contestant)

    def _freeze(self, contestant):
        union = self.unions[contestant.name]
        copy = Path(tempfile.mkdtemp(prefix="plyfs-perf-frozen-", dir=self.env.disk.root))
        self.callback(subprocess.run, ["rm", "-rf", str(copy)], check=False, timeout=300)
        # The kernel may show a time of its own for what was just written to a FUSE mount, until it forgets it.
        drop_caches(2)
        run(["cp", "-a", f"{union.upper}/.", str(copy)])
        union.frozen = self._mounted(contestant, [copy, *self.lowers])
