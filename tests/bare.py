"""Relevo on machines that have nothing: Debian 12, 13, and the one with the newest Python.

`python -m tests.bare wheel` installs the wheel by pip alone into an empty venv of each, asks
`relevo --version` and `relevo status`, and replicates and checks one instance of a lab from there.
`python -m tests.bare readme` gives Debian 12 and 13 a clone and `make`, and runs the README's
commands. More words name other releases. The rows that it prints are kept in
docs/benchmarks/bare.md.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bare_machine import Bare, bare
from tests.lab import inventory
from tests.lab.image import require_tools
from tests.lab.lab import STATE, Lab

ROOT = Path(__file__).parents[1]
LAB = os.environ.get("RELEVO_LAB_NAME", "bare")
WHEEL = ("bookworm", "trixie", "forky")
README = ("bookworm", "trixie")
PACKAGES = "python3-venv,ca-certificates,openssh-client"
VENV = "/opt/relevo"
INSTALL = f"""
python3 -m venv {VENV}
{VENV}/bin/pip install --quiet --disable-pip-version-check /dist/*.whl
"""
# Before there is a replica it is not known who serves, which status says with 5.
ASKED = (
    (5, "status"),
    (0, "run", "replicate", "vps_uno"),
    (0, "run", "check", "vps_uno"),
)
PACKED = """
from importlib.metadata import distributions, version
print(version("prefect"), len({each.name for each in distributions()}))
"""
CLONE = "/root/relevo"
# `make test` takes hours: here what it does without hosts, and one of its drills.
DRILL = "tests/drills/test_10_replicate.py"
COMMANDS = (
    ("make", "check"),
    ("make", "demo"),
    (".venv/bin/python", "-m", "pytest", "-q", DRILL),
)


class Clock:
    """How long something took, as a table says it."""

    def __init__(self) -> None:
        self.begun = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self.begun:.0f} s"


def wheel(suites: tuple[str, ...], folder: Path) -> Iterator[str]:
    """Install the wheel on each release, and use it; give the rows of the table."""
    dist = folder / "dist"
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(dist), _committed(folder))
    for suite in suites:
        with bare(suite, packages=PACKAGES, read=STATE / LAB) as machine:
            shutil.copytree(dist, machine.root / "dist")
            installed = _installed(machine)
            with Lab(LAB) as lab:
                yield f"| {suite} | {installed} | {_replicated(machine, lab)} |"


def _installed(machine: Bare) -> str:
    python = machine.run("python3", "--version").removeprefix("Python ")
    clock = Clock()
    machine.run("sh", "-ec", INSTALL)
    took = str(clock)
    prefect, count = machine.run(f"{VENV}/bin/python", "-c", PACKED).split()
    version = machine.run(f"{VENV}/bin/relevo", "--version")
    return f"{python} | {took}, {count} packages | {prefect} | {version}"


def _replicated(machine: Bare, lab: Lab) -> str:
    relevo = f"{VENV}/bin/relevo"
    inventory.write(lab, machine.root / "etc/relevo")
    machine.run("sh", "-c", '"$0" apply || true', relevo)  # it makes secrets, and has no server
    took = []
    for ends, *words in ASKED:
        clock = Clock()
        machine.run("sh", "-c", f'"$@"; test $? -eq {ends}', "asked", relevo, *words)
        took.append(str(clock))
    return " | ".join(took)


def readme(suites: tuple[str, ...], folder: Path) -> Iterator[str]:
    """Run what the README says on each release; give the rows of the table."""
    del folder
    for suite in suites:
        with bare(suite, variant="required", packages="make,git") as machine:
            _run("git", "clone", "--quiet", str(ROOT), str(machine.root / CLONE[1:]))
            took = [_typed(machine, *command, boots=at > 0) for at, command in enumerate(COMMANDS)]
            yield f"| {suite} | {' | '.join(took)} |"


def _typed(machine: Bare, *command: str, boots: bool) -> str:
    clock = Clock()
    enter = ("sh", "-c", 'cd "$0" && exec "$@"', CLONE)
    said = machine.run(*enter, *command, boots=boots, seconds=3600, RELEVO_LAB_NAME=LAB)
    print(said, flush=True)
    return str(clock)


TRIED = {"wheel": (wheel, WHEEL), "readme": (readme, README)}


def _committed(folder: Path) -> str:
    """Unpack the commit, so that nothing else of this folder is built, and nothing left in it."""
    source, packed = folder / "source", folder / "source.tar"
    _run("git", "-C", str(ROOT), "archive", "--output", str(packed), "HEAD")
    with tarfile.open(packed) as archive:
        archive.extractall(source, filter="data")
    return str(source)


def _pip(*arguments: str) -> None:
    _run(sys.executable, "-m", "pip", "--quiet", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> int:
    require_tools()
    what, *suites = sys.argv[1:] or ["wheel"]
    tried, all_suites = TRIED[what]
    folder = Path(tempfile.mkdtemp(prefix="relevo-bare-"))
    folder.chmod(0o755)
    try:
        for row in tried(tuple(suites) or all_suites, folder):
            print(row, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
