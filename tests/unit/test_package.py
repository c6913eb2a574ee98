"""The wheel is whole: installed where no checkout is, the command runs and finds its files."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from blocks.version import VERSION

ROOT = Path(__file__).parents[2]
FOLDERS = ("blocks", "deployments", "flows", "tasks")
FILES = ("pyproject.toml", "README.md", "LICENSE")
# Everything is here already: nothing is downloaded.
OFFLINE = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")
RUN = """
import sys
import deployments
import importlib
from tasks.filestore import rsync_gate
from tasks.install import programs, zipapp
from tasks.odoo import http
from deployments.parser import FLOWS
assert deployments.__file__.startswith(sys.prefix), deployments.__file__
for name in ("filestore", "guard", "synchronous", "divergence"):
    zipapp.pack(name)
for name in ("fresh_start.sh", "right.sh", "door.py"):
    assert programs.script(name).startswith("#!"), name
for name in FLOWS:
    importlib.import_module("flows." + name)
"""


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, timeout=60)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing is left in the checkout."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    _pip("wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(made), str(source))
    (built,) = made.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty venv with the wheel; what it depends on is borrowed from this one."""
    place = tmp_path_factory.mktemp("venv")
    venv.create(place, symlinks=True)
    _pip("--python", str(place / "bin" / "python"), "install", *OFFLINE, "--no-compile", str(wheel))
    (packages,) = (place / "lib").glob("python*/site-packages")
    # Python reads no .pth of a folder that is named so: ours is not found by way of the checkout.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


def _run(installed: Path, *command: str) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [installed / "bin" / command[0], *command[1:]], cwd=installed, env=env, timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_every_file_of_the_source_tree(wheel: Path) -> None:
    ours = {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == ours


def test_the_wheel_is_of_the_one_version(wheel: Path, installed: Path) -> None:
    assert wheel.name == f"relevo-{VERSION}-py3-none-any.whl"
    assert _run(installed, "relevo", "--version") == f"relevo {VERSION}\n"


def test_the_installed_command_says_what_it_can(installed: Path) -> None:
    assert "relevo failover vps_1" in _run(installed, "relevo", "--help")


def test_what_is_put_on_hosts_is_found_where_no_checkout_is(installed: Path) -> None:
    _run(installed, "python", "-c", RUN)
