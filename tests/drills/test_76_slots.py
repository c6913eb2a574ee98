"""A slot that is lost is found, said, and repaired by the one button that makes replicas."""

import re

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.check import check
from flows.replicate import replicate
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers


def test_a_lost_slot_is_found_and_repaired_by_a_clone_beside(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    unit = f"postgresql@{uno.origin.version}-vps_uno"
    uno.recovery.run("systemctl", "stop", unit)
    sql = "SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots WHERE {}"
    wait_until(
        lambda: uno.at_origin(sql.format("NOT active")) == "1", "the slot is dropped by somebody"
    )
    for _ in range(8):
        uno.at_origin("CREATE TABLE filler (n int); DROP TABLE filler; SELECT pg_switch_wal()")
    uno.at_origin("CHECKPOINT")
    uno.at_origin("CHECKPOINT")
    uno.recovery.run("systemctl", "start", unit)
    with pytest.raises(Refused, match=r"does not stream from uno.*slot vps_uno on uno is lost"):
        check(blocks["vps_uno"])

    replicate(blocks["vps_uno"])
    assert uno.is_home()
    no_strangers(uno)
    assert re.match(r"vps_uno: green", check(blocks["vps_uno"]).title)
