"""G12: real transactions of every kind, and the watermark misses none."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.programs.filestore.engine import Engine
from tasks.programs.filestore.trouble import ClusterAway
from tests.engine import workload
from tests.engine.clusters import Twins

SECONDS = float(os.environ.get("RELEVO_STRESS_SECONDS", "25"))
NEAR_WRAP = 4294960000
VISIBLE = "SELECT DISTINCT store_fname FROM ir_attachment WHERE store_fname IS NOT NULL"


@pytest.fixture(params=[0, NEAR_WRAP], ids=["anywhere", "across-the-wrap"])
def twins(request: pytest.FixtureRequest) -> Iterator[Twins]:
    folder = Path(tempfile.mkdtemp(prefix="relevo-engine-"))
    made = Twins(folder)
    try:
        yield made.start(xid=request.param)
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def epoch(twins: Twins) -> int:
    return int(str(twins.primary.sql("SELECT txid_current() >> 32", "postgres")[0][0]))


def poll(engine: Engine, twins: Twins, known: set[str]) -> tuple[set[str], bool]:
    """Scan; give what was visible all the while and has no file after it.

    Names are random and never used twice: what is visible before and after is so in between.
    """
    before = {row[0] for row in twins.standby.sql(VISIBLE)}
    try:
        engine.scan("shop")
    except ClusterAway:  # a recovery conflict cancelled it; it must not have moved the watermark
        return set(), False
    visible = {str(row[0]) for row in twins.standby.sql(VISIBLE) if row[0] in before}
    missing = {n for n in visible - known if not (twins.ours / "shop" / n).exists()}
    known |= visible - missing
    return missing, True


def test_no_row_is_missed_whatever_the_transactions_do(twins: Twins) -> None:
    twins.attach(*(os.urandom(20) for _ in range(50)))
    wraps, ended = twins.near_wrap, threading.Event()
    writers = [workload.Writer(twins, seed, ended) for seed in range(3)]
    threads = [*writers, threading.Thread(target=workload.upkeep, args=(twins, ended))]
    for thread in threads:
        thread.start()
    polls, known, missed = 0, set[str](), set[str]()
    try:
        with twins.engine() as engine:
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                missing, done = poll(engine, twins, known)
                missed |= missing
                polls += done
    finally:
        ended.set()
        for thread in threads:
            thread.join(timeout=30)
    assert [w.trouble for w in writers if w.trouble] == []
    assert missed == set()
    assert polls > SECONDS
    assert sum(w.transactions for w in writers) > 10 * SECONDS
    assert twins.wrong() == []
    assert epoch(twins) == int(wraps)
