"""Programs of Debian's packages that this machine need not install: most would be services."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.image import CACHE
from tests.lab.trouble import LabError

PLACES = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def find(name: str, packages: tuple[str, ...]) -> str:
    """Find a program here, or else unpack it from packages, once for all who ask at once."""
    if found := shutil.which(name, path=PLACES):
        return found
    folder = CACHE / packages[0]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (unpacked := _unpacked(name, folder)):
            _unpack(folder, packages)
            unpacked = _unpacked(name, folder)
    if not unpacked:
        raise LabError(f"{', '.join(packages)} hold no {name}", hint=f"install {name}")
    return unpacked


def libraries(program: str) -> dict[str, str]:
    """Say where an unpacked program finds the libraries that were unpacked with it."""
    top = Path(program).parents[2]
    found = ":".join(map(str, top.glob("usr/lib/*-linux-gnu*"))) if top != Path("/") else ""
    return {**os.environ, "LD_LIBRARY_PATH": found} if found else dict(os.environ)


def _unpacked(name: str, folder: Path) -> str | None:
    return shutil.which(name, path=f"{folder}/usr/sbin:{folder}/usr/bin:{folder}/bin")


def _unpack(folder: Path, packages: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *packages],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(
            f"{', '.join(packages)} cannot be fetched: {done.stderr.strip()}",
            hint=f"apt update, then apt install {' '.join(packages)}",
        )
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
