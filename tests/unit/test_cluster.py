"""What a cluster that cannot answer is said to do, without the command line around it."""

import pytest

from blocks.cluster import Cluster
from blocks.errors import CommandFailed
from tests.fakes import FakeHost

CLUSTER = Cluster(version=13)


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (2, "PostgreSQL 13/main on uno does not answer: ", "systemctl status postgresql@13-main"),
        (3, "PostgreSQL 13/main on uno refused a statement: ", ""),
        (127, "env failed on uno with status 127", ""),
    ],
)
def test_what_psql_complains_of_is_a_sentence(status: int, message: str, hint: str) -> None:
    shell = FakeHost("uno", {"SELECT 1": status}).shell()

    with pytest.raises(CommandFailed) as failed:
        CLUSTER.value(shell, "SELECT 1")

    assert failed.value.message.startswith(message)
    assert failed.value.hint.startswith(hint)
    assert "PGDATABASE" not in str(failed.value)
