"""What .ci/release refuses, each with what to do; and what it builds of a tree that is right."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 7.0.0 - 2027-01-15\n- A sentence.\n\n## 6.0.0\n"
FOLDERS = ("blocks", "deployments", "flows", "tasks")
FILES = (
    "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", ".gitignore", "inventory.example.yaml",
)  # fmt: skip


def _run(tree: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHON": sys.executable, "GIT_CONFIG_GLOBAL": "/dev/null"}
    return subprocess.run(
        argv, cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def _commit(tree: Path) -> None:
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("add", "-A"), (*author, "commit", "-qm", "Release")):
        done = _run(tree, "git", *words)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with all that is right for version 7.0.0."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in (*FOLDERS, ".ci"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "blocks" / "version.py").write_text('VERSION = "7.0.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    _run(tmp_path, "git", "init", "-q")
    _commit(tmp_path)
    return tmp_path


def _dirty(tree: Path) -> None:
    (tree / "README.md").write_text("other\n")


def _untracked(tree: Path) -> None:
    (tree / "flows" / "secret_plan.py").touch()


def _no_section(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(CHANGELOG.replace("7.0.0", "7.0.01"))
    _commit(tree)


def _empty_section(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(CHANGELOG.replace("- A sentence.\n", ""))
    _commit(tree)


def _tagged_before(tree: Path) -> None:
    _run(tree, "git", "tag", "v7.0.0")
    (tree / "README.md").write_text("other\n")
    _commit(tree)


def _nothing(tree: Path) -> None:
    assert tree.exists()


@pytest.mark.parametrize(
    ("change", "version", "said"),
    [
        (_nothing, "", "no version is given"),
        (_nothing, "7.0.0.dev1", "7.0.0.dev1 is no version of a release"),
        (_nothing, "7.0.0rc1", "7.0.0rc1 is no version of a release"),
        (_nothing, "7.0.0+here", "7.0.0+here is no version of a release"),
        (_nothing, "7.0", "7.0 is no version of a release"),
        (_nothing, "7.0.1", "blocks/version.py says 7.0.0, not 7.0.1"),
        (_dirty, "7.0.0", "the tree has changes that are not committed"),
        (_untracked, "7.0.0", "the tree has changes that are not committed"),
        (_no_section, "7.0.0", "CHANGELOG.md has no section ## 7.0.0 with an entry"),
        (_empty_section, "7.0.0", "CHANGELOG.md has no section ## 7.0.0 with an entry"),
        (_tagged_before, "7.0.0", "v7.0.0 is another commit already"),
    ],
)
def test_a_tree_that_is_not_that_release_is_refused_with_a_hint(
    tree: Path, change: Callable[[Path], None], version: str, said: str
) -> None:
    change(tree)

    done = _run(tree, ".ci/release", version)

    assert done.returncode == 1
    assert done.stderr.startswith(f"release: {said}\nHINT: ")
    assert not (tree / "dist").exists()


def test_sdist_and_wheel_are_built_of_the_commit(tree: Path) -> None:
    done = _run(tree, ".ci/release", "7.0.0")

    assert done.returncode == 0, done.stderr
    made = ["dist/relevo-7.0.0-py3-none-any.whl", "dist/relevo-7.0.0.tar.gz"]
    assert done.stdout.splitlines()[:2] == made
    assert "git tag" in done.stdout
    with tarfile.open(tree / made[1]) as sdist:
        names = sdist.getnames()
    packed = zipfile.ZipFile(tree / made[0]).namelist()
    assert {"relevo-7.0.0/CHANGELOG.md", "relevo-7.0.0/tasks/programs/right.sh"} <= {*names}
    assert {"flows/failover.py", "tasks/programs/right.sh"} <= {*packed}
    assert _run(tree, "git", "status", "--porcelain").stdout == ""


def test_the_venv_of_the_checkout_builds_it(tree: Path) -> None:
    """`make release` names no Python, and the build stands in another folder."""
    (tree / ".venv").symlink_to(sys.prefix)

    done = _run(tree, "env", "-u", "PYTHON", ".ci/release", "7.0.0")

    assert done.returncode == 0, done.stderr
    assert (tree / "dist" / "relevo-7.0.0-py3-none-any.whl").exists()
