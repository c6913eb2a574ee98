"""Hosts that answer each question just in time keep nobody else waiting for ever."""

import time

import pytest

from blocks.errors import Unreachable
from blocks.instance import OdooInstance
from blocks.patience import ENDS, patience
from blocks.shell import Completed
from blocks.ssh import SshShell
from blocks.ssh_login import Address
from tasks.board import board
from tasks.board.alarms import Measured
from tasks.recovery import users
from tests.flows.conftest import instance

__all__ = ["instance"]
ADDRESS = Address("uno", "192.0.2.1", 22, "root", None, None)


class Slow(SshShell):
    """A host that takes as long for each command as it may."""

    def __init__(self) -> None:
        super().__init__(ADDRESS)
        self.waited: list[float] = []

    def _run(
        self, argv: object, user: object, stdin: object, seconds: float, limit: object
    ) -> Completed:
        del argv, user, stdin, limit
        self.waited.append(seconds)
        time.sleep(min(seconds, 0.2))
        return Completed(("true",), 0, "", "")


def test_what_is_asked_together_takes_no_more_than_it_may_in_all() -> None:
    shell = Slow()

    def ask_all() -> None:
        for _ in range(1000):
            shell.run(("true",))

    with patience(0.5), pytest.raises(Unreachable, match="uno was not asked: the questions before"):
        ask_all()

    assert len(shell.waited) < 10
    assert max(shell.waited) <= 0.5
    assert shell.run(("true",)).status == 0
    assert shell.waited[-1] == 60, "who is not waited for by others has all the time"


def test_the_board_has_a_patience_with_each_instance(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An origin that takes 59 s for each of fifty questions once held up the alarms of all."""
    ends: list[float | None] = []

    def measured(each: OdooInstance) -> Measured:
        ends.append(ENDS.get())
        return Measured(each.name, 1)

    monkeypatch.setattr(users, "as_found", lambda each: each)
    monkeypatch.setattr(board, "_measure", measured)

    board._judge(instance, idle=False)

    assert len(ends) == 1
    assert ends[0] is not None
    assert ENDS.get() is None
