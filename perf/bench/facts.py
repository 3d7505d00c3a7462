"""What a reader needs to judge or repeat the numbers: machine, versions, command.

Thread rule: one thread.
"""

import datetime
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path


def collect(args, contestants, folder):
    """What a reader needs to judge or repeat the numbers."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    commit = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {
        "name": args.name,
        "command": shlex.join([f"perf/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": os.uname().release,
        "CPUs": f"{os.cpu_count()} x {cpu}",
        "memory": f"{memory_gib:.0f} GiB",
        "layers on": "ext4 in an image file (loop device, direct I/O)",
        "rounds": args.rounds,
        "commit": commit or "unknown",
        "load at the start": "{:.2f}".format(os.getloadavg()[0]),
    }
    for contestant in contestants:
        if contestant.has_server:
            found[contestant.name] = contestant.version()
    return found
