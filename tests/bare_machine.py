"""A machine that has nothing: a tree of Debian as its root, on this one's kernel and network."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.image import CACHE, MORTAL, PROXIES
from tests.lab.mirror import KEYRING, mirror
from tests.lab.trouble import LabError

PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
# Of pip's settings, those without which it reaches no index.
REACH = {"CERT", "DEFAULT_TIMEOUT", "INDEX_URL", "PROXY", "TRUSTED_HOST"}
AUTHORITIES = "/etc/authorities-of-pip.crt"
# The tree becomes the root: where one is only changed to, nothing can be unshared or mounted.
# What is installed there may change nothing here: it sees no device and no folder of this machine.
ENTER = """
root=$1; read=$2; boots=$3; shift 3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
if [ "$boots" ]; then
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
else
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
fi
if [ -d "$read" ]; then
    mkdir -p "$root$read"
    mount --bind "$read" "$root$read"
    mount -o remount,bind,ro "$root$read"
fi
cd "$root"
mount --move . /
exec chroot . "$@"
"""


@dataclass(frozen=True)
class Bare:
    """A tree with Python and nothing else; it may read one folder of this machine's."""

    suite: str
    root: Path
    read: Path | None

    def run(self, *command: str, boots: bool = False, seconds: float = 1200, **env: str) -> str:
        """Run a command there; with its words when it fails. Only who boots hosts sees devices."""
        argv = (str(self.root), str(self.read or ""), "yes" if boots else "", *command)
        done = subprocess.run(
            [*MORTAL, "sh", "-ec", ENTER, "enter", *argv],
            env={**PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **_settings(), **PROXIES, **env},
            check=False, capture_output=True, text=True, timeout=seconds,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-6000:]
            raise LabError(f"{' '.join(command)[:200]} failed on {self.suite}:\n{said}")
        return done.stdout.strip()


@contextmanager
def bare(
    suite: str, *, packages: str, variant: str = "apt", read: Path | None = None
) -> Iterator[Bare]:
    """Make the tree, and leave nothing of it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f"bare-{suite}-", dir=CACHE))
    root.chmod(0o755)
    try:
        _build(suite, root, variant, packages)
        _furnish(root)
        yield Bare(suite, root, read)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _build(suite: str, root: Path, variant: str, packages: str) -> None:
    line = f"deb [signed-by={KEYRING}] {mirror()} {suite} main"
    subprocess.run(
        [*MORTAL, "--mount-proc", "mmdebstrap", "--quiet", f"--variant={variant}",
         f"--include={packages}", '--aptopt=Acquire::Check-Valid-Until "false"', suite, str(root),
         line],
        check=True, stdin=subprocess.DEVNULL, env={**PATH, "LC_ALL": "C.UTF-8", **PROXIES},
    )  # fmt: skip


def _furnish(root: Path) -> None:
    """Give it copies of what it needs from here."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if authorities := _pip().get("PIP_CERT"):
        shutil.copy(authorities, root / AUTHORITIES[1:])
    never = root / "usr/sbin/policy-rc.d"  # or a package starts its service, beside this machine's
    never.write_text("#!/bin/sh\nexit 101\n")
    never.chmod(0o755)


def _pip() -> dict[str, str]:
    """How pip reaches the index from here; our own folders of packages are nobody else's."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    found = dict[str, str]()
    for line in said.splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2].replace("-", "_").upper()
        if option in REACH:
            found[f"PIP_{option}"] = value.strip("'")
    return found


def _settings() -> dict[str, str]:
    """The same, as it holds in the tree."""
    found = _pip()
    return {**found, "PIP_CERT": AUTHORITIES} if "PIP_CERT" in found else found
