"""The lower layers that the workloads read. Each is made once, kept, and never written again.

A fixture is built under a temporary name and renamed when it is complete, so that an interrupted
run leaves nothing half-made. Thread rule: one thread.
"""

import os
import shutil
import subprocess
from pathlib import Path

from .measure import log

FILES_PER_DIR = 500
SMALL_FILE = bytes(range(256)) * 16  # 4 KiB


class Fixtures:
    def __init__(self, root):
        self.root = Path(root)

    def made(self, name, make):
        final = self.root / name
        if final.exists():
            return final
        log(f"  making {final} (once)")
        temp = self.root / f"{name}.part"
        if temp.is_dir():
            shutil.rmtree(temp)
        make(temp)
        os.sync()
        temp.rename(final)
        return final

    def empty(self):
        return self.made("empty", Path.mkdir)

    def files(self, count, size):
        """count files of size bytes, FILES_PER_DIR to a directory."""

        def make(temp):
            temp.mkdir()
            content = (SMALL_FILE * (size // len(SMALL_FILE) + 1))[:size]
            for i in range(count):
                directory = temp / f"d{i // FILES_PER_DIR:04}"
                if i % FILES_PER_DIR == 0:
                    directory.mkdir()
                (directory / f"f{i:06}").write_bytes(content)

        return self.made(f"files-{count}x{size}", make)

    def big(self, mib):
        """One directory with one file "data" of mib MiB, not compressible and without holes."""

        def make(temp):
            temp.mkdir()
            block = os.urandom(1 << 20)
            with open(temp / "data", "wb") as out:
                for _ in range(mib):
                    out.write(block)

        return self.made(f"big-{mib}", make)

    def layers(self, count):
        """Layers l0 ... in one folder; each has a file of its own, the lowest also "first"."""

        def make(temp):
            for i in range(count):
                layer = temp / f"l{i}"
                layer.mkdir(parents=True)
                (layer / f"only-in-{i}").write_text(f"{i}\n", encoding="ascii")
            (temp / f"l{count - 1}" / "first").write_text("first\n", encoding="ascii")

        return self.made(f"layers-{count}", make)

    def debian_root(self):
        """A Debian root tree with a compiler, by debootstrap from the mirror that apt uses here.

        Without device nodes, as container images are: fuse-overlayfs cannot delete those of a
        lower.
        """

        def make(temp):
            mirror, suite = _apt_mirror()
            packages = "--include=build-essential,python3"
            command = ["debootstrap", "--variant=minbase", packages, suite, str(temp), mirror]
            log(f"  {' '.join(command)}")
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=900)
            for archive in (temp / "var/cache/apt/archives").glob("*.deb"):
                archive.unlink()
            shutil.rmtree(temp / "dev")
            (temp / "dev").mkdir()

        return self.made("debian-root", make)

    def debian_tar(self):
        root = self.debian_root()

        def make(temp):
            subprocess.run(["tar", "-C", root, "-cf", temp, "."], check=True, timeout=300)

        return self.made("debian-root.tar", make)


def _apt_mirror():
    """(URI, suite) of the first index that apt uses, leaving out updates and security."""
    fields = "$(SITE) $(RELEASE) $(ORIGIN)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    for line in listed.splitlines():
        site, release, *_ = line.split()
        base = release.partition("-")[0]
        if base == release and Path("/usr/share/debootstrap/scripts", release).exists():
            return site, release
    raise RuntimeError("apt has no main suite that debootstrap knows; see apt-get indextargets")
