"""From commit to verified file, with uploads going on; and what following costs when idle."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import quantiles

from tests.bench.measure import of_tree
from tests.bench.world import ROOT, World

PER_SECOND = 10
IDLE_SECONDS = 20.0


def measure(world: World, seconds: float) -> list[dict[str, object]]:
    """Follow over both links."""
    return [_follow(world, link, seconds) for link in ("lan", "wan")]


def _follow(world: World, link: str, seconds: float) -> dict[str, object]:
    settings = world.settings_file(link, "follow")
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.programs.filestore", "follow", str(settings)],
        stdout=subprocess.PIPE, cwd=ROOT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if '"following"' in line:
            break
    postmaster = int((world.twins.standby.data / "postmaster.pid").read_text().split()[0])
    waits = _upload(world, seconds)
    time.sleep(12)
    before, backend = of_tree(process.pid), of_tree(postmaster)
    time.sleep(IDLE_SECONDS)
    idle = (of_tree(process.pid) - before) / IDLE_SECONDS
    idle_backend = (of_tree(postmaster) - backend) / IDLE_SECONDS
    status = Path(f"/proc/{process.pid}/status").read_text()
    rss = {w[0].rstrip(":"): int(w[1]) // 1024 for w in map(str.split, status.splitlines())
           if w[0] in {"VmRSS:", "VmHWM:"}}  # fmt: skip
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    cuts = quantiles(waits, n=100)
    row = {
        "files": world.files, "link": link, "way": "follow", "n": len(waits),
        "p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(waits),
        "idle_cpu": idle, "idle_postgres_cpu": idle_backend,
        "rss_mb": rss["VmRSS"], "rss_peak_mb": rss["VmHWM"],
    }  # fmt: skip
    print(row, flush=True)
    return row


def _upload(world: World, seconds: float) -> list[float]:
    """Upload, and note for each file how long after its commit it was here, to 2 ms."""
    waiting: dict[str, float] = {}
    waits: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set() or waiting:
            for path, at in list(waiting.items()):
                if Path(path).exists():
                    waits.append(time.perf_counter() - at)
                    del waiting[path]
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    ends = time.perf_counter() + seconds
    with world.twins.primary.connect() as session:
        while time.perf_counter() < ends:
            begun = time.perf_counter()
            content = os.urandom(world.contents.random.randrange(2000, 60000))
            name, size = world.twins.store(content)
            session.execute(
                "INSERT INTO ir_attachment (name, store_fname, file_size) VALUES ('u', %s, %s)",
                (name, size),
            )
            waiting[str(world.twins.ours / "shop" / name)] = time.perf_counter()
            time.sleep(max(0.0, 1 / PER_SECOND - (time.perf_counter() - begun)))
    ended.set()
    watcher.join()
    return waits
