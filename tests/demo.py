"""The demonstration: real hosts, a real client, a power cut, a failover and a failback."""

import contextlib
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.lab import inventory, names
from tests.lab.client import NO_VACUUM, Audit, Client, audit, written
from tests.lab.image import DATABASES
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.trouble import LabError
from tests.stack import Stack
from tests.stack_api import PASSWORD

RECOVERY_HTTP = 8169
REASON = "the demo cut its power"


def main() -> int:
    """Show a failover and a failback, and say whether every promise held."""
    lab = Lab()
    folder = Path(tempfile.mkdtemp(prefix="relevo-demo-"))
    folder.chmod(0o755)  # the private PostgreSQL runs as another user
    stack = Stack(folder / "prefect")
    try:
        with step("booting two Odoo servers and one recovery server"):
            lab.up()
        with step("starting a Prefect server"):
            stack.start()
        kept = play(lab, stack, folder)
        linger(stack)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        stack.stop()
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if kept else 1


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    begun = time.monotonic()
    print(f"  {what} ...", end="", flush=True)
    yield
    print(f" {time.monotonic() - begun:.0f} s", flush=True)


def play(lab: Lab, stack: Stack, folder: Path) -> bool:
    """Tell the story; return whether every promise held."""
    path = inventory.write(lab, folder, filestore_seconds=30)
    stack.run("--inventory", str(path), "apply")
    stack.start_worker()
    journal = folder / "journal"
    for database in DATABASES:
        lab.uno.machine.psql(lab.uno.port, NO_VACUUM, database)
    client = Client(lambda: follow_dns(lab), DATABASES, journal)
    client.start()
    with step("replicating both, while a customer writes to the first"):
        runs = [stack.press(f"replicate/{name}") for name in ("vps_uno", "vps_dos")]
        for run in runs:
            stack.require_complete(run)
    write_on(journal)

    lab.uno.machine.kill()
    with step("the first one's power is cut, failover pressed"):
        stack.complete("failover/vps_uno", origin_is_down=True, reason=REASON)
    failover = Told.of(stack, "failover-vps-uno")
    stated = json.loads(lab.respaldo.read("/var/lib/relevo/vps_uno/failover.json"))["exposure"]
    away = audit(*follow_dns(lab), journal)
    dns = follow_dns(lab)[0]
    write_on(journal)

    lab.uno.machine.boot()
    with step("it has booted again, failback pressed"):
        stack.complete("failback/vps_uno")
    failback = Told.of(stack, "failback-vps-uno")
    write_on(journal)
    client.stop()
    home = audit(*follow_dns(lab), journal)
    after = datetime.fromisoformat(stated["last_commit"]).timestamp()
    table = rows(lab, failover, failback, after=after, away=away, home=home, dns=dns)
    return show(table, stack)


def write_on(journal: Path, documents: int = 60) -> None:
    with step("the customer writes on"):
        count = len(written(journal))
        wait_until(lambda: len(written(journal)) > count + documents, "more documents", 300)


def follow_dns(lab: Lab) -> tuple[str, int]:
    """Where a customer goes: the server that DNS names."""
    address = names.lookup(lab.nameserver, f"cliente1.{names.ZONE}")
    return address, RECOVERY_HTTP if address == lab.respaldo.address else lab.uno.http_port


@dataclass(frozen=True)
class Told:
    """What a report told the operator."""

    text: str
    seconds: str

    @classmethod
    def of(cls, stack: Stack, key: str) -> "Told":
        text = stack.artifact(key)
        seconds = re.search(r"\| seconds (?:from the button|of downtime).* \| ([\d.]+) \|", text)
        return cls(text, seconds[1] if seconds else "?")


def rows(
    lab: Lab, failover: Told, failback: Told, *, after: float, away: Audit, home: Audit, dns: str
) -> list[tuple[str, object, bool]]:
    """Each line: what, how many, and whether the promise held."""
    outside = [e for e in away.lost_rows if e.at < after]
    unnamed = [each for each in away.broken_files if each.name not in failover.text]
    before = {each.name for each in away.lost_rows}
    # Odoo syncs no document: what nobody had when the power went, the report has named.
    broken = [each for each in home.broken_files if each.name not in failover.text]
    lost_at_failback = [each for each in home.lost_rows if each.name not in before]
    slots = lab.respaldo.psql(5433, "SELECT count(*) FROM pg_replication_slots")
    return [
        ("acknowledged writes", len(home.acknowledged), True),
        ("rows lost at the failover", len(away.lost_rows), True),
        ("  of these outside of the stated exposure", len(outside), not outside),
        ("files not there after the failover", len(away.broken_files), True),
        ("  of these not named in the report", len(unnamed), not unnamed),
        ("rows lost at the failback", len(lost_at_failback), not lost_at_failback),
        ("files broken after the failback, and not named", len(broken), not broken),
        ("seconds from the button to Odoo answering", failover.seconds, True),
        ("seconds of downtime at the failback", failback.seconds, True),
        ("DNS after the failover", dns, dns == lab.respaldo.address),
        ("leftover slots", slots, slots == "0"),
    ]


def show(table: list[tuple[str, object, bool]], stack: Stack) -> bool:
    print()
    for what, value, kept in table:
        print(f"  {what:<44} {value!s:>16} {'' if kept else '  <- PROMISE BROKEN'}")
    print(f"\n  the UI: {stack.api.removesuffix('/api')}  (user relevo, password {PASSWORD})")
    return all(kept for _, _, kept in table)


def linger(stack: Stack) -> None:
    """Leave the UI up for somebody who looks."""
    if sys.stdin.isatty():
        input(f"  {stack.api.removesuffix('/api')} stays up until you press Enter ")


if __name__ == "__main__":
    sys.exit(main())
