"""The filesystem that every layer of the benchmarks lies on: ext4 in an image file of its own.

Why not simply a folder of the machine's disk: its mount options and its state are in every number.
Measured on one machine: rm -rf of the same tree took 0.7 to 4.6 s where the disk was mounted with
"discard", 0.11 to 0.17 s here. The image is kept, so that the lower layers are made only once.
Thread rule: one thread; a lock file keeps a second session out.
"""

import contextlib
import fcntl
import os
import subprocess
from pathlib import Path

from .measure import log

IMAGE_GIB = 12
PRIVATE_MARK = "PLYFS_PERF_PRIVATE_MOUNTS"


def _run(*argv):
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout.strip()


def _make_image(image, inodes):
    log(f"  making {image} (once; at most {IMAGE_GIB} GiB, sparse)")
    part = image.with_suffix(".part")
    with open(part, "wb") as out:
        out.truncate(IMAGE_GIB << 30)
    # No lazy initialisation: a kernel thread would do it while we measure.
    more = ["-N", str(inodes)] if inodes else []
    options = "lazy_itable_init=0,lazy_journal_init=0"
    _run("mkfs.ext4", "-q", "-F", *more, "-E", options, str(part))
    part.rename(image)


class Disk:
    """The image, mounted at .root."""

    def __init__(self, cache, inodes=None):
        self.image = cache / "disk.ext4"
        self.root = cache / "disk"
        self.root.mkdir(exist_ok=True)
        if not self.image.exists():
            _make_image(self.image, inodes)

    def mount(self):
        # A process of a killed session may still hold the device; another device for the same
        # image would be a second ext4 on the same blocks.
        loop = _run("losetup", "--associated", str(self.image), "--noheadings", "--output", "NAME")
        # Direct I/O: or "cold" would still find every block in the image file's own page cache.
        loop = loop or _run("losetup", "--find", "--show", "--direct-io=on", str(self.image))
        try:
            _run("mount", "-t", "ext4", "-o", "nodiscard,noatime", loop, str(self.root))
        finally:
            _run("losetup", "--detach", loop)  # takes effect at the unmount

    def unmount(self):
        with contextlib.suppress(subprocess.SubprocessError):
            if subprocess.run(["umount", self.root], timeout=60, check=False).returncode != 0:
                subprocess.run(["umount", "-l", self.root], timeout=60, check=False)

    def renew(self):
        """Unmounts and mounts again, so that nobody finds what the contestant before left behind.

        ext4 looks at every inode that was deleted in the last minutes and is still cached each time
        that it makes a new one. Without this, whoever creates files after another one's clean-up
        pays for it: 60 % of the CPU time of a create. Dropping the caches does not help, the
        journal holds them.
        """
        _run("umount", str(self.root))
        self.mount()


@contextlib.contextmanager
def attached(cache, inodes=None):
    """Gives the Disk, mounted; unmounts it at the end. inodes: how many, if not what ext4 thinks."""
    with open(cache / "lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f"{cache}: another session uses this cache folder") from error
        disk = Disk(Path(cache), inodes)
        disk.mount()
        try:
            for left in disk.root.glob("plyfs-perf-*"):  # of a session that was killed
                _run("rm", "-rf", "--one-file-system", str(left))
            yield disk
        finally:
            disk.unmount()


def enter_private_mounts(argv):
    """Starts the program again in a mount namespace of its own, unless it already is in one.

    Nobody else's namespace can then keep a copy of our mounts alive, and all are gone with the last
    process of the session, even if it is killed.
    """
    if os.environ.pop(PRIVATE_MARK, None):
        return
    os.environ[PRIVATE_MARK] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *argv])
