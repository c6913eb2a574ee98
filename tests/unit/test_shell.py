# ruff: noqa: ARG002  # paramiko's own signatures
"""The way to a host."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest

from blocks import ssh_channel, ssh_login
from blocks.errors import CommandFailed, ShutOut, Unreachable
from blocks.host import Host
from blocks.shell import BEGINS, Completed
from blocks.ssh import SshShell
from blocks.ssh_channel import read_line

MAX_SESSIONS = 10
KEY = paramiko.RSAKey.generate(2048)


def test_a_host_that_says_nothing_keeps_nobody_waiting_who_asks_another() -> None:
    """A board asks thirty hosts side by side, and on a bad night some of them are dead."""
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and does not listen: dialling it is refused at once
        waiting = threading.Thread(target=_ask, args=(silent,), daemon=True)
        waiting.start()
        with silent.accept()[0]:
            _ask(unheard)
            assert waiting.is_alive(), "it was waited for"


def _ask(sock: socket.socket) -> None:
    address, port = sock.getsockname()
    with pytest.raises(Unreachable):
        Host(name="uno", address=address, port=port, peer_address=address).shell().run(("true",))


def test_a_command_that_failed_says_with_what_status_and_what_it_said_last() -> None:
    host = Host(name="uno", address="192.0.2.1", peer_address="192.0.2.1")
    said = "".join(f"line {number}\n" for number in range(1, 13))

    error = host.shell().complaint(Completed(("cat", "/x"), 3, "", said))

    assert error.message.startswith("cat failed on uno with status 3: cat /x\nline 3\n")
    assert (error.status, error.argv) == (3, ("cat", "/x"))
    assert error.last_lines == tuple(f"line {number}" for number in range(3, 13))


# --------------------------------------------------------------- a host in somebody else's hands


class Hostile(paramiko.ServerInterface):
    """An ssh server that lets everybody in, and answers a command as its owner likes."""

    def __init__(self, behave: Callable[[paramiko.Channel], None]) -> None:
        self.behave = behave

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._behave, args=(channel,), daemon=True).start()
        return True

    def _behave(self, channel: paramiko.Channel) -> None:
        try:
            self.behave(channel)
        except (OSError, EOFError, paramiko.SSHException):
            with suppress(OSError, EOFError, paramiko.SSHException):  # its peer may be gone by now
                channel.close()


@contextmanager
def hostile(folder: Path, server: paramiko.ServerInterface) -> Iterator[Host]:
    key = folder / "key"
    KEY.write_private_key_file(str(key))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address, port = listening.getsockname()
        ends: list[paramiko.Transport] = []

        def serve() -> None:
            try:
                while True:
                    transport = paramiko.Transport(listening.accept()[0])
                    transport.add_server_key(KEY)
                    transport.start_server(server=server)
                    ends.append(transport)
            except (OSError, EOFError, paramiko.SSHException):
                return

        threading.Thread(target=serve, daemon=True).start()
        yield Host(
            name="uno", address=address, port=port, peer_address=address, user="root",
            key_file=key, host_key=f"{KEY.get_name()} {KEY.get_base64()}",
        )  # fmt: skip
        for end in ends:
            end.close()


def test_a_command_that_says_too_much_is_ended_with_a_sentence_about_it(tmp_path: Path) -> None:
    """An endless certificate once took 2.6 GB of the runner, which serves all customers."""
    sent = [0]

    def endless(channel: paramiko.Channel) -> None:
        while True:
            sent[0] += channel.send(bytes(1 << 15))

    with hostile(tmp_path, Hostile(endless)) as host:
        with pytest.raises(
            CommandFailed, match="cat on uno printed more than 1000000 bytes"
        ) as told:
            host.shell().run(("cat", "/etc/odoo.conf"), limit_bytes=1_000_000)
        assert told.value.hint.startswith("run it by hand on ")
        with pytest.raises(CommandFailed, match="printed more than 1000000 bytes"):
            host.shell().run(("cat", "x"), limit_bytes=1_000_000, check=False)
    assert sent[0] < 50_000_000


def test_a_connection_that_ended_while_it_was_kept_is_opened_once_more(tmp_path: Path) -> None:
    """A firewall ends what is idle: the first command after that once failed the run."""

    def well(channel: paramiko.Channel) -> None:
        channel.recv(1)  # nothing, once the command was begun and fed
        channel.send_exit_status(0)
        channel.close()

    with hostile(tmp_path, Hostile(well)) as host:
        shell = host.shell()
        assert isinstance(shell, SshShell)
        shell.run(("true",))
        kept = ssh_login.connection(shell.address)
        kept.sock.shutdown(socket.SHUT_WR)
        shell.run(("true",))
        assert ssh_login.connection(shell.address) is not kept


def test_a_broken_connection_that_many_find_costs_none_of_them_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps ask side by side: who finds it last must not close what the first has opened anew."""

    def well(channel: paramiko.Channel) -> None:
        channel.recv(1)
        time.sleep(0.2)
        channel.send_exit_status(0)
        channel.close()

    at_once, tries = threading.Barrier(2), list[paramiko.Transport]()
    real = paramiko.Transport.open_session

    def together(transport: paramiko.Transport, timeout: float) -> paramiko.Channel:
        """Let both find the kept connection broken, and the second one act on it late."""
        if transport is kept:
            at_once.wait(10)
            tries.append(transport)
            if threading.current_thread().name == "late":
                time.sleep(0.5)
            raise EOFError
        return real(transport, timeout=timeout)

    with hostile(tmp_path, Hostile(well)) as host:
        shell = host.shell()
        assert isinstance(shell, SshShell)
        shell.run(("true",))
        kept = ssh_login.connection(shell.address)
        monkeypatch.setattr(paramiko.Transport, "open_session", together)
        late = threading.Thread(target=shell.run, args=(("true",),), name="late")
        late.start()
        shell.run(("true",))
        opened = ssh_login.connection(shell.address)
        late.join(10)
        assert ssh_login.connection(shell.address) is opened
        assert opened.is_active()
        assert tries == [kept, kept]


class Narrow(Hostile):
    """It bears no more than ten sessions on a connection, as sshd by itself."""

    def __init__(self) -> None:
        super().__init__(self._well)
        self.open, self.most = set[int](), 0

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if len(self.open) >= MAX_SESSIONS:
            return paramiko.common.OPEN_FAILED_CONNECT_FAILED
        self.open.add(chanid)
        self.most = max(self.most, len(self.open))
        return paramiko.common.OPEN_SUCCEEDED

    def _well(self, channel: paramiko.Channel) -> None:
        time.sleep(0.02)
        channel.send_exit_status(0)
        self.open.discard(channel.get_id())
        channel.close()


def test_however_many_ask_at_once_sshd_bears_it(tmp_path: Path) -> None:
    """A board measures sixteen instances at once, over the one connection to their host."""
    narrow = Narrow()
    with hostile(tmp_path, narrow) as host, ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(host.shell().run, ("true",)) for _ in range(64)]
        assert [each.result().status for each in asked] == [0] * 64
    assert narrow.most <= ssh_login.COMMANDS


def test_a_command_that_is_late_costs_those_of_others_nothing(tmp_path: Path) -> None:
    """A round gives each instance its share of time, and all share the connection."""

    def slow(channel: paramiko.Channel) -> None:
        time.sleep(1.5)
        channel.send_exit_status(0)
        channel.close()

    with hostile(tmp_path, Hostile(slow)) as host, ThreadPoolExecutor(2) as pool:
        shell = host.shell()
        other = pool.submit(shell.run, ("rsync",))
        late = pool.submit(shell.run, ("sync",), timeout_seconds=0.5)
        with pytest.raises(Unreachable, match="it did not finish within"):
            late.result()
        assert other.result().status == 0


def test_a_command_that_hears_late_of_a_broken_connection_leaves_the_new_one_alone(
    tmp_path: Path,
) -> None:
    def well(channel: paramiko.Channel) -> None:
        channel.recv(1)
        channel.send_exit_status(0)
        channel.close()

    with hostile(tmp_path, Hostile(well)) as host:
        shell = host.shell()
        assert isinstance(shell, SshShell)
        kept = ssh_login.connection(shell.address)
        ended = shell._unreachable("sleep")
        ended.__enter__()
        kept.close()
        opened = ssh_login.connection(shell.address)
        with pytest.raises(Unreachable):
            ended.__exit__(EOFError, EOFError(), None)
        assert opened is not kept
        assert ssh_login.kept_connection(shell.address) is opened
        with pytest.raises(Unreachable), shell._unreachable("sleep"):
            raise EOFError
        assert ssh_login.kept_connection(shell.address) is None


def test_what_was_dialled_ahead_serves_all_and_the_lock_and_is_dialled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def behave(channel: paramiko.Channel) -> None:
        channel.sendall(f"{BEGINS}\nheld\n".encode())
        channel.recv(1)  # nothing, once it was begun and fed
        channel.send_exit_status(0)
        channel.close()

    connect, dialled = ssh_login.connect, list[object]()

    def counted(address: ssh_login.Address) -> paramiko.Transport:
        dialled.append(address)
        return connect(address)

    monkeypatch.setattr(ssh_login, "connect", counted)
    with hostile(tmp_path, Hostile(behave)) as host:
        host.dial_ahead()
        assert read_line(host.shell().hold(("true",))) == "held"
        assert host.shell().run(("true",)).stdout == "held\n"
        assert len(dialled) == 2
        host.shell().hold(("true",)).close()
        assert len(dialled) == 3, "each who holds a lock has a connection alone"


def test_what_was_dialled_ahead_in_vain_is_dialled_again_by_who_needs_it() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        address, port = unheard.getsockname()
        host = Host(name="uno", address=address, port=port, peer_address=address)
        host.dial_ahead()
        for ask in (host.shell().run, host.shell().hold):
            with pytest.raises(Unreachable, match=r"uno .* did not answer"):
                ask(("true",))


def test_complaints_count_as_well(tmp_path: Path) -> None:
    def endless(channel: paramiko.Channel) -> None:
        while True:
            channel.send_stderr(bytes(1 << 15))

    with hostile(tmp_path, Hostile(endless)) as host, pytest.raises(CommandFailed):
        host.shell().run(("true",), limit_bytes=1_000_000)


def test_a_command_that_drips_ends_in_time(tmp_path: Path) -> None:
    def drip(channel: paramiko.Channel) -> None:
        while True:
            channel.send(b"x")
            time.sleep(0.05)

    begun = time.monotonic()
    with (
        hostile(tmp_path, Hostile(drip)) as host,
        pytest.raises(Unreachable, match="it did not finish within"),
    ):
        host.shell().run(("true",), timeout_seconds=1)
    assert time.monotonic() - begun < 20


def test_a_host_that_takes_a_question_and_never_answers_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_channel, "BEGIN_SECONDS", 1)

    class Deaf(Hostile):
        def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
            time.sleep(30)
            return True

    begun = time.monotonic()
    with hostile(tmp_path, Deaf(lambda _: None)) as host, pytest.raises(Unreachable):
        host.shell().run(("true",))
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("said", [b"x", b"x\n"])
def test_a_login_that_prints_without_end_holds_nobody(tmp_path: Path, said: bytes) -> None:
    def endless(channel: paramiko.Channel) -> None:
        while True:
            channel.send(said * 10_000)

    too_much = pytest.raises(Unreachable, match="its login prints more than 65536 bytes")
    with hostile(tmp_path, Hostile(endless)) as host, too_much:
        host.shell().hold(("bash",))


def test_a_lock_that_answers_without_end_holds_nobody(tmp_path: Path) -> None:
    def endless(channel: paramiko.Channel) -> None:
        channel.send(f"{BEGINS}\nheld\n".encode())
        while True:
            channel.send(b"x" * 10_000)

    with hostile(tmp_path, Hostile(endless)) as host:
        channel = host.shell().hold(("bash",))
        assert read_line(channel) == "held"
        with pytest.raises(OSError, match="a line of more than 4096 bytes"):
            read_line(channel)
        channel.get_transport().close()


@pytest.mark.parametrize(
    "greeting",
    [
        b"x" * (1 << 16),
        b"Welcome\r\n" * 10_000,
        b"SSH-2.0-x\r\n" + struct.pack(">IB", 0x7FFFFFF4, 4) + bytes(1 << 16),
    ],
)
def test_whoever_stands_at_the_address_is_not_listened_to_for_long(
    greeting: bytes,
) -> None:
    """Before the keys are exchanged anybody may answer there."""
    sent = [0]
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer = listening.accept()[0]
            try:
                while True:
                    sent[0] += peer.send(greeting)
            except OSError:
                peer.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        begun = time.monotonic()
        _ask(listening)
        assert time.monotonic() - begun < 30
        thread.join(timeout=10)
    assert sent[0] < 30_000_000


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (
            "sudo: sorry, you must have a tty to run sudo\n",
            "write 'Defaults:ops !requiretty' into a file of /etc/sudoers.d there",
        ),
        ("sudo: a password is required\n", "let ops run sudo without a password on uno"),
        ("cat: /x: No such file or directory\n", ""),
    ],
)
def test_what_sudo_says_decides_the_hint(said: str, hint: str) -> None:
    host = Host(name="uno", address="192.0.2.1", peer_address="192.0.2.1", user="ops")

    assert host.shell().complaint(Completed(("cat", "/x"), 1, "", said)).hint == hint


def test_an_sshd_that_opens_no_more_sessions_is_not_called_silent(tmp_path: Path) -> None:
    """MaxSessions of a hardened server was said to be a server that does not answer."""

    class Narrow(Hostile):
        def check_channel_request(self, kind: str, chanid: int) -> int:
            return paramiko.common.OPEN_FAILED_CONNECT_FAILED

    with hostile(tmp_path, Narrow(lambda _: None)) as host, pytest.raises(ShutOut) as said:
        host.shell().run(("true",))

    assert "opens no more sessions on one connection" in said.value.message
    assert said.value.hint.startswith("set MaxSessions to 10 or more in sshd_config there")
