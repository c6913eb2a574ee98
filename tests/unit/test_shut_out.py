"""Why a host cannot be asked is told apart: silence, a key, or a login."""

from pathlib import Path

import paramiko
import pytest

from blocks.errors import LoginRefused, ShutOut, Unreachable
from blocks.host import Host
from tasks.run import step
from tests.unit.test_shell import Hostile, hostile

OTHER = paramiko.RSAKey.generate(2048)


class Closed(Hostile):
    """One that lets nobody in."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002
        return paramiko.common.AUTH_FAILED


def asked(host: Host, **other: object) -> Unreachable:
    with pytest.raises(Unreachable) as refused:
        host.model_copy(update=other).shell().run(("true",))
    return refused.value


def test_another_host_key_is_no_silence(tmp_path: Path) -> None:
    with hostile(tmp_path, Hostile(lambda _: None)) as host:
        said = asked(host, host_key=f"{OTHER.get_name()} {OTHER.get_base64()}")

    assert type(said) is ShutOut
    assert "has changed" in said.message


def test_an_unknown_host_key_is_no_silence(tmp_path: Path) -> None:
    with hostile(tmp_path, Hostile(lambda _: None)) as host:
        said = asked(host, host_key=None)

    assert type(said) is ShutOut
    assert "is not known" in said.message


def test_a_host_known_by_its_key_that_refuses_our_login_is_alive(tmp_path: Path) -> None:
    with hostile(tmp_path, Closed(lambda _: None)) as host:
        said = asked(host)

    assert type(said) is LoginRefused
    assert "cannot log in to uno" in said.message


def test_a_key_of_ours_that_is_not_there_is_no_silence_of_the_host_s(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    OTHER.write_private_key_file(str(locked), password="secret")
    with hostile(tmp_path, Hostile(lambda _: None)) as host:
        for path in (tmp_path / "none", Path(__file__), locked):
            said = asked(host, key_file=path)
            assert type(said) is ShutOut, said
            assert str(path) in said.message


def test_silence_is_silence_and_is_what_is_tried_again() -> None:
    host = Host(name="uno", address="127.0.0.1", port=1, peer_address="127.0.0.1")

    assert type(asked(host)) is Unreachable
    assert step.heals(Unreachable("x"))
    assert not step.heals(ShutOut("x"))
    assert not step.heals(LoginRefused("x"))
