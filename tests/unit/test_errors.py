"""Errors are sorted by what the operator does next, and cross processes whole."""

import pickle

import pytest

from blocks.errors import (
    Busy,
    CommandFailed,
    Refused,
    RelevoError,
    StatementFailed,
    Unreachable,
)

KINDS = [RelevoError, Unreachable, CommandFailed, Refused, Busy]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling_with_its_hint(kind: type[RelevoError]) -> None:
    error = pickle.loads(pickle.dumps(kind("no slot on uno", hint="run basebackup")))

    assert type(error) is kind
    assert (error.message, error.hint) == ("no slot on uno", "run basebackup")
    assert str(error) == "no slot on uno\nHINT: run basebackup"


def test_an_error_without_a_hint_is_one_line() -> None:
    assert str(Refused("no")) == "no"


def test_a_busy_instance_is_a_refusal_and_an_unreachable_host_is_none() -> None:
    assert issubclass(Busy, Refused)
    assert not issubclass(Unreachable, Refused)
    assert not issubclass(CommandFailed, Refused)


def test_a_failed_command_says_how_it_ended_and_survives_pickling_with_it() -> None:
    failed = CommandFailed(
        "rsync failed on due", hint="look there", status=255,
        argv=["rsync", "-a"], last_lines=["one", "two"],
    )  # fmt: skip
    error = pickle.loads(pickle.dumps(failed))

    assert type(error) is CommandFailed
    assert (error.message, error.hint) == ("rsync failed on due", "look there")
    assert (error.status, error.argv) == (255, ("rsync", "-a"))
    assert error.last_lines == ("one", "two")


def test_what_a_host_said_last_is_shown_and_does_nothing_to_a_terminal() -> None:
    assert CommandFailed("no", last_lines=["a\x1b[2Jb\tc"]).last_lines == ("a\\x1b[2Jb\tc",)


def test_what_is_no_command_has_no_status() -> None:
    refused = pickle.loads(pickle.dumps(StatementFailed("no", hint="look", sqlstate="42501")))

    assert (refused.message, refused.hint, refused.sqlstate) == ("no", "look", "42501")
    for error in (CommandFailed("not within 60 s"), refused):
        assert (error.status, error.argv, error.last_lines) == (None, (), ())
