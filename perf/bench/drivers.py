"""The three graph-driver benchmarks that make no list: Exists, GetEmpty and Read20Layers; and DiffApply100.

Thread rule: one thread.
"""

import statistics
import tempfile
import types
from pathlib import Path

from . import graph, mounts
from .measure import Failed, Sample, servers_cpu_ns
from .methods import Naive
from .scenarios import APPLY_FILES, DEEP

TIMES = 3  # what can be done once only on each union, in each round


def _median(samples):
    middle = statistics.median_low(sample.value for sample in samples)
    return next(sample for sample in samples if sample.value == middle)


def exists(env, contestant):
    with mounts.mounted(contestant, env.disk.root, [env.bases.empty()]) as mount:
        return env.layers("stat", mount.path, unit="us", servers=mount.servers)[0][0]


def _get_empty(env, contestant):
    found = []

    def starter(argv, mount):
        found.extend(env.layers("start", mount.path, *argv, seconds=0)[0])

    lowers = [env.bases.empty()]
    with mounts.mounted(contestant, env.disk.root, lowers, starter=starter) as mount:
        server = servers_cpu_ns(mount.servers) / 1e6
    return Sample(found[0].value, found[0].client_cpu, server)


def get_empty(env, contestant):
    return _median([_get_empty(env, contestant) for _ in range(TIMES)])


def read_20_layers(env, contestant):
    lowers = env.bases.layers(DEEP)[1:]
    with mounts.mounted(contestant, env.disk.root, lowers) as mount:
        graph.add_layer_files(mount.path, DEEP)
        file = mount.path / "testfile.txt"
        if file.read_bytes() != b"test content":
            raise Failed("testfile.txt is not as it was written")
        return env.layers("read", file, unit="us", servers=mount.servers)[0][0]


DRIVERS = {"exists": exists, "get-empty": get_empty, "read-20-layers": read_20_layers}


def _applied(method, source, target, shown):
    (sample,), _ = method.apply(source, target)
    wrong = graph.check_many_files(shown, APPLY_FILES, 6)
    if wrong:
        raise Failed(f"{wrong.name} is not in the new layer as it was in the old one")
    return sample


def _apply(env, method, source):
    if isinstance(method, Naive):
        with mounts.mounted(source.mount.contestant, env.disk.root, source.lowers) as mount:
            return _applied(method, source, mount, mount.path)
    with tempfile.TemporaryDirectory(prefix="plyfs-perf-apply-", dir=env.disk.root) as folder:
        target = types.SimpleNamespace(upper=Path(folder))
        return _applied(method, source, target, folder)


def diff_apply(env, method, source):
    """Diff of a layer, unpacked into a new one; checked file by file."""
    return _median([_apply(env, method, source) for _ in range(TIMES)])
