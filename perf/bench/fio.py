"""File contents: fio jobs, one thread, synchronous calls. Thread rule: one thread.

Reads go to a lower file, writes to a file in the upper. Warm jobs and overwrites run for a fixed
time, cold and extending ones over a fixed size with a limit of time.
"""

import dataclasses
import json

from .measure import COMMAND_TIMEOUT_S, Failed, Sample, drop_caches, run
from .session import Group, Row

LIMIT_S = 10


@dataclasses.dataclass(frozen=True)
class Job:
    key: str
    title: str
    rw: str
    block: str
    direct: bool = False
    timed: bool = False  # runs for a fixed time over a file that exists
    prepare: str = "cold"  # cold: caches dropped before; warm: the file has been read

    @property
    def reads(self):
        return self.rw.endswith("read")


JOBS = (
    Job("fio-seqwrite", "sequential write of a new file, 128k", "write", "128k"),
    Job("fio-randwrite", "random overwrite, 4k", "randwrite", "4k", timed=True, prepare="warm"),
    Job("fio-seqread-cold", "sequential read, 128k, cold", "read", "128k"),
    Job(
        "fio-seqread-warm",
        "sequential read, 128k, warm",
        "read",
        "128k",
        timed=True,
        prepare="warm",
    ),
    Job("fio-randread-cold", "random read, 4k, cold", "randread", "4k"),
    Job("fio-randread-warm", "random read, 4k, warm", "randread", "4k", timed=True, prepare="warm"),
    Job("fio-direct-seqwrite", "O_DIRECT sequential write, 128k", "write", "128k", direct=True),
    Job(
        "fio-direct-randwrite",
        "O_DIRECT random overwrite, 4k",
        "randwrite",
        "4k",
        direct=True,
        timed=True,
    ),
    Job("fio-direct-seqread", "O_DIRECT sequential read, 128k", "read", "128k", direct=True),
    Job(
        "fio-direct-randread", "O_DIRECT random read, 4k", "randread", "4k", direct=True, timed=True
    ),
)


def _argv(job, path, sizes):
    argv = [
        "fio",
        f"--name={job.key}",
        f"--filename={path}",
        f"--rw={job.rw}",
        f"--bs={job.block}",
        f"--size={sizes.fio_mib}m",
        f"--direct={int(job.direct)}",
        "--ioengine=psync",
        "--thread",
        "--invalidate=0",  # or fio itself drops the file's pages, and nothing is warm
        "--fallocate=none",
        "--randrepeat=1",
        "--output-format=json",
    ]
    if job.timed:
        return [*argv, "--time_based", f"--runtime={sizes.fio_seconds}"]
    if job.rw == "randread":
        argv.append(f"--io_size={sizes.fio_mib // 8}m")  # one read from the disk at a time is slow
    return [*argv, f"--runtime={LIMIT_S}"]


def _fio(job, path, servers, sizes):
    """The sample is in microseconds per call, by fio's own clock and its own count of CPU."""
    server, out = run(
        _argv(job, path, sizes), servers, timeout=COMMAND_TIMEOUT_S, keep_output=True
    )[2:]
    result = json.loads(out[out.index("{") :])["jobs"][0]
    if result["error"]:
        raise Failed(f"fio: error {result['error']}")
    side = result["read" if job.reads else "write"]
    calls = side["total_ios"]
    if not calls:
        raise Failed("fio: no call was made")
    wall_us = side["io_bytes"] / side["bw_bytes"] * 1e6
    client_us = wall_us * (result["usr_cpu"] + result["sys_cpu"]) / 100
    return Sample(wall_us / calls, client_us / calls, server / 1000 / calls)


def _prepare(job, path, sizes):
    if not job.reads and job.rw == "randwrite":
        run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={sizes.fio_mib}", "conv=fsync"])
    drop_caches()
    if job.prepare == "warm":
        run(["cat", str(path)])


def _run(env):
    lowers = [env.fixtures.big(env.sizes.fio_mib)]
    with env.mounted(lowers) as mount:
        for job in JOBS:
            path = mount.lower_view / "data" if job.reads else mount.path / f"written-{job.key}"
            try:
                _prepare(job, path, env.sizes)
                env.record(job.key, _fio(job, path, mount.servers, env.sizes))
            except Failed as error:
                env.record(job.key, error)
            if not job.reads:
                run(["rm", "-f", str(path)])


GROUPS = (Group("fio", tuple(Row(job.key, f"fio {job.title}", "us/op") for job in JOBS), _run),)
