"""ssh compresses where the line is thin and what comes can be compressed, and only there."""

import os

import pytest

from tasks.programs.filestore import line
from tests.engine.clusters import Twins

# It keeps how it was called.
SSH = """#!/bin/sh
echo "$*" >>{log}
while [ "$1" = -o ]; do shift 2; done
exec "$@"
"""


@pytest.fixture
def channel(twins: Twins) -> tuple[str, ...]:
    """The origin's door behind a program that is called ssh."""
    program = twins.folder / "ssh"
    (twins.folder / "calls").unlink(missing_ok=True)
    program.write_text(SSH.format(log=twins.folder / "calls"))
    program.chmod(0o755)
    return (str(program), *twins.gate())


def _calls(twins: Twins) -> list[bool]:
    """Whether each connection compressed."""
    lines = (twins.folder / "calls").read_text().splitlines()
    return [each.startswith("-o Compression=yes ") for each in lines]


def _come(twins: Twins) -> None:
    twins.attach(os.urandom(300_000))
    twins.catch_up()


def test_a_thin_line_is_remembered_by_the_next_process_and_given_up_where_it_gains_nothing(
    twins: Twins, channel: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "ENOUGH", 100_000)
    monkeypatch.setattr(line, "THIN", 1e15)
    monkeypatch.setattr(line, "GAIN", 0.0)
    for _ in range(2):
        _come(twins)
        with twins.engine(channel=channel) as engine:
            engine.sweep()
    assert _calls(twins) == [False, True]

    monkeypatch.setattr(line, "GAIN", 1e9)
    with twins.engine(channel=channel) as engine:
        for _ in range(3):
            _come(twins)
            engine.scan("shop")
        assert engine.state.count() == 0
    assert _calls(twins) == [False, True, True, False], "it is not tried again on this day"


def test_a_fast_line_is_left_as_it_is(
    twins: Twins, channel: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "ENOUGH", 100_000)
    monkeypatch.setattr(line, "THIN", 1.0)
    for _ in range(2):
        _come(twins)
        with twins.engine(channel=channel) as engine:
            engine.sweep()
    assert _calls(twins) == [False, False]
