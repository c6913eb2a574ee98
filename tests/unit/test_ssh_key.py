"""A key of ssh's is made once, and made anew where an accident has left half of one."""

import subprocess
from pathlib import Path

import pytest

from tasks.host import sshd


def make(folder: Path) -> tuple[str, str]:
    """Run it for real, with nobody to answer a question; give both halves."""
    key = folder / "key"
    argv = ("sh", "-c", sshd.MAKE_KEY, "make key", str(key), "relevo guard of vps_1")
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return key.read_text(), key.with_suffix(".pub").read_text()


def test_a_key_that_is_there_stays(tmp_path: Path) -> None:
    assert make(tmp_path) == make(tmp_path)


@pytest.mark.parametrize(
    ("half", "how"),
    [("key", "empty"), ("key.pub", "empty"), ("key.pub", "gone"), ("key", "gone")],
)
def test_half_a_key_is_none(tmp_path: Path, half: str, how: str) -> None:
    """A power cut leaves empty files, and ssh-keygen asks whether it may write over them."""
    before = make(tmp_path)
    (tmp_path / half).unlink()
    if how == "empty":
        (tmp_path / half).touch(mode=0o600)

    private, public = make(tmp_path)

    assert private != before[0]
    derived = subprocess.run(
        ("ssh-keygen", "-y", "-f", str(tmp_path / "key")),
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert derived.stdout.split()[:2] == public.split()[:2]
