"""The plug is pulled at a random moment of a client's work: no file is lost in silence.

Once among the other drills. `make drill-seeds` does it with 20 seeds of 60 s each, and keeps what
it saw in docs/benchmarks/.
"""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.instance import OdooInstance
from flows.failover import failover
from flows.rsync_filestore import rsync_filestore
from tasks.filestore import engine
from tests.lab.client import Client, audit
from tests.lab.machine import wait_until
from tests.oracles import Pair, forget_documents

SEEDS = range(int(os.environ.get("RELEVO_SEEDS", "1")))
MOST_DOCUMENTS = int(os.environ.get("RELEVO_SEED_DOCUMENTS", "60"))
RESULTS = os.environ.get("RELEVO_SEED_RESULTS", "")


def _followed(instance: OdooInstance) -> bool:
    written = engine.written(instance)["conditions"]
    found = [each for each in written if each["instance"] == instance.name]
    return bool(found) and found[0]["state"] == "following"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_database_knows_has_its_file_or_stands_in_the_report(
    dos: Pair,
    blocks: dict[str, OdooInstance],
    customer: Callable[[Pair], Client],
    seed: int,
) -> None:
    instance = blocks["vps_dos"]
    rsync_filestore(instance)
    wait_until(lambda: _followed(instance), "the follower follows", 180)
    client = customer(dos)
    documents = random.Random(seed).randrange(5, MOST_DOCUMENTS)
    client.wait_until_acknowledged(documents, timeout_seconds=180)
    dos.origin.machine.kill()

    report = failover(instance, origin_is_down=True, reason=f"power cut, seed {seed}")

    client.move_to(dos.recovery.address, dos.http_port)
    client.wait_until_acknowledged(5, timeout_seconds=120)
    client.stop()
    seen = audit(dos.recovery.address, dos.http_port, client.journal)
    named = {document.name for document in report.documents}
    if RESULTS:
        facts = {
            "seed": seed, "acknowledged": len(seen.acknowledged), "rows_lost": len(seen.lost_rows),
            "files_missing": len(seen.broken_files), "named": len(named),
            "unnamed": len([e for e in seen.broken_files if e.name not in named]),
        }  # fmt: skip
        with Path(RESULTS).open("a") as results:
            results.write(json.dumps(facts) + "\n")
    assert [each.name for each in seen.broken_files if each.name not in named] == []
    forget_documents(dos.at_recovery)
