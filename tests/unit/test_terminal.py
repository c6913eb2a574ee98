"""What is typed at a terminal meets a shell as a login gives it."""

import signal
from collections.abc import Iterator

import pytest

from tests.terminal import SHELL, Terminal


@pytest.fixture
def _deaf() -> Iterator[None]:
    """Ignore interrupts, as whatever was started with nohup or & does."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_deaf")
def test_an_interrupt_reaches_a_job_even_where_the_tests_ignore_it() -> None:
    with Terminal(SHELL) as shell:
        shell.type("sleep 60 &")
        shell.type("kill -INT %1; wait %1", (130,), seconds=20)


def test_the_terminal_has_a_size_or_programs_page_what_they_say() -> None:
    with Terminal(SHELL) as shell:
        assert shell.type("stty size").split() == ["24", "80"]
