"""Workloads on names and attributes of many small files: the metadata storms, and copy-up.

Thread rule: one thread (the helper has its own).
"""

import contextlib

from .measure import drop_caches, read_all, seconds
from .session import Group, Row

SMALL_BYTES = 4096
WARM_UP = 200  # files: brings the bitmaps into the cache

UPPER_ROWS = (
    Row("mkdir", "mkdir", "us/op"),
    Row("create", "create an empty file", "us/op"),
    Row("symlink", "symlink", "us/op"),
    Row("rename", "rename a file", "us/op"),
    Row("unlink", "unlink a file", "us/op"),
    Row("create-2t", "create, 2 threads in unrelated directories", "us/op"),
)
READ_ROWS = (
    Row("stat-warm", "stat of lower files, warm", "us/op"),
    Row("openread-warm", "open + read 4 KiB + close of lower files, warm", "us/op"),
    Row("readdir-warm", "readdir, per entry, warm", "us/op"),
    Row("list-warm", "readdir + stat of each entry (ls -lR), warm", "us/op"),
)
LOWER_ROWS = (
    Row("chmod-lower", "chmod of lower files (copy-up)", "us/op"),
    Row("rename-lower", "rename of lower files (copy-up + whiteout)", "us/op"),
    Row("unlink-lower", "unlink of lower files (whiteout)", "us/op"),
)
COPY_ROWS = (
    Row("copyup-small", "copy-up of small files: open, write 1 byte, close", "us/op"),
    Row("copyup-small-volatile", "copy-up of small files, -o volatile (no fsync by anybody)", "us/op"),
)
BIG_ROWS = (
    Row("copyup-big", "copy-up of one big file: append 1 byte", "s"),
    Row("copyup-big-volatile", "copy-up of one big file, -o volatile", "s"),
)


def _upper(env):
    """New objects in an empty upper directory of a union."""
    helper, count = env.helper, env.sizes.names
    lowers = [env.fixtures.files(env.sizes.lower_files, SMALL_BYTES)]
    with env.mounted(lowers) as mount:
        new = mount.path / "new"
        other = mount.path / "other"
        warm = mount.path / "warm"
        for directory in (new, other, warm):
            directory.mkdir()
        helper.phase("create", warm, mount.servers, count=WARM_UP)
        for phase in ("mkdir", "create", "symlink", "rename"):
            env.record(phase, helper.phase(phase, new, mount.servers, count=count))
        sample = helper.phase("create", other, mount.servers, count=count, threads=2)
        env.record("create-2t", sample)
        # Last: what is created after a deletion is slower, see Disk.renew.
        env.record("unlink", helper.phase("unlink", new, mount.servers, count=count))


def _read(env):
    helper, sizes = env.helper, env.sizes
    with env.mounted([env.fixtures.files(sizes.lower_files, SMALL_BYTES)]) as mount:
        for phase in ("stat", "openread", "readdir", "list"):
            sample = helper.phase(phase, mount.lower_view, mount.servers, repeat=sizes.repeat)
            env.record(f"{phase}-warm", sample)


def _lower(env):
    sizes = env.sizes
    lowers = [env.fixtures.files(sizes.lower_files, SMALL_BYTES)]
    for phase in ("chmod", "rename", "unlink"):
        with env.mounted(lowers) as mount:
            read_all(lowers[0])
            sample = env.helper.phase(phase, mount.path, mount.servers, count=sizes.chmod)
            env.record(f"{phase}-lower", sample)


def _copy_small(env):
    lowers = [env.fixtures.files(env.sizes.lower_files, SMALL_BYTES)]
    for key, options in (("copyup-small", ()), ("copyup-small-volatile", ("volatile",))):
        with env.mounted(lowers, options=options) as mount:
            read_all(lowers[0])
            env.record(key, env.helper.phase("append", mount.path, mount.servers))


def _copy_big(env):
    lowers = [env.fixtures.big(env.sizes.big_mib)]
    source = lowers[0] / "data"
    for key, options in (("copyup-big", ()), ("copyup-big-volatile", ("volatile",))):
        with env.mounted(lowers, options=options) as mount:
            drop_caches()
            # The source is in the page cache for every contestant, so the copy is what is compared.
            with contextlib.closing(open(source, "rb", buffering=0)) as stream:
                while stream.read(1 << 22):
                    pass
            argv = ["sh", "-c", 'printf x >> "$1"', "sh", str(mount.path / "data")]
            env.record(key, seconds(argv, mount.servers))


GROUPS = (
    Group("upper", UPPER_ROWS, _upper),
    Group("read", READ_ROWS, _read),
    Group("lower", LOWER_ROWS, _lower, ext4=False),
    Group("copyup-small", COPY_ROWS, _copy_small, ext4=False),
    Group("copyup-big", BIG_ROWS, _copy_big, ext4=False),
)
