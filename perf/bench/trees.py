"""Workloads of ordinary programs (find, tar, rm) on a Debian root tree. Thread rule: one thread.

tar writes its archive to /dev/zero and not to /dev/null: GNU tar recognises the latter and then
reads no file.
"""

import os

from .measure import drop_caches, seconds
from .session import Group, Row

READ_ROWS = (
    Row("find-cold", "find -printf %s over a Debian root, cold", "s"),
    Row("find-warm", "find -printf %s over a Debian root, warm", "s"),
    Row("lslr-warm", "ls -lR over a Debian root, warm", "s"),
    Row("tar-cold", "tar of a Debian root, cold", "s"),
    Row("tar-warm", "tar of a Debian root, warm", "s"),
)
WRITE_ROWS = (
    Row("untar", "untar of a Debian root", "s"),
    Row("rm-untarred", "rm -rf of the untarred root", "s"),
)
REMOVE_ROWS = (Row("rm-lower", "rm -rf of a Debian root in the lower", "s"),)


def _find(path):
    return ["find", str(path), "-printf", "%s %p\n"]


def _tar(path):
    return ["tar", "-C", str(path), "-cf", "/dev/zero", "."]


def _read(env):
    """Cold: nothing in any cache, and the mount is new."""
    lowers = [env.fixtures.debian_root()]
    with env.mounted(lowers) as mount:
        view = mount.lower_view
        drop_caches()
        env.record("find-cold", seconds(_find(view), mount.servers))
        env.record("find-warm", seconds(_find(view), mount.servers))
        seconds(["ls", "-lR", str(view)], mount.servers)
        env.record("lslr-warm", seconds(["ls", "-lR", str(view)], mount.servers))
    with env.mounted(lowers) as mount:
        drop_caches()
        env.record("tar-cold", seconds(_tar(mount.lower_view), mount.servers))
        env.record("tar-warm", seconds(_tar(mount.lower_view), mount.servers))


def _write(env):
    archive = env.fixtures.debian_tar()
    with env.mounted([env.fixtures.empty()]) as mount:
        root = mount.path / "root"
        root.mkdir()
        drop_caches()
        archive.read_bytes()  # into the page cache, alike for everybody
        argv = ["tar", "-C", str(root), "-xpf", str(archive)]
        env.record("untar", seconds(argv, mount.servers))
        os.sync()
        env.record("rm-untarred", seconds(["rm", "-rf", str(root)], mount.servers))


def _remove(env):
    with env.mounted([env.fixtures.debian_root()]) as mount:
        drop_caches()
        argv = ["find", str(mount.path), "-mindepth", "1", "-maxdepth", "1", "-exec", "rm", "-rf"]
        env.record("rm-lower", seconds([*argv, "{}", "+"], mount.servers))


GROUPS = (
    Group("tree-read", READ_ROWS, _read),
    Group("tree-write", WRITE_ROWS, _write),
    Group("tree-remove", REMOVE_ROWS, _remove, ext4=False),
)
