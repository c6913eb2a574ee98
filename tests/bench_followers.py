"""What one follower for each instance costs, beside one for all: memory and processor time at rest.

    python -m tests.bench_followers [INSTANCES] [SECONDS]

All follow one real standby; what differs from a fleet is that its clusters are one.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tasks.install import zipapp
from tests.engine.clusters import Twins
from tests.lab.machine import wait_until

TICKS = 100  # of a second of processor time, in /proc/PID/stat


def cost(pids: list[int], seconds: float) -> dict[str, float]:
    """Memory that is these processes' own share (PSS), and what they use of a processor."""

    def used() -> float:
        fields = (Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids)
        return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS

    begun, before = time.monotonic(), used()
    time.sleep(seconds)
    share = (used() - before) / (time.monotonic() - begun)
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    lines = (line.split() for text in rollups for line in text.splitlines())
    kilobytes = sum(int(words[1]) for words in lines if words[0] == "Pss:")
    return {"processes": len(pids), "MB": kilobytes / 1024, "cores": share}


def measure(twins: Twins, instances: int, seconds: float, *, apart: bool) -> dict[str, float]:
    """Follow so many instances with one process, or with one for each."""
    folder = Path(tempfile.mkdtemp(dir=twins.folder))
    program = folder / "filestore.pyz"
    program.write_bytes(zipapp.pack("filestore"))
    for number in range(instances):
        home = folder / f"vps_{number}"
        for name in ("engine", "files", "trash"):
            (home / name).mkdir(parents=True)
        settings = replace(
            twins.settings(), instance=home.name, work=str(home / "engine"),
            filestore=str(home / "files"), trash=str(home / "trash"),
        )  # fmt: skip
        (home / "engine" / "settings.json").write_text(settings.text())
    names = [f"vps_{number}" for number in range(instances)] if apart else ["*"]
    said = [folder / f"conditions-{number}" for number in range(len(names))]
    running = [
        subprocess.Popen(
            [sys.executable, "-I", str(program), "follow", f"{folder}/{name}/engine/settings.json",
             f"--conditions={path}"],
            stdout=subprocess.DEVNULL,
        )
        for name, path in zip(names, said, strict=True)
    ]  # fmt: skip

    def following() -> bool:
        states = [
            each["state"]
            for path in said
            if path.exists()
            for each in json.loads(path.read_text())["conditions"]
        ]
        return len(states) == instances and set(states) == {"following"}

    try:
        wait_until(following, f"{instances} instances are followed", 120)
        time.sleep(15)  # after ten quiet seconds it looks less often
        return cost([each.pid for each in running], seconds)
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait(60)


def main() -> None:
    instances, seconds = (
        int(sys.argv[1] if sys.argv[1:] else 30),
        float((sys.argv[2:] or ["30"])[0]),
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        twins = Twins(Path(folder)).start()
        try:
            twins.attach(b"one", b"two")
            twins.catch_up()
            for _ in range(3):
                for apart in (False, True):
                    found = measure(twins, instances, seconds, apart=apart)
                    print(json.dumps({"instances": instances, "apart": apart, **found}))
        finally:
            twins.stop()


if __name__ == "__main__":
    main()
