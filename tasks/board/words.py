"""The readiness of all instances for programs: Prometheus' text, a line for Nagios."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from blocks.plain import plain
from tasks.board.alarms import Colour, Measured

DAY_SECONDS = 86400
BARS = "▁▂▃▄▅▆▇█"
NAGIOS: dict[Colour, tuple[int, str]] = {
    "green": (0, "OK"),
    "amber": (1, "WARNING"),
    "red": (2, "CRITICAL"),
}
Judged = tuple[Measured, Colour, list[str]]


def sparkline(values: Sequence[int]) -> str:
    """
    >>> sparkline([0, 1, 8])
    '▁▁█'
    >>> sparkline([])
    ''
    """
    top = max(values, default=0)
    return "".join(BARS[(value * (len(BARS) - 1)) // top if top else 0] for value in values)


def nagios(rows: Sequence[Judged]) -> tuple[int, str]:
    """The exit code and the first line that a monitoring plugin gives.

    >>> nagios([(Measured("vps_1", 0), "red", ["no slot"])])
    (2, 'CRITICAL - vps_1: no slot')
    >>> nagios([])
    (3, 'UNKNOWN - there are no instances')
    """
    if not rows:
        return 3, "UNKNOWN - there are no instances"
    worst = max((colour for _, colour, _ in rows), key=lambda colour: NAGIOS[colour][0])
    code, word = NAGIOS[worst]
    reasons = [
        f"{measured.instance}: {'; '.join(why)}" for measured, c, why in rows if c == worst and why
    ]
    # What stands behind a bar, Nagios takes for figures.
    line = plain(" / ".join(reasons).replace("\n", " ").replace("|", "/"))
    return code, f"{word} - {line or f'{len(rows)} instances are ready'}"


def label(value: str) -> str:
    r"""Let a text be the value of a label, as Prometheus reads it.

    >>> print(label('a"b\\c'))
    a\"b\\c
    """
    return plain(value).replace("\\", "\\\\").replace('"', '\\"')


@dataclass(frozen=True)
class Gauge:
    """One figure of each instance, in Prometheus' base units; none where it was not measured."""

    name: str
    help: str
    value: Callable[[Judged], float | None]


# With the names that their figures had from the beginning.
GAUGES = (
    Gauge("ready", "0 is red, 1 is amber, 2 is green.", lambda row: 2 - NAGIOS[row[1]][0]),
    Gauge("measured_timestamp_seconds", "When it was measured.", lambda row: row[0].at),
    Gauge(
        "streaming", "1 while the standby streams.",
        lambda row: row[0].streaming if row[0].roles else None,
    ),
    Gauge("synchronous", "1 while commits wait.", lambda row: row[0].synchronous),
    Gauge("lag_bytes", "WAL that the standby lacks.", lambda row: row[0].lag_bytes),
    Gauge("lag_seconds", "Time that the standby is behind.", lambda row: row[0].lag_seconds),
    Gauge("slot_kept_bytes", "WAL that the slot keeps.", lambda row: row[0].kept_bytes),
    Gauge(
        "synced_timestamp_seconds", "When the files were last copied.",
        lambda row: row[0].synced_at,
    ),
    Gauge(
        "certificate_remaining_seconds", "How long the certificate is valid, in whole days.",
        lambda row: _seconds(row[0].certificate_days),
    ),
    Gauge(
        "disk_free_ratio", "Free share of the recovery disk, from 0 to 1.",
        lambda row: row[0].free_share,
    ),
    Gauge(
        "predicted_rto_seconds", "How long a failover is expected to take.",
        lambda row: row[0].predicted_seconds,
    ),
)  # fmt: skip


def _seconds(days: int | None) -> int | None:
    return None if days is None else days * DAY_SECONDS


def metrics(rows: Sequence[Judged]) -> str:
    """What node_exporter's textfile collector reads.

    >>> measured = Measured("vps_1", 9.0, lag_bytes=5)
    >>> print(metrics([(measured, "green", [])]), end="")
    # HELP relevo_ready 0 is red, 1 is amber, 2 is green.
    # TYPE relevo_ready gauge
    relevo_ready{instance="vps_1"} 2
    # HELP relevo_measured_timestamp_seconds When it was measured.
    # TYPE relevo_measured_timestamp_seconds gauge
    relevo_measured_timestamp_seconds{instance="vps_1"} 9.0
    # HELP relevo_lag_bytes WAL that the standby lacks.
    # TYPE relevo_lag_bytes gauge
    relevo_lag_bytes{instance="vps_1"} 5
    """
    return "".join(f"{line}\n" for gauge in GAUGES for line in _lines(gauge, rows))


def _lines(gauge: Gauge, rows: Sequence[Judged]) -> Iterator[str]:
    values = [(row[0].instance, gauge.value(row)) for row in rows]
    known = [(instance, value) for instance, value in values if value is not None]
    if known:
        yield f"# HELP relevo_{gauge.name} {gauge.help}"
        yield f"# TYPE relevo_{gauge.name} gauge"
    for instance, value in known:
        figure = int(value) if isinstance(value, bool) else value
        yield f'relevo_{gauge.name}{{instance="{label(instance)}"}} {figure}'
