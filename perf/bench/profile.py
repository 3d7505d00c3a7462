"""What the servers do during a workload: strace's count of system calls, or perf's call graph.

Not for measuring: both slow the server down. Thread rule: one thread.
"""

import contextlib
import signal
import subprocess
import time
from pathlib import Path

from .measure import log

STOP_TIMEOUT_S = 60
ATTACH_S = 0.5
TOOLS = ("strace", "perf")


class Profiler:
    """Attaches one tool to the servers of every mount; one text file for each mount."""

    def __init__(self, tool, folder):
        self.tool = tool
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.label = "mount"
        self.taken = 0

    def _argv(self, out, pids):
        if self.tool == "strace":
            attach = [word for pid in pids for word in ("-p", str(pid))]
            return ["strace", "-c", "-f", "-w", "-o", str(out), *attach]
        joined = ",".join(str(pid) for pid in pids)
        return ["perf", "record", "-q", "-g", "-o", str(out), "-p", joined]

    @contextlib.contextmanager
    def attached(self, pids):
        self.taken += 1
        text = self.folder / f"{self.label}-{self.taken}.{self.tool}.txt"
        raw = text.with_suffix(".data") if self.tool == "perf" else text
        process = subprocess.Popen(
            self._argv(raw, pids), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(ATTACH_S)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.tool == "perf":
            report = ["perf", "report", "-i", str(raw), "--stdio", "--no-children", "-g", "none"]
            with open(text, "w", encoding="utf-8") as out:
                subprocess.run(report, stdout=out, stderr=subprocess.DEVNULL, check=False)
        log(f"  profile: {text}")
