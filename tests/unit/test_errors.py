"""Errors are sorted by what the operator does next, and cross processes whole."""

import pickle

import pytest

from blocks.errors import Busy, CommandFailed, Refused, RelevoError, Unreachable

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
