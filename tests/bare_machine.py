"""A machine that has nothing: a tree of Debian as its root, on this one's kernel and network."""

import shutil
import subprocess
import sys
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
# The tree becomes the root: where one is only changed to, nothing can be unshared or mounted.
ENTER = """
root=$1; shared=$2; shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
for each in /sys /dev $shared; do
    mkdir -p "$root$each" && mount --rbind "$each" "$root$each"
done
cd "$root" && mount --move . / && exec chroot . "$@"
"""


@dataclass(frozen=True)
class Bare:
    """A tree with Python and nothing else, which sees the lab of this machine."""

    suite: str
    root: Path
    shared: tuple[Path, ...]

    def run(self, *command: str, seconds: float = 1200, **env: str) -> str:
        """Run a command there; with its words when it fails."""
        shared = " ".join(str(each) for each in self.shared if each.exists())
        done = subprocess.run(
            [*MORTAL, "sh", "-ec", ENTER, "enter", str(self.root), shared, *command],
            env={**PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **_pip(), **PROXIES, **env},
            check=False, capture_output=True, text=True, timeout=seconds,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-6000:]
            raise LabError(f"{' '.join(command)[:200]} failed on {self.suite}:\n{said}")
        return done.stdout.strip()


@contextmanager
def bare(suite: str, *shared: Path, variant: str = "apt", packages: str = "") -> Iterator[Bare]:
    """Make the tree, and leave nothing of it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / f"bare-{suite}"
    shutil.rmtree(root, ignore_errors=True)
    line = f"deb [signed-by={KEYRING}] {mirror()} {suite} main"
    subprocess.run(
        [*MORTAL, "--mount-proc", "mmdebstrap", "--quiet", f"--variant={variant}",
         f"--include={packages}", '--aptopt=Acquire::Check-Valid-Until "false"', suite, str(root),
         line],
        check=True, stdin=subprocess.DEVNULL, env={**PATH, "LC_ALL": "C.UTF-8", **PROXIES},
    )  # fmt: skip
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    try:
        yield Bare(suite, root, (*_certificates(), *shared))
    finally:
        shutil.rmtree(root, ignore_errors=True)


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


def _certificates() -> tuple[Path, ...]:
    """Where the authorities stand that this machine trusts, if pip is told to."""
    named = _pip().get("PIP_CERT")
    return (Path(named).parent,) if named else ()
