"""What only the origin has is told to the customer, by database and model, before it is undone."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from blocks.instance import OdooInstance
from flows.failback import failback
from flows.failover import failover
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers

PARTNER = "INSERT INTO res_partner (name, active, type) VALUES ('{}', true, 'contact')"
BEFORE, ONLY, OPEN = "was there before", 'only "here", añadido', "written before, committed after"


@contextmanager
def _open_transaction(pair: Pair, sql: str) -> Iterator[None]:
    """Keep a transaction open, and commit it at the end."""
    psql = (
        "psql", "-p", str(pair.origin.port), "-d", "cliente1", "-XAtq", "-v", "ON_ERROR_STOP=1",
    )  # fmt: skip
    argv = pair.origin.machine.inside(*psql, user="postgres")
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdin is not None, "it was asked for"
        assert session.stdout is not None, "it was asked for"
        session.stdin.write(f"BEGIN; {sql};\n\\echo written\n")
        session.stdin.flush()
        assert session.stdout.readline() == "written\n"
        yield
        session.communicate("COMMIT;\n", timeout=60)
    assert session.returncode == 0


def test_rows_that_only_the_origin_has_are_written_down_by_database_and_model(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    machine = uno.origin.machine
    with _open_transaction(uno, PARTNER.format(OPEN)):
        uno.at_origin(PARTNER.format(BEFORE), "cliente1")
        uno.at_origin(PARTNER.format("doomed"), "cliente2")
        written = uno.at_origin("SELECT pg_current_wal_lsn()")
        streamed = f"SELECT pg_last_wal_receive_lsn() >= '{written}'"
        wait_until(lambda: uno.at_recovery(streamed) == "t", "all of it is streamed", 30)
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
    assert by_place["cliente1", "res.partner"]["rows"] == 2
    assert by_place["cliente2", "res.partner"]["deleted"] == 1
    rows = machine.read(f"{found}/cliente1/public.res_partner.csv")
    assert ONLY.replace('"', '""') in rows
    assert OPEN in rows, "its WAL was streamed, and its commit was not"
    assert BEFORE not in rows
    assert "never committed" not in rows
    summary = machine.read(f"{found}/summary.md")
    assert "| res.partner | 2 | 2 | 0 | 0 |" in summary
    assert "may be missing" not in summary
    assert machine.run("stat", "-c", "%U %a", found).stdout == "postgres 700\n"
    assert (
        uno.at_origin("SELECT count(*) FROM res_partner WHERE name = 'doomed'", "cliente2") == "1"
    )
    no_strangers(uno)
