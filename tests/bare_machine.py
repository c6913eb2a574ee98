"""A machine that has nothing: a tree of Debian as its root, on this one's kernel and network."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cgroup import Cgroup, hierarchy
from tests.lab.image import CACHE, MORTAL, PROXIES
from tests.lab.mirror import KEYRING, mirror
from tests.lab.trouble import LabError

PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
# Of pip's settings, those without which it reaches no index.
REACH = {"CERT", "DEFAULT_TIMEOUT", "INDEX_URL", "PROXY", "TRUSTED_HOST"}
AUTHORITIES = "/etc/authorities-of-pip.crt"
# The tree becomes the root: where one is only changed to, nothing can be unshared or mounted.
# What runs there may change nothing here: this machine's root is read-only to it from the start.
# Who boots hosts has devices of its own, and of this machine's disks none that is in use.
ENTER = """
root=$1; read=$2; boots=$3; shift 3
mount() { command mount --no-mtab "$@"; }
unchanged() {
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}
mount --bind "$root" "$root"
mount -o remount,bind,ro /
mount -t proc proc "$root/proc"
for each in "$root/proc/sys" "$root/proc/sysrq-trigger"; do
    if [ -e "$each" ]; then unchanged "$each" "$each"; fi
done
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
for each in pts/ptmx:ptmx /proc/self/fd:fd fd/0:stdin fd/1:stdout fd/2:stderr; do
    ln -s "${each%:*}" "$root/dev/${each#*:}"
done
for each in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 ${boots:+loop-control:10:237}
do
    numbers=${each#*:}
    mknod -m 666 "$root/dev/${each%%:*}" c "${numbers%:*}" "${numbers#*:}"
done
if [ "$boots" ]; then
    mount -t sysfs sysfs "$root/sys"
    mount -o remount,bind,ro "$root/sys"
    for each in $(seq 0 63); do
        if [ ! -e "/sys/block/loop$each/loop" ]; then
            mknod -m 660 "$root/dev/loop$each" b 7 "$each"
        fi
    done
fi
if [ -d "$read" ]; then
    mkdir -p "$root$read"
    unchanged "$read" "$root$read"
fi
cd "$root"
mount --move . /
exec chroot . "$@"
"""
# Who boots hosts sees no cgroup but one of its own.
JOIN = 'echo 0 >"$0/cgroup.procs"; exec "$@"'
APART = """
grep -qx 0::/ /proc/self/cgroup
for each in /proc/sys/kernel/panic /proc/sysrq-trigger /sys/kernel /sys/fs/cgroup; do
    if [ -w "$each" ]; then echo "$each may be written"; exit 1; fi
done
for each in /dev/[hsv]d* /dev/nvme* /dev/mem /dev/kmsg; do
    if [ -e "$each" ]; then echo "$each is seen"; exit 1; fi
done
"""


@dataclass(frozen=True)
class Bare:
    """A tree with Python and nothing else; it may read one folder of this machine's."""

    suite: str
    root: Path
    read: Path | None

    def run(self, *command: str, boots: bool = False, seconds: float = 1200, **env: str) -> str:
        """Run a command there; with its words when it fails. Only who boots hosts sees disks."""
        argv = (str(self.root), str(self.read or ""), "yes" if boots else "", *command)
        with self._apart() as joined:
            done = subprocess.run(
                [*joined, *MORTAL, "--cgroup", "sh", "-ec", ENTER, "enter", *argv],
                env={**PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **_settings(), **PROXIES, **env},
                check=False, capture_output=True, text=True, timeout=seconds,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-6000:]
            raise LabError(f"{' '.join(command)[:200]} failed on {self.suite}:\n{said}")
        return done.stdout.strip()

    @contextmanager
    def _apart(self) -> Iterator[tuple[str, ...]]:
        """Join a cgroup that only this tree has, and leave nothing in it."""
        group = Cgroup(hierarchy() / self.root.name)
        group.path.mkdir()
        try:
            yield "sh", "-ec", JOIN, str(group.path)
        finally:
            group.kill()
            group.remove()


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
        machine = Bare(suite, root, read)
        for boots in (False, True):
            machine.run("sh", "-ec", APART, boots=boots)
        yield machine
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
