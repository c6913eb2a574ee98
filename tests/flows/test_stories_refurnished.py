"""A cluster that was made anew at the origin can be followed again, once it leads."""

import json

import pytest

from blocks.instance import OdooInstance
from tasks.run import terminal
from tasks.standby import old_primary
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts, serving
from tests.flows.test_stories_ahead import SETTINGS

CONF = "/etc/postgresql/13/main/conf.d/relevo.conf"
HBA = "/etc/postgresql/13/main/pg_hba.conf"


@pytest.mark.parametrize("there", [0, 1])
def test_a_cluster_that_was_made_anew_is_set_up_before_it_rejoins(
    instance: OdooInstance, hosts: Hosts, there: int
) -> None:
    uno = FakeHost("uno", {
        f"test -e {CONF}": there, "grep *": 0, "install *": "installed", "read *": "",
        "look 13 main *": "5432 down unknown /var/lib/postgresql/13/main postgres\n",
    })  # fmt: skip
    due = FakeHost("due", {"SELECT name, setting *": json.dumps(SETTINGS), **serving()})
    hosts(uno, due)

    with terminal.without_server():
        old_primary.refurnish(instance)

    written = [each.split()[1] for each in uno.changes]
    assert written == ([HBA] if there == 0 else [CONF, HBA])
