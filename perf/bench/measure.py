"""What one measurement is, and how a command is measured.

Not here: mounting (mounts.py), what is measured (names.py, trees.py, io.py, resources.py).
Thread rule: one thread; a timer thread only kills the measured command when its time is up.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

COMMAND_TIMEOUT_S = 240


class Failed(Exception):
    """A contestant could not do a workload; the text says why. The session goes on."""


@dataclasses.dataclass
class Sample:
    """One measurement, in the unit of its row (Row.unit); lower is better. CPU None: no meaning."""

    value: float
    client_cpu: float | None = None
    server_cpu: float | None = None

    @property
    def cpu(self):
        if self.client_cpu is None or self.server_cpu is None:
            return None
        return self.client_cpu + self.server_cpu


def cpu_ns(pid):
    """CPU time used by a whole process, ended threads included; 0 when it is gone.

    The same quantity as utime + stime of /proc/PID/stat, but in nanoseconds and not in ticks of
    10 ms: it is the clock that clock_getcpuclockid(3) names.
    """
    try:
        return time.clock_gettime_ns(((~pid) << 3) | 2)
    except OSError:
        return 0


def servers_cpu_ns(pids):
    return sum(cpu_ns(pid) for pid in pids)


def _wait(process, timeout):
    """wait4 with a limit; kills the process group at the limit and on every exception."""
    expired = threading.Event()

    def expire():
        expired.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout, expire)
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return usage, expired.is_set()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        timer.cancel()


def run(argv, servers=(), cwd=None, timeout=COMMAND_TIMEOUT_S, keep_output=False):
    """Runs argv to its end. Returns (wall ns, client CPU ns, server CPU ns, stdout text)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        server0 = servers_cpu_ns(servers)
        start = time.monotonic_ns()
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out if keep_output else subprocess.DEVNULL,
            stderr=err,
            start_new_session=True,
        )
        usage, expired = _wait(process, timeout)
        wall = time.monotonic_ns() - start
        server = servers_cpu_ns(servers) - server0
        if expired:
            raise Failed(f"{argv[0]}: not done after {timeout} s")
        if process.returncode != 0:
            err.seek(0)
            text = err.read().decode(errors="replace").strip().splitlines()
            raise Failed(
                f"{os.path.basename(argv[0])}: exit {process.returncode}: {' / '.join(text[:2])}"
            )
        out.seek(0)
        client = int((usage.ru_utime + usage.ru_stime) * 1e9)
        return wall, client, server, out.read().decode(errors="replace")


class Helper:
    """The metadata program: measures many calls inside one process."""

    def __init__(self, path):
        self.path = path

    def phase(self, phase, directory, servers, *, count=0, repeat=1, threads=1):
        """Runs one phase; the sample is in microseconds per operation."""
        argv = [self.path]
        for pid in servers:
            argv += ["--server", str(pid)]
        argv += ["--threads", str(threads), phase, str(directory), str(count), str(repeat)]
        result = json.loads(run(argv, keep_output=True)[3])
        scale = 1000.0 * result["ops"]
        return Sample(
            result["wall_ns"] / scale,
            result["client_cpu_ns"] / scale,
            result["server_cpu_ns"] / scale,
        )

    def start(self, first_path, argv, cwd):
        """Starts argv and stats first_path. Returns (wall ns, CPU ns of argv)."""
        out = run([self.path, "start", str(first_path), *argv], cwd=cwd, keep_output=True)[3]
        result = json.loads(out)
        return result["wall_ns"], result["client_cpu_ns"]


def seconds(argv, servers, **kwargs):
    """Runs argv; the sample is in seconds."""
    wall, client, server, _ = run(argv, servers, **kwargs)
    return Sample(wall / 1e9, client / 1e9, server / 1e9)


def read_all(path):
    """Brings every file below a folder into the page cache."""
    run(["tar", "-C", str(path), "-cf", "/dev/zero", "."])


def drop_caches(what=3):
    """Writes dirty data out, then drops page cache (1), dentries and inodes (2) or both (3)."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as control:
        control.write(f"{what}\n")


def log(text):
    print(text, file=sys.stderr, flush=True)
