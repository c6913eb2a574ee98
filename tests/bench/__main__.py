"""`make bench-filestore`: the engine beside the runbook's rsync, interleaved, on this machine.

Runs itself in a network namespace of its own, so that the bytes on its only interface are those
between the two sides.
"""

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tasks.programs.filestore import questions
from tasks.programs.filestore.disk import sha1_of
from tasks.programs.filestore.engine import Engine
from tests import unpacked
from tests.bench import disk, follow
from tests.bench.measure import Cost, Group, Meter, medians, run
from tests.bench.world import ROOT, World, drop_caches

CHANGED = (0, 10, 1000)
LOOKS = 200
Results = dict[str, object]


class Bench:
    """One world, measured."""

    def __init__(self, world: World, rounds: int) -> None:
        self.world, self.rounds = world, rounds
        self.rows: list[Results] = []
        standby = world.twins.standby.data / "postmaster.pid"
        self.postgres = Group("postgres")
        self.postgres.take(int(standby.read_text().split()[0]))
        self.client = Group("client")
        (self.client.path / "cgroup.procs").write_text(str(os.getpid()))

    def meter(self, link: str) -> Meter:
        return Meter(
            client=self.client, server=self.world.server, postgres=self.postgres,
            halves=2 if link == "wan" else 1,
        )  # fmt: skip

    def passes(self, link: str, *, cold: bool, rounds: int) -> None:
        """Interleave the ways, round by round and change by change."""
        costs: dict[tuple[str, int], list[Cost]] = {}
        engine = self.world.engine(link)
        engine.sweep()
        engine.origin.sums(["shop/none"])
        engine.fetcher.newest.sums(["shop/none"])
        engine.tail("shop")
        meter = self.meter(link)
        self._program(link, "program")
        for _ in range(rounds):
            for changed in CHANGED:
                for way, cost in self._round(engine, meter, link, changed, cold=cold).items():
                    costs.setdefault((way, changed), []).append(cost)
        engine.close()
        for (way, changed), each in costs.items():
            self.rows.append({
                "files": self.world.files, "link": link, "cold": cold, "changed": changed,
                "way": way, "n": len(each), **asdict(medians(each)),
                "walls": [round(cost.wall, 5) for cost in each],
            })  # fmt: skip
            print(self.rows[-1], flush=True)

    def _round(
        self, engine: Engine, meter: Meter, link: str, changed: int, *, cold: bool
    ) -> dict[str, Cost]:
        world, ours = self.world, self.world.twins.ours
        names = world.add(changed)
        payload = sum((world.twins.theirs / "shop" / name).stat().st_size for name in names)
        ways: dict[str, Callable[[], object]] = {
            "rsync": lambda: run(world.rsync(link)),
            "look": partial(_look, engine),
            "tail": lambda: engine.tail("shop"),
            "scan": lambda: engine.scan("shop"),
            "program": lambda: self._program(link, "program"),
        }
        if changed:
            del ways["look"]
        order = list(ways)
        random.shuffle(order)
        found = {}
        for way in order:
            world.forget(names, ours)
            engine.seen.clear()
            if cold:
                drop_caches()
            cost = meter.measure(ways[way])
            found[way] = cost.shared(LOOKS) if way == "look" else cost
            store = world.base / "filestore" if way == "rsync" else ours
            missing = [name for name in names if not (store / "shop" / name).exists()]
            if missing:
                raise AssertionError(f"{way} left out {len(missing)} of {changed}")
        world.complete(names)
        self.payloads.setdefault((link, cold, changed), []).append(payload)
        return found

    payloads: dict[tuple[str, bool, int], list[int]] = {}  # noqa: RUF012  # one bench at a time

    def _program(self, link: str, work: str) -> None:
        settings = self.world.settings_file(link, work)
        run([sys.executable, "-m", "tasks.programs.filestore", "pass", str(settings)])

    def initial(self, rounds: int) -> None:
        """Copy everything to an empty folder, verified on our side."""
        costs: dict[str, list[Cost]] = {"rsync": [], "engine": []}
        meter = self.meter("lan")
        for number in range(rounds):
            target = self.world.folder / f"initial-{number}"
            (target / "rsync").mkdir(parents=True)
            command = self.world.rsync("lan", target / "rsync")
            costs["rsync"].append(meter.measure(partial(run, command)))
            facts = self.world.settings("lan", f"initial-{number}")
            settings = self.world.twins.settings(**facts, filestore=str(target / "engine"))
            path = self.world.folder / "initial.json"
            path.write_text(settings.text())
            program = [sys.executable, "-m", "tasks.programs.filestore", "pass", str(path)]
            costs["engine"].append(meter.measure(partial(run, program)))
        for way, each in costs.items():
            self.rows.append({
                "files": self.world.files, "link": "lan", "cold": False, "changed": "all",
                "way": way, "n": len(each), **asdict(medians(each)),
                "walls": [round(cost.wall, 3) for cost in each],
            })  # fmt: skip
            print(self.rows[-1], flush=True)

    def whole(self, rounds: int) -> None:
        """Compare all rows with all files, with no network; read all files again."""
        meter = self.meter("lan")
        engine = Engine(self.world.twins.settings(channel=("false",)))
        engine.databases.read(engine.cluster)
        keys = list(engine.store.names("shop"))
        size = sum(Path(engine.store.path(key)).stat().st_size for key in keys[:20000])
        paths = [engine.store.path(key) for key in keys[:20000]]

        def scrub() -> None:
            for _ in engine.store.sums(keys[:20000]):
                pass

        for way, cold, work in (
            ("reconcile", False, engine.reconcile),
            ("scrub", False, scrub),
            ("scrub", True, scrub),
            ("read as listed", True, lambda: [sha1_of(path) for path in paths]),
        ):
            each = []
            for _ in range(rounds):
                if cold:
                    drop_caches()
                each.append(meter.measure(work))
            self.rows.append({
                "files": self.world.files, "link": "none", "cold": cold, "changed": 0,
                "way": way, "n": rounds, **asdict(medians(each)),
                "bytes_read": 0 if way == "reconcile" else size,
            })  # fmt: skip
            print(self.rows[-1], flush=True)
        engine.close()


def _look(engine: Engine) -> None:
    """Once is too short for a clock."""
    for _ in range(LOOKS):
        engine.cluster.ask("postgres", questions.POSITION)


def _one(world: World, given: argparse.Namespace) -> Bench:
    begun = time.monotonic()
    world.start()
    print(f"{world.files} files made in {time.monotonic() - begun:.0f} s", flush=True)
    bench = Bench(world, given.rounds)
    Bench.payloads = {}
    bench.passes("lan", cold=False, rounds=given.rounds)
    bench.whole(3)
    if given.cold:
        bench.passes("lan", cold=True, rounds=given.cold)
    if given.wan:
        bench.passes("wan", cold=False, rounds=given.wan)
    if given.initial:
        bench.initial(given.initial)
    if given.follow:
        bench.rows += follow.measure(world, given.follow)
    return bench


def measure(given: argparse.Namespace) -> None:
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    for size in (int(each) for each in given.sizes.split(",")):
        tiny = size >= given.tiny_from
        with disk.fresh(given.scratch) as mounted:
            world = World(mounted, size, tiny=tiny, sshd=given.sshd)
            try:
                bench = _one(world, given)
            finally:
                world.stop()
        payloads = [
            {"link": link, "cold": cold, "changed": changed, "payload": sorted(p)[len(p) // 2]}
            for (link, cold, changed), p in Bench.payloads.items()
        ]
        facts = {
            "files": size, "tiny": tiny, "rows": bench.rows, "payloads": payloads,
            "load": os.getloadavg(), "cores": os.cpu_count(), "kernel": platform.release(),
            "python": platform.python_version(), "date": time.strftime("%Y-%m-%d"),
        }  # fmt: skip
        (out / f"filestore-{size}.json").write_text(json.dumps(facts, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--sizes", default="10000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", type=int, default=0, help="rounds with an empty page cache")
    parser.add_argument("--wan", type=int, default=0, help="rounds over a 40 ms round trip")
    parser.add_argument("--initial", type=int, default=0, help="whole copies to an empty folder")
    parser.add_argument("--follow", type=float, default=0, help="seconds of uploads, followed")
    parser.add_argument("--tiny-from", type=int, default=1000000, help="this many files are tiny")
    parser.add_argument("--out", default=str(ROOT / "docs" / "benchmarks"))
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    parser.add_argument("--sshd", default="")
    given = parser.parse_args()
    if os.environ.get("RELEVO_BENCH_INSIDE") != "1":
        inside = 'ip link set lo up && exec "$@"'
        os.environ["RELEVO_BENCH_INSIDE"] = "1"
        # before there is no network
        sshd = given.sshd or unpacked.find("sshd", ("openssh-server", "libwrap0"))
        os.environ.update(unpacked.libraries(sshd))
        words = [sys.executable, "-m", "tests.bench", *sys.argv[1:], "--sshd", sshd]
        os.execvp("unshare", ["unshare", "--net", "--mount", "sh", "-c", inside, "inside", *words])
    measure(given)


if __name__ == "__main__":
    main()
