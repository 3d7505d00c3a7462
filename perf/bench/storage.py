"""The Go program that makes lists and tars with the code of containers/storage, and how it is built.

Debian has that code as a package that nothing else here needs and that depends on some 250 others;
its few parts that we compile are unpacked into the cache folder and nothing is installed.
Not here: what the program does (layers/layers.go). Thread rule: one thread.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from .measure import Sample, log, run

# What github.com/containers/storage/pkg/archive imports.
SOURCES = (
    "golang-github-containers-storage-dev",
    "golang-github-cespare-xxhash-dev",
    "golang-github-docker-go-units-dev",
    "golang-github-klauspost-compress-dev",
    "golang-github-klauspost-pgzip-dev",
    "golang-github-moby-sys-dev",
    "golang-github-opencontainers-runc-dev",
    "golang-github-opencontainers-specs-dev",
    "golang-github-sirupsen-logrus-dev",
    "golang-github-ulikunitz-xz-dev",
    "golang-gocapability-dev",
    "golang-golang-x-net-dev",
    "golang-golang-x-sys-dev",
)
PER_CALL = 1000  # how many calls layers.go makes for one stat or read
TIMEOUT_S = 600
NAMES = {"ms": 1e6, "us": 1e3, "s": 1e9}


def version():
    shown = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", SOURCES[0]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    found = [line.split()[1] for line in shown.splitlines() if line.startswith("Version:")]
    return f"{SOURCES[0]} {found[0]}" if found else SOURCES[0]


def _sources(cache):
    """The Go path with the sources, unpacked when they are not there yet."""
    final = cache / "gocode"
    if final.exists():
        return final
    log(f"  unpacking the sources of containers/storage to {final} (once)")
    part = cache / "gocode.part"
    shutil.rmtree(part, ignore_errors=True)
    (part / "deb").mkdir(parents=True)
    done = subprocess.run(
        ["apt-get", "download", "--quiet", *SOURCES],
        cwd=part / "deb",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"apt-get download {SOURCES[0]} ...: {' '.join(last)}")
    for package in (part / "deb").glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(part)], check=True, timeout=120)
    shutil.rmtree(part / "deb")
    part.rename(final)
    return final


def build(source, cache):
    """The program, compiled in the cache folder if it is older than its source."""
    target = cache / "layers"
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return target
    path = _sources(cache) / "usr/share/gocode"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(path), "GOFLAGS": ""}
    environment |= {"GOCACHE": str(cache / "go-build"), "CGO_ENABLED": "0"}
    done = subprocess.run(
        ["go", "build", "-o", str(target), str(source)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"go build {source.name}: {done.stderr.strip()[:400]}")
    return target


class Layers:
    """The program. Each call gives the samples of its steps, in the unit asked for."""

    def __init__(self, path, seconds):
        self.path = path
        self.seconds = seconds

    def __call__(self, command, *args, unit="ms", servers=(), seconds=None, list_to="", tar_to=""):
        """Returns ([Sample of each step], how many changes were found, or None)."""
        argv = [str(self.path), "-seconds", str(self.seconds if seconds is None else seconds)]
        for pid in servers:
            argv += ["-server", str(pid)]
        if list_to:
            argv += ["-list", str(list_to)]
        if tar_to:
            argv += ["-tar", str(tar_to)]
        argv += [command, *map(str, args)]
        result = json.loads(run(argv, timeout=TIMEOUT_S, keep_output=True)[3])
        scale = NAMES[unit] * result["ops"] * (PER_CALL if command in ("stat", "read") else 1)
        fields = ("wall_ns", "client_cpu_ns", "server_cpu_ns")
        samples = [Sample(*(step[f] / scale for f in fields)) for step in result["steps"]]
        return samples, result.get("entries")


def added(first, second):
    """The cost of two steps that follow each other."""
    return Sample(
        first.value + second.value,
        first.client_cpu + second.client_cpu,
        first.server_cpu + second.server_cpu,
    )
