"""The contestants: how each mounts a union, and how a mount is taken down whatever happened.

Not here: what is done on the mount. Thread rule: one thread.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from .measure import Failed

MOUNT_TIMEOUT_S = 60
SERVER_EXIT_TIMEOUT_S = 20


class Contestant:
    """A row of --contestants: NAME[:OPTION[,OPTION...]]."""

    KINDS = ("ext4", "kernel", "fuse-overlayfs", "plyfs")

    def __init__(self, spec, plyfs):
        self.name = spec
        self.kind, _, options = spec.partition(":")
        self.options = [option for option in options.split(",") if option]
        self.plyfs = plyfs
        if self.kind not in self.KINDS:
            raise ValueError(f"unknown contestant {self.kind!r}; known: {', '.join(self.KINDS)}")

    @property
    def is_union(self):
        return self.kind != "ext4"

    @property
    def has_server(self):
        return self.kind in ("fuse-overlayfs", "plyfs")

    def missing(self):
        """Why it cannot take part here, or None."""
        if self.kind == "fuse-overlayfs" and not shutil.which("fuse-overlayfs"):
            return "fuse-overlayfs is not installed"
        if self.kind == "plyfs" and not os.access(self.plyfs, os.X_OK):
            return f"{self.plyfs} does not exist (build it, or set PLYFS)"
        if self.has_server and not os.access("/dev/fuse", os.R_OK | os.W_OK):
            return "/dev/fuse cannot be opened"
        return None

    def version(self):
        if self.kind in ("ext4", "kernel"):
            return os.uname().release
        program = self.plyfs if self.kind == "plyfs" else "fuse-overlayfs"
        result = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
        # fuse-overlayfs says first which fusermount3 it has found.
        own = [line for line in result.stdout.splitlines() if line.startswith(f"{self.kind}:")]
        return own[0] if own else "unknown"

    def mount_argv(self, options, mountpoint):
        text = ",".join([*options, *self.options])
        if self.kind == "kernel":
            return ["mount", "-t", "overlay", "overlay", "-o", text, str(mountpoint)]
        program = str(self.plyfs) if self.kind == "plyfs" else "fuse-overlayfs"
        return [program, "-o", text, str(mountpoint)]


class Mount:
    """A live union (or, for ext4, a plain directory in its place)."""

    def __init__(self, contestant, scratch, lowers):
        self.contestant = contestant
        self.scratch = scratch
        self.servers = []
        if contestant.is_union:
            self.path = scratch / "merged"
            self.lower_view = self.path
            self.path.mkdir()
            (scratch / "upper").mkdir()
            (scratch / "work").mkdir()
        else:
            self.path = scratch / "plain"
            self.lower_view = Path(lowers[0])
            self.path.mkdir()

    def options(self, lowers):
        return [
            "lowerdir=" + ":".join(str(lower) for lower in lowers),
            f"upperdir={self.scratch}/upper",
            f"workdir={self.scratch}/work",
        ]

    def find_servers(self):
        """The processes that serve this mount: those that were started with its mountpoint.

        By command line and not by child number, since they daemonize and may be several.
        """
        self.servers = []
        if not self.contestant.has_server:
            return
        needle = os.fsencode(self.path)
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                argv = Path(entry.path, "cmdline").read_bytes().split(b"\0")
                if needle in argv:
                    self.servers.append(int(entry.name))
        if not self.servers:
            raise Failed("no server process found for the mount")


def _mounts_below(path):
    """(major:minor, mountpoint) of every mount at or below path, the latest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        mountpoint = fields[4].replace("\\040", " ")
        if mountpoint == str(path) or mountpoint.startswith(f"{path}/"):
            found.append((fields[2], mountpoint))
    return found[::-1]


def _runs(pid):
    """False for a zombie too: when init collects it is not the server's matter."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def wait_exit(pids, timeout):
    """Waits until the processes are gone; returns those that are not after timeout seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        pids = [pid for pid in pids if _runs(pid)]
        if not pids:
            return []
        time.sleep(0.001)
    return pids


def take_down(scratch, servers):
    """Unmounts all below scratch, ends servers that do not go by themselves, removes scratch.

    Returns what was wrong, or None. Used on every exit path, so it must not raise.
    """
    wrong = None
    for device, mountpoint in _mounts_below(scratch):
        for argv in (["umount", mountpoint], ["umount", "-l", mountpoint]):
            with contextlib.suppress(subprocess.TimeoutExpired):
                if (
                    subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode
                    == 0
                ):
                    break
            wrong = f"umount {mountpoint} failed"
            # A server that hangs holds the unmount; aborting its connection frees everybody.
            abort = Path("/sys/fs/fuse/connections", device.partition(":")[2], "abort")
            with contextlib.suppress(OSError):
                if device.startswith("0:"):
                    abort.write_text("1", encoding="ascii")
    for pid in wait_exit(servers, SERVER_EXIT_TIMEOUT_S):
        wrong = f"server {pid} did not end after the unmount"
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    if _mounts_below(scratch):
        return f"{scratch} is still mounted"  # and is not removed: it may show a lower layer
    shutil.rmtree(scratch, ignore_errors=True)
    return wrong


@contextlib.contextmanager
def mounted(contestant, root, lowers, *, options=(), cwd=None, starter=None, profiler=None):
    """Mounts a fresh union over lowers with an empty upper.

    starter(argv, mount), when given, runs the mount command in our place, to measure it.
    """
    scratch = Path(tempfile.mkdtemp(prefix="plyfs-perf-", dir=root))
    servers = []
    try:
        mount = Mount(contestant, scratch, lowers)
        if contestant.is_union:
            argv = contestant.mount_argv([*mount.options(lowers), *options], mount.path)
            if starter:
                starter(argv, mount)
            else:
                start(argv, cwd)
            mount.find_servers()
            servers = mount.servers
        watch = profiler.attached(servers) if profiler and servers else contextlib.nullcontext()
        with watch:
            yield mount
    finally:
        problem = take_down(scratch, servers)
        if problem:
            raise Failed(f"{contestant.name}: {problem}")


def start(argv, cwd):
    try:
        result = subprocess.run(
            argv, cwd=cwd, capture_output=True, text=True, timeout=MOUNT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{argv[0]}: mount not done after {MOUNT_TIMEOUT_S} s") from error
    if result.returncode != 0:
        raise Failed(f"{argv[0]}: mount failed: {result.stderr.strip()[:200]}")
