"""The file of secrets: kept from others, written whole, never shown."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blocks.errors import Refused
from deployments import signers
from deployments.alone import alone
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


def remember(secrets: Secrets, name: str) -> None:
    signers._change(secrets, lambda known: {**known, name: f"the public half of {name}"})


@pytest.mark.parametrize("round_", range(3))
def test_two_runs_that_write_at_the_same_time_lose_nothing_of_each_other(
    tmp_path: Path, round_: int
) -> None:
    path = tmp_path / "secrets.yaml"
    names = [f"vps_{round_}{number}" for number in range(8)]
    opened = [Secrets(path) for _ in names]
    for secrets, name in zip(opened, names, strict=True):
        secrets.of(name)

    def write(at: int) -> None:
        opened[at].save()
        opened[at].change(names[at], signing=f"the newest key of {names[at]}")
        remember(opened[at], names[at])

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(write, range(len(names))))

    again = Secrets(path)
    for name in names:
        assert again.of(name).signing.get_secret_value() == f"the newest key of {name}"
    assert again.invented == []
    assert signers.read(again) == {name: f"the public half of {name}" for name in names}
    assert {each.name for each in tmp_path.iterdir()} == {"secrets.yaml", "signers.yaml"}


def test_what_another_run_has_changed_since_is_not_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    first = Secrets(path)
    first.of("vps_1"), first.of("vps_2"), first.of("vps_3")
    first.save()
    late = Secrets(path)
    Secrets(path).change("vps_1", signing="the newest key of all")
    Secrets(path).forget("vps_3")

    late.change("vps_2", signing_next="the next key of vps_2")
    late.of("vps_4")
    late.save()

    assert Secrets(path).of("vps_1").signing.get_secret_value() == "the newest key of all"
    assert "vps_3" not in path.read_text()
    assert Secrets(path).of("vps_4") == late.of("vps_4")


def test_passwords_that_two_runs_have_made_at_once_are_those_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    one, other = Secrets(path), Secrets(path)
    made = one.of("vps_1")
    other.of("vps_1")
    one.save()

    with pytest.raises(Refused, match=r"another run has made passwords for vps_1") as refused:
        other.save()

    assert "HINT: run this again" in str(refused.value)
    assert Secrets(path).of("vps_1") == made


def test_a_file_that_is_gone_meanwhile_is_not_made_anew_of_what_changes(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    secrets = Secrets(path)
    secrets.of("vps_1"), secrets.of("vps_2")
    secrets.save()
    path.unlink()

    with pytest.raises(Refused, match="was there when this run began, and is gone"):
        secrets.change("vps_1", signing="the newest key of all")
    assert not path.exists()


def test_a_run_that_hangs_while_it_writes_is_named_and_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.alone.WAIT_SECONDS", 0)
    secrets = Secrets(tmp_path / "secrets.yaml")
    secrets.of("vps_1")

    with alone(tmp_path), pytest.raises(Refused, match=f"has been writing in {tmp_path}"):
        secrets.save()
    secrets.save()
