"""What the words of a command line mean."""

import pytest

from deployments import cli
from tasks.read.plan import Procedure


@pytest.mark.parametrize(
    ("words", "procedure"),
    [
        (("plan", "failover", "vps_1"), "failover"),
        (("plan", "switchover", "vps_1"), "switchover"),
        (("plan", "switchover", "vps_1", "--to", "origin"), "switchover home"),
    ],
)
def test_a_plan_is_of_the_direction_that_was_named(
    words: tuple[str, ...], procedure: Procedure
) -> None:
    given = cli._parser().parse_args(words)

    assert cli._meant(given.procedure, given) == procedure


@pytest.mark.parametrize("command", cli.PROCEDURES)
def test_each_change_of_place_has_a_command_that_asks_before_it_begins(command: str) -> None:
    given = cli._parser().parse_args([command, "vps_1"])

    assert cli.COMMANDS[command] is cli._fail
    assert not given.yes
    assert hasattr(given, cli.OWN[command])
