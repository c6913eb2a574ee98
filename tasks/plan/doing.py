"""What a person does before a yes, and what Relevo then does: said to whoever has to say it.

The pages by hand give orders to whoever works without us; here nobody is given one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SEE_IT_DOWN = (
    "confirm from another source (the provider's panel, a telephone) that {origin} is down",
    "power {origin} off, so that it stays down",
    "decide whether the loss stated above is acceptable",
)
WAKE = "start PostgreSQL on {recovery} again: customers were moved to it, and it is down"
STOP_ORIGIN = (
    "stop Odoo on {origin}, and fetch its last files",
    "stop PostgreSQL on {origin} cleanly, and go on only if {recovery} has received all of it",
)
PROMOTE = (
    "write the receipt that gives {recovery} the write right",
    "promote the cluster on {recovery}",
)
SERVE = ("start Odoo on {recovery}, and wait until each database answers",)
SHOW = ("show the site on nginx of {recovery}",)
POINT = "point {domains} at {shown}"
LEAVE = "say in its report that {domains} are to be pointed at {shown}: that is left to you"
KEEP_DOWN = "keep {origin} from serving, should it come back, until the failback"
HOLD = "keep Odoo and PostgreSQL on {origin} from serving"
REJOIN = {
    "follow": ("let {origin} follow {recovery}",),
    "rewind": (
        "keep a copy of what only {origin} has",
        "run pg_rewind on {origin}, once, and let it follow {recovery}",
    ),
    "reclone": (
        "clone {recovery} to {origin}, beside the old data directory, which is kept",
        "let the clone follow {recovery}",
    ),
}
HAND_OVER = (
    "copy the files back while customers work",
    "stop Odoo on {recovery}, and copy the last files",
    "stop PostgreSQL on {recovery} cleanly, and go on only if {origin} has received all of it",
    "write the receipt that gives {origin} the write right",
    "promote {origin}, start Odoo there, and wait until each database answers",
)
AGAIN = "let {recovery} follow {origin} again, and switch the schedules on"
BRING_ALONG = "copy the sources to {recovery} and build Odoo there again, while customers work"


@dataclass(frozen=True)
class Doing:
    """What is before a yes, and what is behind it, in the order in which it is done."""

    before: tuple[str, ...]
    then: tuple[str, ...]


def doing(procedure: str, kind: str, names: Mapping[str, str], *, wakes: bool = False) -> Doing:
    """Say what a procedure takes, by the way that it would go.

    >>> names = {"origin": "uno", "recovery": "due", "domains": "", "instance": "vps_1"}
    >>> said = doing("failover", "forced", names)
    >>> print(said.before[1])
    power uno off, so that it stays down
    >>> print(said.then[1])
    promote the cluster on due
    """
    before = SEE_IT_DOWN if kind == "forced" else ()
    then = ((WAKE,) if wakes else ()) + _then(procedure, kind, names)
    return Doing(_filled(before, names), _filled(then, names))


def _filled(sentences: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(each.format_map({"shown": "", **names}) for each in sentences)


def _then(procedure: str, kind: str, names: Mapping[str, str]) -> tuple[str, ...]:
    out = (STOP_ORIGIN if kind == "planned" else ()) + PROMOTE
    if procedure == "promote":
        return (*out, "start no Odoo: customers cannot work until somebody runs failover")
    if procedure == "failover":
        return (*out, *SERVE, *_shown(names), KEEP_DOWN)
    if procedure == "switchover":
        return (BRING_ALONG, *out, *SERVE, *_shown(names), "let {origin} follow {recovery}")
    back = (*HAND_OVER, *_shown(names, home=True), AGAIN)
    if procedure == "switchover home":
        return back
    rejoined = (HOLD, *REJOIN[kind])
    if procedure == "pg_rewind":
        return (*rejoined, "hand nothing over: customers stay on {recovery}")
    return (*rejoined, *back)


def _shown(names: Mapping[str, str], *, home: bool = False) -> tuple[str, ...]:
    """Say what becomes of the site and of the names; an instance without domains has neither."""
    if not names["domains"]:
        return ()
    place = "origin" if home else "recovery"
    point = (POINT if names.get("dns") else LEAVE).replace("{shown}", f"{{{place}_shown}}")
    if home:
        return (point, "take the site off nginx on {recovery}, ready for the next failover")
    return (*SHOW, point)
