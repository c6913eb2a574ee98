"""Tables, bars and plots from what `make bench-filestore` has measured: `docs/benchmarks/`."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tests.bench.world import ROOT

Row = dict[str, Any]
WAYS = {
    "rsync": "the runbook's rsync", "program": "a scheduled pass, from its start",
    "scan": "sound scan, engine running", "tail": "newest rows, engine running",
    "look": "has anything been replayed?",
}  # fmt: skip
INTRO = """\
# The filestore engine beside the runbook's rsync

Made by `make bench-filestore` (`tests/bench`); the figures below are medians, those of one table
interleaved in one run. Both sides share this machine, so ratios and CPU seconds are worth more
than wall times. Base: `rsync -azv --delete --partial --timeout=15` over ssh, the runbook's own
command. Wire: bytes on the only interface of a private network namespace, ssh and TCP/IP included.
CPU: the recovery side, the origin's side, and the standby's PostgreSQL, from their cgroups. All
files lie on a new ext4 with a journal, synced before each measurement.
"""


def load(folder: Path) -> list[Row]:
    found = (json.loads(path.read_text()) for path in folder.glob("filestore-*.json"))
    return sorted(found, key=lambda each: int(each["files"]))


class Rows:
    """The measurements, found by what they are of."""

    def __init__(self, documents: list[Row]) -> None:
        self.all = [row for document in documents for row in document["rows"]]
        self.payloads = {
            (document["files"], p["link"], p["cold"], p["changed"]): p["payload"]
            for document in documents
            for p in document["payloads"]
        }

    def find(self, **wanted: object) -> Row | None:
        fit = (row for row in self.all if all(row.get(n) == v for n, v in wanted.items()))
        return next(fit, None)

    def ratio(self, way: str, **where: object) -> float | None:
        base, ours = self.find(way="rsync", **where), self.find(way=way, **where)
        return base["wall"] / max(ours["wall"], 1e-6) if base and ours else None


def seconds(value: float) -> str:
    """
    >>> seconds(0.000041), seconds(0.0123), seconds(12.3)
    ('0.041 ms', '12.3 ms', '12.30 s')
    """
    if value < 0.001:
        return f"{value * 1000:.3f} ms"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def size(value: float) -> str:
    """
    >>> size(0), size(5800), size(54e6)
    ('0 B', '5.8 kB', '54.0 MB')
    """
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.1f} {unit}"
    return f"{value:.0f} B"


def tables(documents: list[Row], rows: Rows) -> Iterator[str]:
    for document in documents:
        files = document["files"]
        kind = "tiny (64 to 1000 B)" if document["tiny"] else "log-normal, median 20 kB"
        load = ", ".join(f"{each:.1f}" for each in document["load"])
        yield f"\n## {files:,} files, {kind}\n"
        yield (
            f"{document['date']}, {document['cores']} cores shared by both sides, kernel "
            f"{document['kernel']}, Python {document['python']}, load average at the end {load}.\n"
        )
        yield "| link | cache | changed | way | wall | CPU: recovery + origin + SQL | wire | n |"
        yield "|---|---|---|---|---|---|---|---|"
        for row in (r for r in document["rows"] if r["way"] in {*WAYS, "engine"}):
            link = "40 ms, 100 Mbit/s" if row["link"] == "wan" else "loopback"
            name = WAYS.get(row["way"], "the engine's first pass, from its start")
            yield (
                f"| {link} | {'cold' if row['cold'] else 'warm'} | {row['changed']} | {name} "
                f"| {seconds(row['wall'])} | {row['client']:.2f} + {row['server']:.2f} + "
                f"{row['postgres']:.2f} | {size(row['wire'])} | {row['n']} |"
            )
        yield from others(document)


def others(document: Row) -> Iterator[str]:
    yield ""
    for row in document["rows"]:
        if row["way"] == "reconcile":
            yield f"- Comparing all rows with all files, no network: {seconds(row['wall'])}."
        elif row["way"] in {"scrub", "read as listed"}:
            how = (
                "no limit" if row["way"] == "scrub" else "by one reader, in the order of a listing"
            )
            rate, cache = row["bytes_read"] / row["wall"] / 1e9, "cold" if row["cold"] else "warm"
            yield f"- Reading files again, sha1 compared, {cache}, {how}: {rate:.2f} GB/s."
        elif row["way"] == "follow":
            link = "40 ms, 100 Mbit/s" if row["link"] == "wan" else "loopback"
            yield (
                f"- Followed ({link}), 10 uploads a second, commit to verified file, n = "
                f"{row['n']}: p50 {seconds(row['p50'])}, p95 {seconds(row['p95'])}, p99 "
                f"{seconds(row['p99'])}, max {seconds(row['max'])}. Idle: {row['idle_cpu']:.2%} of "
                f"a core and {row['idle_postgres_cpu']:.2%} in PostgreSQL; {row['rss_mb']} MB, "
                f"peak {row['rss_peak_mb']} MB."
            )


@dataclass(frozen=True)
class Bar:
    """What is wanted, and what was seen."""

    name: str
    wants: str
    limit: float
    seen: float | None
    more_is_better: bool = True

    def __str__(self) -> str:
        wants = f"at {'least' if self.more_is_better else 'most'} {self.limit:,g}"
        if self.seen is None:
            return f"| {self.name} | {self.wants} | {wants} | not measured | open |"
        good = self.seen >= self.limit if self.more_is_better else self.seen <= self.limit
        shown = f"{self.seen:,.0f}" if self.seen >= 100 else f"{self.seen:.3g}"
        word = "met" if good else "**not met**"
        return f"| {self.name} | {self.wants} | {wants} | {shown} | {word} |"


def bars(rows: Rows) -> Iterator[Bar]:
    """Each bar of the issue that one run of this benchmark can judge."""
    yield from faster(rows)
    yield from lean(rows)
    yield from followed(rows)
    for files, least in ((10000, 1.9), (100000, 1.9), (1000000, 2.5)):
        copied = rows.ratio("engine", changed="all", files=files)
        yield Bar("G8", f"first copy of {files:,}: times the files/s", least, copied)
    row = rows.find(way="reconcile", files=1000000)
    yield Bar(
        "G10", "everything compared, 1M, s", 3, row["wall"] if row else None, more_is_better=False
    )
    yield from scrubbed(rows)


def scrubbed(rows: Rows) -> Iterator[Bar]:
    row = rows.find(way="scrub", files=100000, cold=False)
    rate = row["bytes_read"] / row["wall"] / 1e9 if row else None
    yield Bar("G11", "scrub, warm, GB/s", 1.3, rate)
    ours = rows.find(way="scrub", files=100000, cold=True)
    base = rows.find(way="read as listed", files=100000, cold=True)
    ratio = base["wall"] / ours["wall"] if ours and base else None
    yield Bar("G11", "scrub, cold: times one reader in the order of a listing", 2, ratio)


def faster(rows: Rows) -> Iterator[Bar]:
    million: Row = {"files": 1000000, "link": "lan", "changed": 0}
    for name, way, cold, least in (
        ("G1", "look", False, 5e4), ("G2", "scan", False, 40.0), ("G2", "scan", True, 100.0),
    ):  # fmt: skip
        wants = f"{WAYS[way]}, 1M, {'cold' if cold else 'warm'}: times less wall"
        yield Bar(name, wants, least, rows.ratio(way, cold=cold, **million))
    for name, way, changed, leasts in (
        ("G3", "tail", 10, {1000000: 1000.0, 100000: 100.0, 10000: 20.0}),
        ("G4", "scan", 1000, {10000: 3.0, 100000: 3.0, 1000000: 15.0}),
    ):
        for files, least in leasts.items():
            where: Row = {"files": files, "link": "lan", "cold": False, "changed": changed}
            wants = f"{changed} changed of {files:,}: times less wall"
            yield Bar(name, wants, least, rows.ratio(way, **where))


def lean(rows: Rows) -> Iterator[Bar]:
    for files in (10000, 100000, 1000000):
        row = rows.find(way="scan", files=files, link="lan", cold=False, changed=10)
        payload = rows.payloads.get((files, "lan", False, 10))
        over = (row["wire"] - 2000) / payload if row and payload else None
        wants = f"10 changed of {files:,}: (wire - 2 kB) / payload"
        yield Bar("G5", wants, 1.05, over, more_is_better=False)
    wan: Row = {"files": 100000, "link": "wan", "cold": False}
    few, many = (rows.find(way="tail", changed=changed, **wan) for changed in (10, 1000))
    times = rows.ratio("tail", changed=10, **wan)
    trips = few["wall"] / 0.04 if few else None
    line = many["wire"] / many["wall"] / 12.5e6 if many else None
    yield Bar("G6", "40 ms: 10 changed of 100,000: times less wall", 50, times)
    yield Bar("G6", "40 ms: 10 changed, in round trips", 2.2, trips, more_is_better=False)
    yield Bar("G6", "40 ms: 1000 changed: share of the line", 0.95, line)


def followed(rows: Rows) -> Iterator[Bar]:
    for link, field, most in (("lan", "p50", 0.06), ("lan", "p99", 0.25), ("wan", "p50", 0.11)):
        row = rows.find(way="follow", files=1000000, link=link)
        wants = f"commit to verified file, 1M, {link}, {field}, s"
        yield Bar("G7", wants, most, row[field] if row else None, more_is_better=False)
    row = rows.find(way="follow", files=1000000, link="lan")
    for field, wants, most in (
        ("idle_cpu", "idle, share of a core", 0.005),
        ("rss_mb", "memory at 1M, MB", 64.0),
    ):
        yield Bar("G9", wants, most, row[field] if row else None, more_is_better=False)


def verdicts(rows: Rows) -> Iterator[str]:
    yield "\n## The bars\n"
    yield "| bar | wants | limit | seen | |"
    yield "|---|---|---|---|---|"
    yield from map(str, bars(rows))


def plot(documents: list[Row], rows: Rows, folder: Path) -> None:
    for changed in (0, 10, 1000):
        figure = Figure(figsize=(7, 4))
        axes = figure.subplots()
        for way, name in WAYS.items():
            points = [
                (document["files"], row["wall"])
                for document in documents
                if (row := rows.find(way=way, files=document["files"], link="lan", cold=False,
                                     changed=changed))
            ]  # fmt: skip
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=name)
        axes.set(xscale="log", yscale="log", xlabel="files", ylabel="wall seconds, median")
        axes.set_title(f"{changed} files changed, loopback, warm")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
        figure.tight_layout()
        figure.savefig(folder / f"filestore-{changed}-changed.png", dpi=120)


def main(folder: Path) -> None:
    documents = load(folder)
    rows = Rows(documents)
    remarks = folder / "filestore-remarks.md"
    text = [INTRO, *verdicts(rows)]
    if remarks.exists():
        text += ["", remarks.read_text().rstrip()]
    text += [f"\n![{c} changed](filestore-{c}-changed.png)" for c in (0, 10, 1000)]
    text += tables(documents, rows)
    (folder / "filestore.md").write_text("\n".join(text) + "\n")
    plot(documents, rows, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "benchmarks")
