"""Ten minutes of normal running with changes of place in it: does any alarm cry wolf?

Two instances are followed, copied and measured by schedule, a customer writes to each, and
somebody moves the first there and back while the second one's power is cut again and again. The
limits are tight (MINUTES of real life are hours of this), and everybody who could be told is.
What is true is told: a change of place, an origin that answers again. Nothing else may be.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tests.lab import inventory
from tests.lab.client import NO_VACUUM, Client, audit
from tests.lab.image import DATABASES
from tests.lab.lab import Lab
from tests.oracles import Pair, no_strangers, one_writer
from tests.receivers import Received, mail, web
from tests.stack import ROOT, Stack

MINUTES = float(os.environ.get("MINUTES", "10"))
KEPT = ROOT / "docs" / "benchmarks" / "soak.jsonl"
EVIDENCE = Path("/tmp/relevo-soak")
DEFAULTS = {
    "schedules": {"filestore_seconds": 60, "check_seconds": 60},
    "alarms": {"lag_mb": 16, "lag_seconds": 60, "sync_minutes": 3, "run_check": True},
}
TRUE = ("another place serves", "the origin answers again")
FACES = (
    *TRUE, "lags behind", "slot is lost", "copy of files was refused", "no good copy",
    "BOTH servers accept writes", "nobody can work",
)  # fmt: skip
WRITTEN = 40


@dataclass
class Soak:
    """The rig, and what came of it."""

    lab: Lab
    stack: Stack
    boxes: dict[str, Received]
    clients: dict[str, Client] = field(default_factory=dict)
    moves: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def run(self, folder: Path) -> dict[str, object]:
        """Let it run; give a line to be kept."""
        uno = Pair(self.lab, "vps_uno", self.lab.uno, 5433, 8169)
        dos = Pair(self.lab, "vps_dos", self.lab.dos, 5434, 8269)
        for pair in (uno, dos):
            for database in DATABASES:
                pair.at_origin(NO_VACUUM, database)
            self.stack.complete(f"replicate/{pair.name}")
            client = Client.at(*pair.origin.odoo, DATABASES, folder / f"{pair.name}.journal")
            self.clients[pair.name] = client
            client.start()
        begun = time.monotonic()
        with one_writer(uno), one_writer(dos):
            while time.monotonic() < begun + 60 * MINUTES:
                self._there_and_back(uno)
                self._power_cut(dos)
        seconds = time.monotonic() - begun
        self._settle()
        for client in self.clients.values():
            client.stop()
        return self._line(uno, dos, seconds)

    def _there_and_back(self, pair: Pair) -> None:
        self._press("failover", pair)
        self._press("failback", pair)

    def _power_cut(self, pair: Pair) -> None:
        pair.origin.machine.crash()
        self._press("failover", pair, origin_is_down=True, reason="the soak cut its power")
        pair.origin.machine.boot()
        self._press("failback", pair)

    def _press(self, procedure: str, pair: Pair, **parameters: object) -> None:
        """Move an instance, send its customer after it, and let the customer work for a while."""
        self.stack.complete(f"{procedure}/{pair.name}", **parameters)
        away = procedure == "failover"
        where = (pair.recovery.address, pair.http_port) if away else pair.origin.odoo
        self.clients[pair.name].move_to(*where)
        self.moves["forced failover" if parameters else procedure] += 1
        for client in self.clients.values():
            client.wait_until_acknowledged(WRITTEN, 180)
        print(f"  {procedure} of {pair.name}", flush=True)

    def _settle(self) -> None:
        """Two boards more, so that whatever is still to be told is told."""
        for _ in range(2):
            self.stack.complete("board/all-instances")

    def _line(self, uno: Pair, dos: Pair, seconds: float) -> dict[str, object]:
        lost = 0
        for pair in (uno, dos):
            seen = audit(*pair.origin.odoo, self.clients[pair.name].journal)
            lost += len(seen.lost_rows)
            if pair is uno and not seen.whole:
                self.wrong.append(f"planned moves lost {seen.lost_rows[:3]}")
            self.wrong += [f"the file of {each.name} is broken" for each in seen.broken_files]
            no_strangers(pair)
        told = {name: _faces(box) for name, box in self.boxes.items()}
        for name, faces in told.items():
            self.wrong += [f"{name}: {face}" for face in faces if not face.startswith(TRUE)]
            if _returns(self.boxes[name], uno):
                self.wrong.append(f"{name}: an origin that handed over is said to be back")
            if faces["another place serves"] != self.moves.total():
                self.wrong.append(f"{name}: {faces['another place serves']} changes of place")
        return {
            "date": f"{datetime.now(UTC):%Y-%m-%d}", "lab": self.lab.generation.suite,
            "minutes": round(seconds / 60, 1), "moves": dict(self.moves),
            "documents": sum(each.acknowledged for each in self.clients.values()),
            "lost_by_power_cuts": lost, "runs": self._runs(), "told": told, "wrong": self.wrong,
        }  # fmt: skip

    def _runs(self) -> dict[str, dict[str, int]]:
        """How the runs of each flow ended."""
        names = {
            each["id"]: each["name"] for each in self.stack.request("POST", "/flows/filter", {})
        }
        ended: dict[str, Counter[str]] = {}
        offset = 0
        while page := self.stack.request(
            "POST", "/flow_runs/filter", {"limit": 200, "offset": offset, "sort": "ID_DESC"}
        ):
            offset += len(page)
            for run in page:
                if run["state_type"] != "SCHEDULED":
                    ended.setdefault(names[run["flow_id"]], Counter())[run["state_type"]] += 1
        return {flow: dict(states) for flow, states in sorted(ended.items())}


def _returns(box: Received, pair: Pair) -> list[str]:
    """The messages by which an instance that is moved on purpose comes back from the dead."""
    return [each for each in box.about(pair.name) if "the origin answers again" in each]


def _faces(box: Received) -> Counter[str]:
    """What a receiver was told, by its subject."""
    found: Counter[str] = Counter()
    for message in box.messages:
        found[next((face for face in FACES if face in message), message[:300])] += 1
    return found


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="relevo-soak-"))
    folder.chmod(0o755)  # the private PostgreSQL runs as another user
    lab, stack = Lab(), Stack(folder / "prefect")
    with ExitStack() as left:
        left.callback(shutil.rmtree, folder, ignore_errors=True)
        left.callback(lab.down)
        left.callback(stack.stop)
        boxes = {"mail": left.enter_context(mail()), "web": left.enter_context(web())}
        lab.up()
        stack.start()
        stack.run("--inventory", str(_inventory(lab, folder, boxes)), "apply")
        stack.start_worker()
        line = Soak(lab, stack, boxes).run(folder)
        _keep(line, boxes)
    return 1 if line["wrong"] else 0


def _keep(line: dict[str, object], boxes: dict[str, Received]) -> None:
    """Say what came of it, and keep what was told for whoever doubts it."""
    print(json.dumps(line, indent=2), flush=True)
    with KEPT.open("a") as kept:
        kept.write(json.dumps(line) + "\n")
    EVIDENCE.mkdir(exist_ok=True)
    for name, box in boxes.items():
        (EVIDENCE / f"{name}.txt").write_text("\n----\n".join(box.messages))


def _inventory(lab: Lab, folder: Path, boxes: dict[str, Received]) -> Path:
    """The lab's inventory with tight limits, and both receivers."""
    path = inventory.write(lab, folder)
    document = yaml.safe_load(path.read_text())
    document["defaults"] |= DEFAULTS
    path.write_text(yaml.safe_dump(document))
    secrets = path.with_name("secrets.yaml")
    duty = f"mailto://127.0.0.1:{boxes['mail'].port}?from=relevo@lab.test&to=duty@lab.test"
    notify = {
        "duty": f"{duty}&mode=insecure",
        "chat": f"http://127.0.0.1:{boxes['web'].port}/hook",
    }
    known = yaml.safe_load(secrets.read_text())
    secrets.write_text(yaml.safe_dump({**known, "notify": notify}))
    return path


if __name__ == "__main__":
    sys.exit(main())
