"""The board as a page: how many have which colour, what is to be done, and what is ready."""

from collections.abc import Iterator, Mapping, Sequence

from blocks.plain import markdown
from tasks.board.alarms import DRILL_DAYS, VERIFIED_DAYS, Measured
from tasks.board.words import NAGIOS, Judged, sparkline
from tasks.run.moments import DAY, Clock, size, span

# A colour, and a word for whoever does not see it.
SHOWN = {"green": "🟢 green", "amber": "🟠 *amber*", "red": "🔴 **RED**"}
TODO = ("", "instance", "served from", "why, and what to press")
READY = ("instance", "served from", "lag", "files copied", "last drill or move")
TIME_MACHINE, OFF = "time machine", {"off", "not measured"}
PAST = ("instance", "what it keeps, at which cost, and when that was last tried")
# The pages of an instance's buttons, by the name of their flow; "" is where all of them are.
Buttons = Mapping[str, Mapping[str, str]]


def page(rows: Sequence[Judged], *, links: Buttons, clock: Clock) -> str:
    """Show what needs somebody first, the worst on top, and what is ready below."""
    ranked = sorted(rows, key=lambda row: (-NAGIOS[row[1]][0], row[0].instance))
    todo = [row for row in ranked if row[1] != "green"]
    ready = [row for row in ranked if row[1] == "green"]
    lines = [f"# {headline(rows)}", "", f"Measured at {clock.at(clock.now)}."]
    if todo:
        lines += ["", *_table(TODO, (_todo(row, links) for row in todo))]
    if ready:
        lines += ["", "## Ready", "", *_table(READY, (_ready(row[0], links) for row in ready))]
    if kept := [row[0] for row in ranked if row[0].facts.get(TIME_MACHINE, "off") not in OFF]:
        shown = ((_name(each, links), _kept(each)) for each in kept)
        lines += ["", "## Time machine", "", *_table(PAST, shown)]
    return "\n".join(lines)


def headline(rows: Sequence[Judged]) -> str:
    """
    >>> headline([(Measured("vps_1", 0), "red", ["no slot"]), (Measured("vps_2", 0), "green", [])])
    '1 red, 0 amber, 1 green'
    >>> headline([])
    'There are no instances'
    """
    if not rows:
        return "There are no instances"
    colours = [colour for _, colour, _ in rows]
    return ", ".join(f"{colours.count(each)} {each}" for each in ("red", "amber", "green"))


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _todo(row: Judged, links: Buttons) -> Sequence[str]:
    measured, colour, why = row
    said = markdown("; ".join(why).replace("\n", " "))
    buttons = [_button(measured.instance, flow, links) for flow in presses(measured)]
    press = f"**Press** {' or '.join(_two(buttons))}" if buttons else ""
    text = ". ".join(each for each in (said, press) if each)
    return (SHOWN[colour], _name(measured, links), _served(measured), text)


def _two(buttons: list[str]) -> list[str]:
    """Name several in two parts: all but the last, and the last.

    >>> _two(["a", "b", "c"]), _two(["c"])
    (['a, b', 'c'], ['c'])
    """
    *first, last = buttons
    return [", ".join(first), last] if first else [last]


def presses(measured: Measured) -> tuple[str, ...]:
    """Name the buttons that help, the likeliest first.

    >>> presses(Measured("vps_1", 0, served="recovery"))
    ('failback', 'check')
    >>> presses(Measured("vps_1", 0, served="recovery", nobody_works="odoo_vps_1 is not running"))
    ('failover', 'check')
    >>> presses(Measured("vps_1", 0, served="recovery", busy="failback"))
    ()
    """
    if measured.busy:
        return ()
    if measured.two_writers:
        return ("check",)
    if measured.nobody_works:
        return ("failover", "check")
    if measured.served == "recovery":
        return ("failback", "check")
    found = [
        flow
        for flow, is_due in (
            ("replicate", measured.slot == "lost" or bool(measured.paused)),
            ("drill", bool(measured.roles) and _is_old(measured, measured.drilled_at, DRILL_DAYS)),
            (
                "build-service",
                bool(measured.roles) and _is_old(measured, measured.verified_at, VERIFIED_DAYS),
            ),
        )
        if is_due
    ]
    return (*found, "check")


def _is_old(measured: Measured, moment: float | None, days: int) -> bool:
    age = measured.age(moment)
    return age is None or age > days * DAY


def _button(instance: str, flow: str, links: Buttons) -> str:
    url = links.get(instance, {}).get(flow)
    return f"[{flow}]({url})" if url else f"{flow}/{markdown(instance)}"


def _name(measured: Measured, links: Buttons) -> str:
    url = links.get(measured.instance, {}).get("")
    return f"[{measured.instance}]({url})" if url else measured.instance


def _served(measured: Measured) -> str:
    return "BOTH" if measured.two_writers else measured.served or measured.roles or "?"


def _ready(measured: Measured, links: Buttons) -> Sequence[str]:
    behind = "?" if measured.lag_bytes is None else size(measured.lag_bytes)
    waits = ", commits wait" if measured.synchronous else ""
    return (
        _name(measured, links), _served(measured),
        f"{behind} {sparkline(measured.lags[-30:])}{waits}",
        _ago(measured, measured.synced_at), _ago(measured, measured.drilled_at),
    )  # fmt: skip


def _kept(measured: Measured) -> str:
    return markdown(measured.facts[TIME_MACHINE].replace("\n", " "))


def _ago(measured: Measured, moment: float | None) -> str:
    age = measured.age(moment)
    return "never" if age is None else f"{span(age)} ago"
