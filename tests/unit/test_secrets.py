"""The file of secrets: kept from others, written whole, never shown."""

import json
import stat
from pathlib import Path

import pytest

from blocks.errors import Refused
from deployments.secrets import Secrets


def test_missing_passwords_are_made_once_and_kept_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    first = Secrets(path)
    made = first.of("vps_1")
    first.save()
    assert first.invented == [], "they are kept now"

    again = Secrets(path)
    assert again.of("vps_1") == made
    assert again.invented == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.replication != made.rewind


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    path.write_text("vps_1: {}")
    path.chmod(0o640)

    with pytest.raises(Refused, match="users other than its owner can read"):
        Secrets(path)


@pytest.mark.parametrize("password", ["short", "contraseña-larga", "line\nfeed-in-it", 12345678])
def test_a_password_that_cannot_be_used_is_refused_and_not_shown(
    tmp_path: Path, password: object
) -> None:
    path = tmp_path / "secrets.yaml"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"vps_1": {"replication": password, "rewind": "good-enough-1"}}))

    with pytest.raises(Refused, match=r"vps_1: replication: not a usable secret") as refused:
        Secrets(path).of("vps_1")
    assert str(password) not in str(refused.value)


def test_a_file_that_is_no_yaml_is_refused_without_its_passwords(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    path.touch(mode=0o600)
    path.write_text('vps_1:\n  replication: "never-shown\n')

    with pytest.raises(Refused, match="this is not YAML") as refused:
        Secrets(path)
    assert "never-shown" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    path.mkdir(mode=0o700)

    with pytest.raises(Refused, match="cannot be read: Is a directory"):
        Secrets(path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "away" / "secrets.yaml")
    secrets.of("vps_1")

    with pytest.raises(Refused, match=r"cannot be written: No such file or directory") as refused:
        secrets.save()
    assert f"HINT: run this as a user who may write in {tmp_path / 'away'}" in str(refused.value)


def test_an_instance_that_is_forgotten_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    first = Secrets(path)
    kept, _ = first.of("vps_1"), first.of("vps_10")
    first.save()
    later = Secrets(path)
    later.of("vps_2")

    assert later.forget("vps_10")
    assert not later.forget("vps_10")

    again = Secrets(path)
    assert again.of("vps_1") == kept
    assert again.lacks_key("vps_1") is False
    assert "vps_10" not in path.read_text()
    assert "vps_2" not in path.read_text(), "what was invented and not asked for is not kept"
