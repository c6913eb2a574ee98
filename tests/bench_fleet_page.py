"""The page of what a fleet costs Prefect, made of the figures of two releases.

python -m tests.bench_fleet_page BEFORE.json AFTER.json
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.stack import ROOT

PAGE = ROOT / "docs" / "benchmarks" / "fleet.md"
EVENTS = ("events", "event_resources")  # kept for three days, all else for ninety
EVENT_DAYS, OTHER_DAYS = 3, 90
WHO = ("worker and runs", "server", "database")
BARS = {"runs": 1000, "rows": 300_000, "GB": 10.0, "apply": 10.0}
TEXT = """\
# What a fleet costs Prefect

`make bench-fleet`: {before} (before) and {after} (after), a Prefect 3.8 server on a PostgreSQL of
its own, 2 cores that ran other tests too (so trust rows more than CPU-seconds, and CPU-seconds
more than seconds).

What is simulated: `apply` is timed on an inventory of servers that nobody asks. The runs are
real, through a worker, on the two instances of a lab (two origins, one recovery host) under 30 or
100 names: `vps_uno_007` is `vps_uno`, with a lock, records and deployments of its own, so each
copy of a name goes over ssh to real hosts, and files and clusters behind the names are two. Each
kind of run was measured {times} times; **a day is extrapolated**: the runs of a day, with the
intervals that Relevo has by itself and a system user for each instance, times what one run was
measured to cost. Bytes are rows times what a row of its table took on the disk with its indexes.
History is what stands after 90 days: events of 3 days, all else of 90
(`docs/server/server.env.example`).

## A day
{day}

## `apply`, in seconds
{apply}

## One run
{runs}

## How late
{late}
"""


def per_run(fleet: dict[str, Any], kind: str) -> tuple[dict[str, float], dict[str, float]]:
    """The rows, by table, and the CPU-seconds, by who uses them, of one run of a kind."""
    kinds = fleet["kinds"]
    if kind != "follow_filestore":
        return kinds[kind]["rows"], kinds[kind]["cpu"]
    short, long = kinds[kind], kinds["follow_filestore, 90 s longer"]
    times = (870 - 30) / 90  # as long as it watches by itself

    def grown(what: str) -> dict[str, float]:
        names = {*short[what], *long[what]}
        return {
            name: short[what].get(name, 0)
            + times * max(0.0, long[what].get(name, 0) - short[what].get(name, 0))
            for name in names
        }

    return grown("rows"), grown("cpu")


def day(fleet: dict[str, Any]) -> dict[str, float]:
    """Runs, rows, history and cores of a day."""
    found = {"runs": 0.0, "rows": 0.0, "bytes a day": 0.0, "GB": 0.0}
    for kind, often in fleet["runs"].items():
        rows, cpu = per_run(fleet, kind)
        found["runs"] += often
        for table, many in rows.items():
            size = often * many * fleet["bytes"].get(table, 0)
            found["rows"] += often * many
            found["bytes a day"] += size
            found["GB"] += size * (EVENT_DAYS if table in EVENTS else OTHER_DAYS) / 1e9
        for who, seconds in cpu.items():
            found[who] = found.get(who, 0.0) + often * seconds
    return found


def _head(*names: str) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield "|---" * len(names) + "|"


def _days(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    yield from _head(
        "instances", "", "runs a day", "rows a day", "MB a day", "history, GB",
        "CPU-seconds a day: runs", "server", "database",
    )  # fmt: skip
    for count in after["fleet"]:
        for name, figures in (("before", before), ("after", after)):
            if count not in figures["fleet"]:
                continue
            seen = day(figures["fleet"][count])
            cpu = [f"{seen[who]:,.0f}" for who in WHO]
            yield (
                f"| {count} | {name} | {seen['runs']:,.0f} | {seen['rows']:,.0f} | "
                f"{seen['bytes a day'] / 1e6:,.0f} | {seen['GB']:.1f} | {' | '.join(cpu)} |"
            )
    if "30" in after["fleet"]:
        seen = day(after["fleet"]["30"])
        yield ""
        yield "Bars at 30: " + ", ".join(
            f"{name} {BARS[name]:,.0f}: {'met' if seen[name] <= BARS[name] else '**not met**'}"
            for name in ("runs", "rows", "GB")
        )


def _applies(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    yield from _head("instances", "", "new", "unchanged")
    for count in after["apply"]:
        for name, figures in (("before", before), ("after", after)):
            if seen := figures["apply"].get(count):
                twice = f"{seen['unchanged']}, {seen['unchanged again']}"
                yield f"| {count} | {name} | {seen['new']} | {twice} |"


def _runs(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    yield from _head(
        "instances", "", "kind", "runs a day", "rows", "CPU-seconds: runs", "server", "database",
        "seconds from the press to the end",
    )  # fmt: skip
    for count in after["fleet"]:
        for name, figures in (("before", before), ("after", after)):
            fleet = figures["fleet"].get(count)
            for kind, seen in (fleet or {"kinds": {}})["kinds"].items():
                cpu = [f"{seen['cpu'][who]:.1f}" for who in WHO]
                often = fleet["runs"].get(kind)
                yield (
                    f"| {count} | {name} | {kind} | {'' if often is None else f'{often:,.0f}'} | "
                    f"{sum(seen['rows'].values()):.0f} | {' | '.join(cpu)} | "
                    f"{', '.join(map(str, seen['seconds']))} |"
                )


def _late(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    yield from _head(
        "instances", "", "runs", "median", "p99", "worst", "cores: runs", "server", "database"
    )
    for name, figures in (("before", before), ("after", after)):
        for count, fleet in figures["fleet"].items():
            if seen := fleet.get("lateness"):
                cores = [f"{seen['cores'][who]:.2f}" for who in WHO]
                yield (
                    f"| {count} | {name} | {seen['runs']} | {seen['median']:.1f} | "
                    f"{seen['p99']:.1f} | {seen['worst']:.1f} | {' | '.join(cores)} |"
                )


def main() -> None:
    before, after = (json.loads(Path(each).read_text()) for each in sys.argv[1:3])
    parts = {"day": _days, "apply": _applies, "runs": _runs, "late": _late}
    made = {name: "\n".join(make(before, after)) for name, make in parts.items()}
    PAGE.write_text(TEXT.format(before=before["commit"], after=after["commit"], times=3, **made))


if __name__ == "__main__":
    main()
