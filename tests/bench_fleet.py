"""What a fleet costs Prefect: rows, bytes and processor time of a day, and how late its runs are.

    python -m tests.bench_fleet [NAMES...]      30 and 100, unless other counts are named

`apply` is timed on an inventory of so many servers, which it does not ask. The runs are real, on
the two instances of a lab under as many names: `vps_uno_07` is `vps_uno`, with a lock, a record and
deployments of its own. So each copy goes over ssh to real hosts; what is simulated is that files
and clusters behind the names are two. A day is the runs of a day times what one was measured to
cost; nothing else is estimated, but for the bytes: rows times what a row takes on the disk.

Two releases are compared by two benches, each from its own checkout; the figures of one are
`RELEVO_BEFORE` for the page of the other. RELEVO_MINUTES says how long schedules run at the end.
"""

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    temporary_settings,
)

from blocks.instance import OdooInstance
from deployments import inventory as door
from deployments import wanted
from deployments.apply import apply
from deployments.inventory_file import read
from deployments.secrets import Secrets
from tasks.orchestrator import schedules
from tests.bench.measure import of_tree
from tests.lab import inventory
from tests.lab.lab import Lab
from tests.stack import ROOT, Stack

FIGURES = ROOT / "docs" / "benchmarks" / "fleet.json"
COUNTS = [int(each) for each in sys.argv[1:]] or [30, 100]
MINUTES = float(os.environ.get("RELEVO_MINUTES", "10"))
DAY, TIMES, SETTLE_SECONDS, QUIET_SECONDS = 86400, 3, 10, 20
ORIGINS = ("vps_uno", "vps_dos")
EVENTS = ("events", "event_resources")  # kept for three days, all else for ninety
KEPT_DAYS = {"events": 3, "runs": 90}
SIZES = """
SELECT json_object_agg(relname, json_build_array(n_live_tup, pg_total_relation_size(relid)))
FROM pg_stat_user_tables
"""
# What stands in the database of these runs, by their ids; and what Relevo told meanwhile apart from
# any run, which nothing else tells at that time.
ROWS = """
WITH ours AS (SELECT id, start_time, end_time FROM flow_run WHERE id IN ({ids})),
tasks AS (SELECT id FROM task_run WHERE flow_run_id IN (SELECT id FROM ours)),
told AS (
    SELECT event_id AS id FROM event_resources
    WHERE resource_id IN (SELECT 'prefect.flow-run.' || id FROM ours)
    UNION SELECT e.id FROM events e JOIN ours ON e.event LIKE 'relevo.%'
        AND e.occurred BETWEEN ours.start_time AND ours.end_time + interval '5 seconds')
SELECT json_build_object(
    'flow_run', (SELECT count(*) FROM ours),
    'flow_run_state', (SELECT count(*) FROM flow_run_state
        WHERE flow_run_id IN (SELECT id FROM ours)),
    'task_run', (SELECT count(*) FROM tasks),
    'task_run_state', (SELECT count(*) FROM task_run_state
        WHERE task_run_id IN (SELECT id FROM tasks)),
    'log', (SELECT count(*) FROM log WHERE flow_run_id IN (SELECT id FROM ours)),
    'artifact', (SELECT count(*) FROM artifact WHERE flow_run_id IN (SELECT id FROM ours)),
    'events', (SELECT count(*) FROM told),
    'event_resources', (SELECT count(*) FROM event_resources
        WHERE event_id IN (SELECT id FROM told)))
"""
Counts = dict[str, Any]


def fleet(count: int) -> dict[str, Any]:
    """An inventory of so many servers that nobody has ever seen."""
    servers = {
        f"vps_{number}": {
            "host": {"address": f"127.1.{number // 250}.{number % 250 + 1}"},
            "postgres": {"version": 15},
            "recovery": {
                "postgres_port": 20000 + number, "http_port": 30000 + 10 * number,
                "longpolling_port": 30003 + 10 * number,
            },
        }
        for number in range(count)
    }  # fmt: skip
    return {
        "recovery": {"name": "respaldo", "address": "127.0.0.1", "directory": "/srv/relevo"},
        "defaults": {"odoo": {"sources": ["/opt/odoo"]}},
        "instances": servers,
    }


class Bench:
    """One Prefect, and one lab."""

    def __init__(self, folder: Path, lab: Lab, stack: Stack) -> None:
        self.folder, self.lab, self.stack = folder, lab, stack
        self.figures: Counts = {"apply": {}, "fleet": {}}

    def time_applies(self, count: int) -> None:
        path = self.folder / f"{count}" / "inventory.yaml"
        path.parent.mkdir()
        path.write_text(yaml.safe_dump(fleet(count), sort_keys=False))
        seconds = self.figures["apply"].setdefault(str(count), {})
        # The time of one that has nothing to do is measured twice.
        for name in ("new", "unchanged", "unchanged again"):
            begun = time.monotonic()
            said = self.stack.run("--inventory", str(path), "apply")
            seconds[name] = round(time.monotonic() - begun, 1)
            assert ("nothing to change" in said) == (name != "new"), said
            print(f"apply of {count}, {name}: {seconds[name]} s", flush=True)

    def names(self, path: Path, count: int) -> list[OdooInstance]:
        """The two instances of the lab, under so many names, all of which are copied."""
        real = door.instances(read(path), Secrets(path.with_name("secrets.yaml")))
        found = [
            real[number % 2].model_copy(update={"name": f"{real[number % 2].name}_{number:03}"})
            for number in range(count - 2)
        ]
        return [*real, *found]

    def measure(self, path: Path, count: int) -> None:
        everyone = self.names(path, count)
        for each in apply(everyone, {}, pool="relevo", prune=True):
            assert each.sentence
        for instance in everyone:
            schedules.turn(instance, on=True)
        with self.stack.unscheduled():
            kinds = {
                kind: self.cost(deployment, **given)
                for kind, (deployment, given) in self.kinds().items()
            }
        self.figures["fleet"][str(count)] = {
            "kinds": kinds, "runs": self.runs(everyone), "bytes": self.bytes_of_rows(),
        }  # fmt: skip

    def kinds(self) -> dict[str, tuple[str, dict[str, object]]]:
        """One deployment of each kind that runs by schedule."""
        there = self.stack.deployments()
        follow = [each["name"] for each in there if "follow" in str(each["entrypoint"])]
        own: dict[str, tuple[str, dict[str, object]]] = {}
        if hasattr(wanted, "rounds"):
            own["copies"] = ("copies/respaldo", {})
        own |= {
            "board": ("board/all-instances", {}),
            "rsync_filestore filestore": ("rsync-filestore/vps_uno", {}),
            "rsync_filestore sources": ("rsync-filestore/vps_uno-sources", {}),
            "rsync_filestore requirements": ("rsync-filestore/vps_uno-requirements", {}),
            "reconcile_filestore": ("reconcile-filestore/vps_uno", {}),
            "build_service": ("build-service/vps_uno", {}),
        }
        if follow:
            own["follow_filestore"] = (f"follow-filestore/{follow[0]}", {"watch_seconds": 30})
            own["follow_filestore, 90 s longer"] = (own["follow_filestore"][0],
                                                    {"watch_seconds": 120})  # fmt: skip
        return own

    def cost(self, deployment: str, **given: object) -> Counts:
        """What one run costs: the mean of some, without what goes on anyway."""
        idle, before, begun = self.idle(), self.counters(), time.monotonic()
        walls, runs = [], list[str]()
        for _ in range(TIMES):
            pressed = time.monotonic()
            runs.append(self.stack.press(deployment, **given))
            self.stack.wait(runs[-1], 900)
            walls.append(round(time.monotonic() - pressed, 1))
        time.sleep(SETTLE_SECONDS)
        after, seconds = self.counters(), time.monotonic() - begun
        ids = ", ".join(f"'{each}'" for each in runs)
        counted = json.loads(self.sql(ROWS.format(ids=ids)))
        rows = {table: many / TIMES for table, many in counted.items() if many}
        cpu = {
            who: max(0.0, (after[who] - before[who] - idle[who] * seconds) / TIMES) for who in after
        }
        ended = sorted({self.stack.state(each)["name"] for each in runs})
        found = {"rows": rows, "cpu": cpu, "seconds": walls, "ended": ", ".join(ended)}
        print(deployment, walls, round(sum(rows.values())), found["ended"], cpu, flush=True)
        return found

    def idle(self) -> dict[str, float]:
        before = self.counters()
        time.sleep(QUIET_SECONDS)
        after = self.counters()
        return {who: (after[who] - before[who]) / QUIET_SECONDS for who in after}

    def counters(self) -> dict[str, float]:
        """The CPU-seconds that each has used by now."""
        postmaster = int((self.folder / "prefect/database/postmaster.pid").read_text().split()[0])
        assert self.stack._server, "it runs"
        assert self.stack._worker, "it runs"
        roots = {"worker and runs": self.stack._worker.pid, "server": self.stack._server.pid,
                 "database": postmaster}  # fmt: skip
        return {who: of_tree(pid) for who, pid in roots.items()}

    def sql(self, text: str) -> str:
        return self.stack._as_postgres(
            self.stack.tools / "psql", "-h", self.folder / "prefect/socket", "-d", "prefect",
            "-Atc", text,
        )  # fmt: skip

    def bytes_of_rows(self) -> dict[str, float]:
        """What a row of each table takes on the disk, with its indexes."""
        self.sql("VACUUM ANALYZE")
        time.sleep(2)
        found = json.loads(self.sql(SIZES))
        return {table: size / live for table, (live, size) in found.items() if live > 20}

    def runs(self, everyone: list[OdooInstance]) -> dict[str, float]:
        """How many runs a day there are of each kind, with Relevo's own intervals."""
        found: dict[str, float] = {}
        own = [each.model_copy(update={"schedules": type(each.schedules)()}) for each in everyone]
        for each in wanted.everything(_with_users(own)):
            if each.every_seconds and each.every_seconds < 10 * 365 * DAY:
                kind = f"{each.flow} {each.parameters.get('kind', '')}".strip()
                found[kind] = found.get(kind, 0) + DAY / each.every_seconds
        return found

    def lateness(self, path: Path, count: int) -> None:
        """Let the schedules run for a while, with Relevo's own intervals."""
        everyone = [
            each.model_copy(update={"schedules": type(each.schedules)()})
            for each in self.names(path, count)
        ]
        for each in apply(everyone, {}, pool="relevo", prune=True):
            assert each.sentence
        before, begun = self.counters(), time.time()
        time.sleep(MINUTES * 60)
        after = self.counters()
        late = sorted(self._late(begun))
        self.figures["fleet"][str(count)]["lateness"] = {
            "runs": len(late), "median": statistics.median(late),
            "p99": late[min(len(late) - 1, math.ceil(len(late) * 0.99) - 1)], "worst": late[-1],
            "cores": {w: (after[w] - before[w]) / MINUTES / 60 for w in after},
        }  # fmt: skip
        print(self.figures["fleet"][str(count)]["lateness"], flush=True)

    def _late(self, begun: float) -> Iterator[float]:
        """How late each run was that a schedule has begun since."""
        offset = 0
        while page := self.stack.request(
            "POST", "/flow_runs/filter", {"limit": 200, "offset": offset, "sort": "ID_DESC"}
        ):
            offset += len(page)
            for run in page:
                due = datetime.fromisoformat(run["expected_start_time"]).timestamp()
                if run["auto_scheduled"] and begun < due < time.time() - 60:
                    started = run["start_time"]
                    at = datetime.fromisoformat(started).timestamp() if started else time.time()
                    yield at - due


def _with_users(everyone: list[OdooInstance]) -> list[OdooInstance]:
    """As a fleet has them: each instance with a user of its own on the recovery host."""
    return [
        each.model_copy(update={"recovery": each.recovery.model_copy(update={
            "odoo": each.recovery.odoo.model_copy(update={"user": f"odoo_{each.name}"})})})
        for each in everyone
    ]  # fmt: skip


@contextmanager
def speaking_to(stack: Stack) -> Iterator[None]:
    chosen = {
        PREFECT_API_URL: stack.api,
        PREFECT_API_AUTH_STRING: stack.env["PREFECT_API_AUTH_STRING"],
        PREFECT_HOME: stack.env["PREFECT_HOME"],
    }
    with temporary_settings(updates=chosen):
        yield


def time_applies(folder: Path) -> Counts:
    """On a Prefect of its own for each count, without a worker."""
    found: Counts = {"apply": {}}
    for count in COUNTS:
        bench = Bench(folder, Lab("none"), Stack(folder / f"prefect-{count}"))
        bench.figures = found
        try:
            bench.stack.start()
            bench.time_applies(count)
        finally:
            bench.stack.stop()
    return dict(found["apply"])


def measure_runs(folder: Path) -> Counts:
    lab, stack = Lab(), Stack(folder / "prefect")
    bench = Bench(folder, lab, stack)
    try:
        lab.up()
        stack.start()
        path = inventory.write(lab, folder, filestore_seconds=300)
        stack.run("--inventory", str(path), "apply")
        stack.start_worker()
        for name in ORIGINS:
            stack.complete(f"replicate/{name}")
        for name in ORIGINS:
            config = f"{inventory.BASE}/{name}/ssh/config"
            lab.respaldo.run("sed", "-i", f"s/^Host {name}$/Host {name} {name}_*/", config)
        with speaking_to(stack):
            for count in COUNTS:
                bench.measure(path, count)
            if MINUTES:
                bench.lateness(path, COUNTS[0])
    finally:
        FIGURES.with_suffix(".partial").write_text(json.dumps(bench.figures) + "\n")
        stack.stop()
        lab.down()
    return dict(bench.figures["fleet"])


def main() -> int:
    what = os.environ.get("RELEVO_PART", "all")
    figures: Counts = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures["commit"] = subprocess.run(
        ["git", "log", "-1", "--format=%h"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    for part, act in {"apply": time_applies, "fleet": measure_runs}.items():
        folder = Path(tempfile.mkdtemp(prefix="relevo-fleet-"))
        folder.chmod(0o755)
        try:
            if what in {part, "all"}:
                figures[part] = act(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        FIGURES.write_text(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
