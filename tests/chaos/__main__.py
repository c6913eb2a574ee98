"""make chaos SEED=1 N=20: play N stories, one after the other, and say what broke."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos import results
from tests.chaos.faults import small_disk
from tests.chaos.rig import Ended, Rig
from tests.chaos.story import tell
from tests.lab import clock, inventory
from tests.lab.lab import Lab
from tests.oracles import Pair
from tests.stack import Stack


def main() -> int:
    """Play the stories of consecutive seeds; the status says whether a promise was broken."""
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # and leave nothing behind
    policy = given.synchronous
    known = {} if given.again else results.read(given.results, synchronous=policy)
    asked = given.seeds or range(given.seed, given.seed + given.stories)
    seeds = [seed for seed in asked if not results.ended_well(seed, known)]
    print(f"{len(seeds)} stories to play; the others stand in {given.results}", flush=True)
    bad = _play(seeds, given.results, given.evidence, policy) if seeds else 0
    print(f"{len(seeds)} stories played: {bad} with violations")
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first of consecutive seeds")
    parser.add_argument("--stories", type=int, default=5, help="how many")
    parser.add_argument("--seeds", type=int, nargs="*", help="these, instead of consecutive ones")
    parser.add_argument("--results", type=Path, default=results.KEPT, help="a JSON line a story")
    parser.add_argument(
        "--synchronous", choices=("off", "wait", "go_on"), default="off",
        help="whether commits wait for the recovery host",
    )  # fmt: skip
    parser.add_argument("--again", action="store_true", help="also those that ended well before")
    parser.add_argument(
        "--evidence", type=Path, default=Path("/tmp/relevo-chaos"),
        help="where logs are kept of a story with a violation",
    )  # fmt: skip
    return parser


def _play(seeds: list[int], kept: Path, evidence: Path, policy: str) -> int:
    folder = Path(tempfile.mkdtemp(prefix="relevo-chaos-"))
    folder.chmod(0o755)  # the private PostgreSQL runs as another user
    bad = 0
    with Lab() as lab:
        stack = Stack(folder / "prefect")
        try:
            stack.start()
            _make_fit_for_accidents(lab)
            stack.run("--inventory", str(_inventory(lab, folder, policy)), "apply")
            stack.start_worker()
            pair = Pair(lab, "vps_uno", lab.uno, 5433, 8169, synchronous=policy != "off")
            rig = Rig(pair, stack, folder, synchronous=policy)
            rig.begin()
            for seed in seeds:
                ended = rig.play(tell(seed))
                _keep(ended, kept, lab, policy)
                if ended.violations:
                    bad += 1
                    evidence.mkdir(parents=True, exist_ok=True)
                    (evidence / f"{seed}.txt").write_text(rig.evidence())
                    _begin_anew(rig)
        finally:
            stack.stop()
            shutil.rmtree(folder, ignore_errors=True)
    return bad


def _inventory(lab: Lab, folder: Path, policy: str) -> Path:
    return inventory.write(lab, folder, synchronous=policy)


def _make_fit_for_accidents(lab: Lab) -> None:
    """Give the recovery host a disk that may be filled, and both ends a clock that may be set."""
    for machine in (lab.uno.machine, lab.respaldo):
        machine.shutdown()
        clock.install(machine)
    small_disk(lab.respaldo)
    for machine in (lab.uno.machine, lab.respaldo):
        machine.boot()


def _begin_anew(rig: Rig) -> None:
    """After a story that ended badly, so that the next one is judged by itself."""
    lab = rig.pair.lab
    for machine in (rig.pair.origin.machine, rig.pair.recovery):
        lab.fresh(machine.name)
    lab.mend(rig.pair.origin.machine, rig.pair.recovery)
    _make_fit_for_accidents(lab)
    path = _inventory(lab, rig.folder, rig.synchronous)
    rig.stack.run("--inventory", str(path), "apply")
    rig.begin()


def _keep(ended: Ended, kept: Path, lab: Lab, policy: str) -> None:
    """Say how a story ended, and add it to those that were played."""
    line = results.line(ended, lab=lab.generation.suite, synchronous=policy)
    broken = "; ".join(ended.violations) or "no violation"
    print(
        f"{ended.story}\n    {', '.join(ended.steps)}; {ended.acknowledged} acknowledged, "
        f"{ended.lost} lost, {ended.seconds:.0f} s: {broken}",
        flush=True,
    )
    with kept.open("a") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
