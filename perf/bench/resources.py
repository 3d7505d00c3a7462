"""How fast a mount is there, and what its server holds: memory, and CPU time when idle.

Thread rule: one thread.
"""

import re
import statistics
import time
from pathlib import Path

from . import mounts
from .measure import Sample, drop_caches, read_all, run, seconds, servers_cpu_ns
from .session import Group, Row

MANY_LAYERS = 128
SETTLE_S = 12.0  # a server may give memory back only when it has been idle for some seconds

MOUNT_ROWS = (
    Row("mount-1", "mount, 1 lower, until the first stat is answered", "ms"),
    Row("mount-128", "mount, 128 lowers, until the first stat is answered", "ms"),
    Row("umount", "umount, until the server is gone", "ms"),
)
MEMORY_ROWS = (
    Row("mem-idle", "server private memory after mount", "KiB"),
    Row("mem-idle-dirty", "server private memory after mount, Private_Dirty only", "KiB"),
    Row("mem-find", "server private memory after find over many files", "KiB"),
    Row("mem-per-node", "server memory per live node", "bytes"),
    Row("mem-forgotten", "server private memory 12 s after drop_caches (FORGET)", "KiB"),
    Row("idle-cpu", "CPU used by an idle server, of one CPU", "%"),
)


def _measured_mount(env, lowers, first, folder):
    """One mount. Returns its sample and that of its unmount, in ms.

    The mount's CPU time is that of the process that was started and of the server.
    """
    costs = []

    def starter(argv, mount):
        read_all(folder)
        costs.extend(env.helper.start(mount.path / first, argv, folder))

    with env.mounted(lowers, cwd=folder, starter=starter) as mount:
        server = servers_cpu_ns(mount.servers)
        gone = time.monotonic_ns()
        run(["umount", str(mount.path)])
        mounts.wait_exit(mount.servers, mounts.SERVER_EXIT_TIMEOUT_S)
        gone = time.monotonic_ns() - gone
    wall, launcher = costs
    return Sample(wall / 1e6, launcher / 1e6, server / 1e6), Sample(gone / 1e6)


def _median(samples):
    median = statistics.median_low(sample.value for sample in samples)
    return next(sample for sample in samples if sample.value == median)


def _mount(env):
    for key, count in (("mount-1", 1), ("mount-128", MANY_LAYERS)):
        folder = env.fixtures.layers(count)
        lowers = [Path(f"l{i}") for i in range(count)]  # relative, as container engines do
        pairs = [_measured_mount(env, lowers, "first", folder) for _ in range(env.sizes.mounts)]
        env.record(key, _median([up for up, _ in pairs]))
        env.record("umount", _median([down for _, down in pairs]))


def _private_kib(pids):
    """(Private_Clean + Private_Dirty, Private_Dirty) of the servers together, in KiB."""
    clean = dirty = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        clean += int(re.search(r"^Private_Clean:\s+(\d+)", rollup, re.M).group(1))
        dirty += int(re.search(r"^Private_Dirty:\s+(\d+)", rollup, re.M).group(1))
    return clean + dirty, dirty


def _idle_cpu(servers, duration):
    before = servers_cpu_ns(servers)
    time.sleep(duration)
    return 100 * (servers_cpu_ns(servers) - before) / (duration * 1e9)


def _memory(env):
    lower = env.fixtures.files(env.sizes.many_files, 0)
    nodes = env.sizes.many_files + sum(1 for _ in lower.iterdir()) + 1
    with env.mounted([lower]) as mount:
        drop_caches()
        idle, idle_dirty = _private_kib(mount.servers)
        env.record("mem-idle", Sample(idle))
        env.record("mem-idle-dirty", Sample(idle_dirty))
        seconds(["find", str(mount.path), "-printf", "%s %p\n"], mount.servers)
        found, found_dirty = _private_kib(mount.servers)
        env.record("mem-find", Sample(found))
        env.record("mem-per-node", Sample((found_dirty - idle_dirty) * 1024 / nodes))
        drop_caches()
        time.sleep(SETTLE_S)
        env.record("mem-forgotten", Sample(_private_kib(mount.servers)[0]))
        env.record("idle-cpu", Sample(_idle_cpu(mount.servers, env.sizes.idle_seconds)))


GROUPS = (
    Group("mount", MOUNT_ROWS, _mount, ext4=False),
    Group("memory", MEMORY_ROWS, _memory, ext4=False, kernel=False, max_rounds=2),
)
