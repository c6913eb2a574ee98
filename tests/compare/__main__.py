"""make compare: give each contender each accident, and keep what was measured."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.compare import contender, results, snapshot
from tests.compare.accidents import ACCIDENTS, Accident
from tests.compare.contender import Contender
from tests.compare.relevo import Relevo
from tests.compare.repmgr import Repmgr, RepmgrDaemon
from tests.compare.runbook import Runbook
from tests.compare.stage import Stage
from tests.lab.client import NO_VACUUM
from tests.lab.image import DATABASES
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.oracles import Pair, overlaps, probing


def main() -> int:
    """Play what was not played yet; the figures say how it went, not the status."""
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # and leave nothing behind
    folder = given.keep or Path(tempfile.mkdtemp(prefix="relevo-compare-"))
    try:
        with _lab(given.keep) as lab:
            lab.dos.machine.kill()  # it would only take its share of this machine
            Rig(lab, folder, given).play()
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


@contextmanager
def _lab(keep: Path | None) -> Iterator[Lab]:
    """A lab for this run, or one that stays up with the disks that belong to it."""
    if keep is None:
        with Lab() as lab:
            yield lab
    else:
        yield Lab.attach() if (keep / "disks").exists() else Lab().up()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.compare", description=__doc__)
    parser.add_argument("--results", type=Path, default=results.KEPT, help="a JSON line a play")
    parser.add_argument(
        "--keep", type=Path, help="leave hosts and disks, there, and go on from them next time"
    )
    parser.add_argument("--again", action="store_true", help="also what stands there already")
    parser.add_argument("--accidents", nargs="*", default=[], help="these alone, by their names")
    parser.add_argument("--who", nargs="*", default=[], help="these alone, by a part of the name")
    return parser


class Rig:
    """One lab; every contender's pair of hosts is kept as it was when it was made."""

    def __init__(self, lab: Lab, folder: Path, given: argparse.Namespace) -> None:
        self.lab, self.folder, self.given = lab, folder, given
        self.pair = Pair(lab, "vps_uno", lab.uno, 5433, 8169)
        everybody: tuple[Contender, ...] = (
            Runbook(self.pair), Repmgr(self.pair), Relevo(self.pair, folder / "relevo"),
            RepmgrDaemon(self.pair),
        )  # fmt: skip
        self.contenders = [each for each in everybody if _chosen(each.name, given.who)]

    def play(self) -> None:
        known = {} if self.given.again else results.read(self.given.results)
        for accident in ACCIDENTS:
            if self.given.accidents and accident.name not in self.given.accidents:
                continue
            for who in self.contenders:
                if who.plays and accident.name not in who.plays:
                    continue
                if (accident.name, who.name) not in known:
                    self._begin(who)
                    try:
                        self._keep(accident, who, self._one(accident, who))
                    except Exception as error:  # noqa: BLE001  # of the rig, and nobody's result
                        print(f"{accident.name}, {who.name}: broken off: {error!r}", flush=True)

    def _begin(self, who: Contender) -> None:
        """From its own disks, as they were when replication was good."""
        begun, kept = time.monotonic(), self.folder / "disks" / who.name
        machines = (self.pair.origin.machine, self.pair.recovery)
        self.lab.mend(*machines)
        if not kept.exists():
            with ThreadPoolExecutor() as pool:
                list(pool.map(self.lab.fresh, [each.name for each in machines]))
            who.install()
            self._wait_until_good()
            print(f"{who.name} is installed; it said {who.said}", flush=True)
            snapshot.take(machines, kept)
        snapshot.restore(machines, kept)
        self._wait_until_good()
        who.ready()
        print(f"{who.name} is ready after {time.monotonic() - begun:.0f} s", flush=True)

    def _wait_until_good(self) -> None:
        """A standby streams."""
        good = (self.pair.recovery, self.pair.port)
        wait_until(lambda: contender.follows(*good, timeout_seconds=1), "it streams", 90)
        self.pair.origin.machine.wait_for_port(self.pair.origin.http_port)

    def _one(self, accident: Accident, who: Contender) -> results.Line:
        begun, load = time.time(), os.getloadavg()[0]
        who.said.clear()
        for database in DATABASES:
            self.pair.at_origin(NO_VACUUM, database)
        stage = Stage(self.pair, who, self.folder / f"{begun:.0f}.journal")
        with probing(self.pair) as answers:
            try:
                accident.play(stage)
            finally:
                stage.stop()
        ended = stage.ended()
        final = stage.audit("recovery" if ended == "at the recovery host" else "origin")
        served = ended != "nobody serves" and final is not None
        return {
            "accident": accident.name, "contender": who.name, "lab": self.lab.generation.suite,
            "acknowledged": stage.customer.acknowledged + (
                stage.stale.acknowledged if stage.stale else 0
            ),
            "lost": len(final.lost_rows) if served and final else None,
            "files_broken": len(final.broken_files) if served and final else None,
            "longest_outage": stage.longest_outage(),
            "two_writers_seconds": results.seconds(overlaps(*answers)),
            "broken_at": [round(each.at - begun, 1) for each in final.broken_files[:9]]
            if final
            else [],
            **vars(stage.seen), "ended": ended if served else "nobody serves",
            "seconds": round(time.time() - begun), "load": round(load, 1), "said": who.said[:12],
        }  # fmt: skip

    def _keep(self, accident: Accident, who: Contender, line: results.Line) -> None:
        print(f"{accident.name}, {who.name}: {json.dumps(line, indent=1)}", flush=True)
        with self.given.results.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _chosen(name: str, parts: list[str]) -> bool:
    return not parts or any(part.lower() in name.lower() for part in parts)


if __name__ == "__main__":
    sys.exit(main())
