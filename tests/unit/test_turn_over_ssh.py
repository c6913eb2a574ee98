# ruff: noqa: ARG002  # paramiko's own signatures
"""Turns over ssh: a server of paramiko's that really runs what it is told, in its own folders."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import paramiko
import pytest

from blocks.errors import Busy
from blocks.host import Host
from blocks.instance import OdooInstance
from blocks.lease import HELD, Lease
from blocks.ssh import SshShell
from tasks.host import lock
from tasks.run import terminal

KEY = paramiko.RSAKey.generate(2048)
GONE = (OSError, EOFError, paramiko.SSHException)


class Place(paramiko.ServerInterface):
    """A host: its folders stand below one of this machine's."""

    def __init__(self, top: Path, name: str) -> None:
        self.top, self.name, self.asked = top / name, name, list[str]()
        self.top.mkdir()
        KEY.write_private_key_file(str(top / "key"))
        self.door = socket.create_server(("127.0.0.1", 0))
        self.ends: list[paramiko.Transport] = []
        self.started: list[subprocess.Popen[bytes]] = []
        threading.Thread(target=self._serve, daemon=True).start()
        address, port = self.door.getsockname()
        self.host = Host(
            name=name, address=address, port=port, peer_address=address, user="root",
            key_file=top / "key", host_key=f"{KEY.get_name()} {KEY.get_base64()}",
        )  # fmt: skip

    def _serve(self) -> None:
        with suppress(*GONE):
            while True:
                transport = paramiko.Transport(self.door.accept()[0])
                transport.add_server_key(KEY)
                transport.start_server(server=self)
                self.ends.append(transport)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        line = command.decode()
        self.asked.append(line)
        for path in ("/run/relevo", "/var/lib/relevo"):
            line = line.replace(path, f"{self.top}{path}")
        (self.top / "run").mkdir(exist_ok=True)
        process = subprocess.Popen(
            ("bash", "-c", line), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        threading.Thread(target=self._carry_in, args=(channel, process), daemon=True).start()
        threading.Thread(target=self._carry_out, args=(channel, process), daemon=True).start()
        return True

    def _carry_in(self, channel: paramiko.Channel, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        with suppress(*GONE), process.stdin:
            while got := channel.recv(1 << 15):
                os.write(process.stdin.fileno(), got)

    def _carry_out(self, channel: paramiko.Channel, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        time.sleep(0.1)  # the question is answered before the command is, and paramiko has no word
        with suppress(*GONE), process.stdout, process.stderr:
            while got := os.read(process.stdout.fileno(), 1 << 15):
                channel.sendall(got)
            channel.sendall_stderr(process.stderr.read())
        with suppress(*GONE):
            if (status := process.wait()) >= 0:  # else it was ended by a signal
                channel.send_exit_status(status)
            channel.close()

    def close(self) -> None:
        self.door.close()
        for end in self.ends:
            end.close()
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def marks(self) -> list[str]:
        path = self.top / "marks"
        return path.read_text().split() if path.exists() else []

    def mark(self, text: str) -> str:
        return (
            self.host.shell()
            .run(("sh", "-c", f"echo {text} >>{self.top}/marks; echo {text}"))
            .stdout
        )


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    made = Place(tmp_path, "uno"), Place(tmp_path, "due")
    yield made
    for each in made:
        each.close()


def _instance(hosts: tuple[Place, Place]) -> OdooInstance:
    uno, due = (SimpleNamespace(host=each.host) for each in hosts)
    return cast("OdooInstance", SimpleNamespace(name="vps_1", origin=uno, recovery=due))


def _takes_over(instance: OdooInstance, hosts: tuple[Place, Place], *, seconds: float) -> None:
    """Let another run take the lock from a copy, act at both ends, and end."""

    def run() -> None:
        with terminal.without_server(), lock.held(instance, "failover", preempt=True):
            for each in hosts:
                each.mark("new")

    thread = threading.Thread(target=run)
    begun = time.monotonic()
    thread.start()
    thread.join(60)
    assert [each.marks[-1] for each in hosts] == ["new", "new"]
    assert time.monotonic() - begun < seconds


def _believes_that_it_still_holds() -> None:
    """As a run does that looked at its lease a moment before it was stopped.

    The beats, which go on, find out about the other one.
    """
    lease = HELD.get()
    assert lease is not None
    HELD.set(Lease(lease.instance, turn=lease.turn))


def test_no_host_executes_what_an_old_run_still_says(hosts: tuple[Place, Place]) -> None:
    instance = _instance(hosts)
    with lock.held(instance, "rsync-filestore"):
        assert [each.mark("old") for each in hosts] == ["old\n", "old\n"]
        _takes_over(instance, hosts, seconds=20)
        for each in hosts:
            _believes_that_it_still_holds()
            with pytest.raises(Busy, match=f"{each.name} knows of a newer run"):
                each.mark("late")
            with pytest.raises(Busy, match="stopped before its next command"):
                each.mark("later")
    assert [each.marks for each in hosts] == [["old", "new"]] * 2


def test_a_host_of_which_an_old_run_has_not_heard_lets_it_in_no_more(
    hosts: tuple[Place, Place],
) -> None:
    instance = _instance(hosts)
    with lock.held(instance, "rsync-filestore"):
        _takes_over(instance, hosts, seconds=20)
        _believes_that_it_still_holds()
        with pytest.raises(Busy, match="uno knows of a newer run"):
            hosts[0].mark("late")
    assert hosts[0].marks == ["new"]


def test_a_run_that_is_pre_empted_knows_at_once(hosts: tuple[Place, Place]) -> None:
    instance = _instance(hosts)
    with lock.held(instance, "rsync-filestore"):
        _takes_over(instance, hosts, seconds=20)
        with pytest.raises(Busy, match="stopped before its next command"):
            hosts[1].mark("late")


def test_what_stays_of_an_old_run_is_ended_before_the_new_one_acts(
    hosts: tuple[Place, Place],
) -> None:
    instance = _instance(hosts)
    with lock.held(instance, "rsync-filestore"):
        pipes = []
        for each in hosts:
            shell = each.host.shell()
            assert isinstance(shell, SshShell)
            pipes.append(shell.pipe(("cat",), user="root"))
            pipes[-1].sendall(b"hello")
            assert pipes[-1].recv(5) == b"hello"
        _takes_over(instance, hosts, seconds=20)
        for pipe in pipes:
            pipe.settimeout(5)
            assert pipe.recv(1) == b""


def test_a_run_costs_no_more_questions_than_one_to_each_host(hosts: tuple[Place, Place]) -> None:
    uno, due = hosts
    with lock.held(_instance(hosts), "failover"):
        for _ in range(3):
            uno.mark("a")
            due.mark("a")
    assert len(due.asked) == 1 + 3, "the lock itself makes the turn known"
    assert len(uno.asked) == 1 + 1 + 3, "refused once, let in once"


def test_looks_carry_no_turn(hosts: tuple[Place, Place]) -> None:
    hosts[0].mark("a")
    assert ".turn" not in hosts[0].asked[0]


def test_a_lock_that_is_let_go_is_free_for_the_next(hosts: tuple[Place, Place]) -> None:
    instance = _instance(hosts)
    for _ in range(2):
        with lock.held(instance, "failover"):
            assert lock.holder(instance) == "failover"
            with pytest.raises(
                Busy, match=r"is locked by a running procedure on due: \d+ failover"
            ):
                _with_no_lease(instance)
    assert lock.holder(instance) == ""


def _with_no_lease(instance: OdooInstance) -> None:
    with lock.held(instance, "failback", preempt=True):
        raise AssertionError("two at once")
