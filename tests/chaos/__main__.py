"""make chaos SEED=1 N=20: play N stories, one after the other, and say what broke."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.rig import Ended, Rig
from tests.chaos.story import tell
from tests.lab import inventory
from tests.lab.lab import Lab
from tests.oracles import Pair
from tests.stack import Stack


def main() -> int:
    """Play the stories of consecutive seeds; the status says whether a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stories", type=int, default=5)
    parser.add_argument("--results", type=Path, default=None, help="a line of Markdown a story")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="relevo-chaos-"))
    folder.chmod(0o755)  # the private PostgreSQL runs as another user
    bad = 0
    with Lab() as lab:
        stack = Stack(folder / "prefect")
        try:
            rig = _rig(lab, stack, folder)
            for seed in range(given.seed, given.seed + given.stories):
                ended = rig.play(tell(seed))
                bad += bool(ended.violations)
                _say(ended, given.results)
                if ended.violations and not rig._is_home():
                    _fresh(rig, stack)
        finally:
            stack.stop()
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{given.stories} stories from seed {given.seed}: {bad} with violations")
    return 1 if bad else 0


def _rig(lab: Lab, stack: Stack, folder: Path) -> Rig:
    stack.start()
    path = inventory.write(lab, folder)
    stack.run("--inventory", str(path), "apply")
    stack.start_worker()
    stack.complete("replicate/vps_uno")
    return Rig(Pair(lab, "vps_uno", lab.uno, 5433, 8169), stack, folder)


def _fresh(rig: Rig, stack: Stack) -> None:
    """Begin anew after a story that ended badly, so that the next one is judged by itself."""
    lab = rig.pair.lab
    for machine in (rig.pair.origin.machine, rig.pair.recovery):
        lab.fresh(machine.name)
    stack.run("--inventory", str(inventory.write(lab, rig.folder)), "apply")
    stack.complete("replicate/vps_uno")


def _say(ended: Ended, results: Path | None) -> None:
    broken = "; ".join(ended.violations) or "none"
    line = (
        f"| {ended.story} | {', '.join(ended.steps)} | {ended.acknowledged} | {ended.lost}"
        f"{' (accepted)' if ended.forced else ''} | {ended.seconds:.0f} | {broken} |"
    )
    print(line, flush=True)
    if results is not None:
        with results.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
