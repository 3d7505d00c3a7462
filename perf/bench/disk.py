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
IN_USE = "another session uses this cache folder"


def _run(*argv):
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, timeout=300
    ).stdout.strip()


def _make_image(image):
    log(f"  making {image} (once; at most {IMAGE_GIB} GiB, sparse)")
    part = image.with_suffix(".part")
    with open(part, "wb") as out:
        out.truncate(IMAGE_GIB << 30)
    # No lazy initialisation: a kernel thread would do it while we measure.
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(part))
    part.rename(image)


@contextlib.contextmanager
def attached(cache):
    """Mounts the image of the cache folder; gives the mountpoint, unmounts at the end."""
    with open(cache / "lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f"{cache}: {IN_USE}") from error
        image, where = cache / "disk.ext4", cache / "disk"
        where.mkdir(exist_ok=True)
        if not image.exists():
            _make_image(image)
        # A process of a killed session may still hold the device; another device for the same image
        # would be a second ext4 on the same blocks.
        loop = _run("losetup", "--associated", str(image), "--noheadings", "--output", "NAME")
        # Direct I/O: or "cold" would still find every block in the image file's own page cache.
        loop = loop or _run("losetup", "--find", "--show", "--direct-io=on", str(image))
        try:
            _run("mount", "-t", "ext4", "-o", "nodiscard", loop, str(where))
        finally:
            _run("losetup", "--detach", loop)  # takes effect at the unmount
        try:
            for left in where.glob("plyfs-perf-*"):  # of a session that was killed
                _run("rm", "-rf", "--one-file-system", str(left))
            yield Path(where)
        finally:
            with contextlib.suppress(subprocess.SubprocessError):
                if subprocess.run(["umount", where], timeout=60, check=False).returncode != 0:
                    subprocess.run(["umount", "-l", where], timeout=60, check=False)


def enter_private_mounts(argv):
    """Starts the program again in a mount namespace of its own, unless it already is in one.

    Nobody else's namespace can then keep a copy of our mounts alive, and all are gone with the last
    process of the session, even if it is killed.
    """
    if os.environ.pop(PRIVATE_MARK, None):
        return
    os.environ[PRIVATE_MARK] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *argv])
