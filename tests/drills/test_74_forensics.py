"""What only the origin has is told to the customer, by database and model, before it is undone."""

import json

from blocks.instance import OdooInstance
from flows.failback import failback
from flows.failover import failover
from tests.oracles import Pair, no_strangers

PARTNER = "INSERT INTO res_partner (name, active, type) VALUES ('{}', true, 'contact')"
BEFORE, ONLY = "was there before", 'only "here", añadido'


def test_rows_that_only_the_origin_has_are_written_down_by_database_and_model(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    uno.at_origin(PARTNER.format(BEFORE), "cliente1")
    uno.at_origin(PARTNER.format("doomed"), "cliente2")
    machine = uno.origin.machine
    machine.cut()
    failover(blocks["vps_uno"], origin_is_down=True, reason="drill")
    uno.at_origin(PARTNER.format(ONLY), "cliente1")
    uno.at_origin(f"BEGIN; {PARTNER.format('never committed')}; ROLLBACK", "cliente1")
    uno.at_origin("DELETE FROM res_partner WHERE name = 'doomed'", "cliente2")
    machine.heal()
    report = failback(blocks["vps_uno"])
    assert "in cliente1, cliente2" in report.facts["kept aside"]

    found = machine.run(
        "sh", "-c", "ls -td /var/lib/postgresql/*/*.only-here | head -1"
    ).stdout.strip()  # fmt: skip
    tables = json.loads(machine.read(f"{found}/summary.json"))["tables"]
    by_place = {(each["database"], each["model"]): each for each in tables}
    assert by_place["cliente1", "res.partner"]["rows"] == 1
    assert by_place["cliente2", "res.partner"]["deleted"] == 1
    rows = machine.read(f"{found}/cliente1/public.res_partner.csv")
    assert ONLY.replace('"', '""') in rows
    assert BEFORE not in rows
    assert "never committed" not in rows
    assert "| res.partner | 1 | 1 | 0 | 0 |" in machine.read(f"{found}/summary.md")
    assert machine.run("stat", "-c", "%U %a", found).stdout == "postgres 700\n"
    assert (
        uno.at_origin("SELECT count(*) FROM res_partner WHERE name = 'doomed'", "cliente2") == "1"
    )
    no_strangers(uno)
