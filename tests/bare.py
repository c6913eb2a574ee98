"""The wheel on machines that have nothing: Debian 12, 13, and the one with the newest Python.

`python -m tests.bare` builds the wheel, makes a bare tree of each release, installs the wheel there
into an empty venv by pip alone, and asks `relevo --version` and `relevo status`. From each of them
one instance of a lab is replicated and checked. The results are kept in docs/benchmarks/bare.md.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlparse

from blocks.version import VERSION
from tests.lab import inventory
from tests.lab.image import CACHE, MORTAL, PROXIES, require_tools
from tests.lab.lab import Lab
from tests.lab.mirror import KEYRING, mirror
from tests.lab.trouble import LabError

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "benchmarks" / "bare.md"
PACKAGES = "python3-venv,ca-certificates,openssh-client"
SUITES = ("bookworm", "trixie", "forky")
VENV = "/opt/relevo"
INSTALL = f"""
python3 -m venv {VENV}
{VENV}/bin/pip install --quiet --disable-pip-version-check /dist/*.whl
"""
PAGE = """\
# The wheel on bare machines

`python -m tests.bare`, {when}: Relevo {version}, by `pip install` of the wheel alone, into an
empty venv.

| Debian | Python | installed in | `relevo --version` | `relevo status` | `relevo run replicate` |
|---|---|---|---|---|---|
{rows}
"""


@dataclass(frozen=True)
class Bare:
    """A tree of Debian's with Python and nothing else, which sees the lab of this machine."""

    suite: str
    root: Path
    shared: tuple[Path, ...]

    def run(self, *command: str, seconds: float = 1200) -> str:
        binds = "".join(
            f'mkdir -p "{self.root}{each}" && mount --rbind "{each}" "{self.root}{each}" && '
            for each in (*self.shared, Path("/dev/shm"))
            if each.exists()
        )
        done = subprocess.run(
            [
                *MORTAL, "sh", "-c",
                f'{binds} mount -t proc proc "{self.root}/proc" && exec chroot "$@"',
                "sh", str(self.root), *command,
            ],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **_pip(), **PROXIES},
            check=False, capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-3000:]
            raise LabError(f"{' '.join(command)[:200]} failed on {self.suite}:\n{said}")
        return done.stdout.strip()


def _pip() -> dict[str, str]:
    """This machine's own settings of pip, as its environment would have them."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    found = dict[str, str]()
    for line in said.splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2].replace("-", "_").upper()
        found[f"PIP_{option}"] = value.strip("'")
    return found


def _folders() -> Iterator[Path]:
    """What pip reads on this machine: folders of packages, certificates, constraints."""
    for value in _pip().values():
        for word in value.split():
            path = Path(urlparse(word).path if word.startswith("file:") else word)
            if path.is_absolute() and path.exists() and path != Path("/"):
                yield path if path.is_dir() else path.parent


@contextmanager
def bare(suite: str, *shared: Path) -> Iterator[Bare]:
    """Make the tree, and leave nothing of it."""
    root = CACHE / f"bare-{suite}"
    shutil.rmtree(root, ignore_errors=True)
    line = f"deb [signed-by={KEYRING}] {mirror()} {suite} main"
    subprocess.run(
        [*MORTAL, "--mount-proc", "mmdebstrap", "--quiet", "--variant=apt",
         f"--include={PACKAGES}", '--aptopt=Acquire::Check-Valid-Until "false"', suite, str(root),
         line],
        check=True, stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **PROXIES},
    )  # fmt: skip
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    try:
        yield Bare(suite, root, (*dict.fromkeys(_folders()), *shared))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def tried(machine: Bare, dist: Path, path: Path) -> str:
    """Install the wheel and use it; give the row of the table."""
    shutil.copytree(dist, machine.root / "dist")
    python = machine.run("python3", "--version").removeprefix("Python ")
    begun = datetime.now(UTC)
    machine.run("sh", "-ec", INSTALL)
    took = (datetime.now(UTC) - begun).total_seconds()
    relevo = (f"{VENV}/bin/relevo", "--inventory", str(path))
    version = machine.run(f"{VENV}/bin/relevo", "--version")
    status = machine.run(*relevo, "status").splitlines()[-1].split()
    machine.run(*relevo, "run", "replicate", "vps_uno")
    machine.run(*relevo, "run", "check", "vps_uno")
    return (
        f"| {machine.suite} | {python} | {took:.0f} s | {version} | {' '.join(status)} "
        "| ends well, and `check` is green |"
    )


def main() -> int:
    require_tools()
    folder = Path(tempfile.mkdtemp(prefix="relevo-bare-"))
    folder.chmod(0o755)
    rows = []
    try:
        dist = folder / "dist"
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
             "--wheel-dir", str(dist), str(ROOT)],
            check=True,
        )  # fmt: skip
        for suite in sys.argv[1:] or SUITES:
            with Lab(os.environ.get("RELEVO_LAB_NAME", "bare")) as lab:
                path = inventory.write(lab, folder / suite)
                subprocess.run(
                    [sys.executable, "-m", "deployments", "--inventory", str(path), "apply"],
                    cwd=ROOT, check=False, capture_output=True,
                )  # fmt: skip  # it names no server: secrets are made all the same
                with bare(suite, folder, lab.folder) as machine:
                    rows.append(tried(machine, dist, path))
                    print(rows[-1], flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    RESULTS.write_text(PAGE.format(when=when, version=VERSION, rows="\n".join(rows)))
    print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
