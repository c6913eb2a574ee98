"""Would a failover of this instance work now? Green, amber or red, and why: a pure judgement."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from blocks.reserved import is_reserved, sentence
from tasks.run.moments import size, span

Colour = Literal["green", "amber", "red"]
FREE_SHARE = (0.2, 0.1)
DRILL_DAYS = 92
VERIFIED_DAYS = 31
# Told when it was seen at two boards in a row: a reboot of a minute is no news.
PATIENT = {"not-served"}


@dataclass(frozen=True)
class Limits:
    """When a figure is an alarm."""

    lag_bytes: int
    lag_seconds: float
    sync_seconds: float


@dataclass(frozen=True)
class Measured:
    """One instance, at one moment; None is what could not be measured.

    Without `roles` nothing is known but what is `wrong`: the recovery host could not be asked.
    `facts` is what each probe said, `two_writers` and `nobody_works` a sentence where that is so.
    """

    instance: str
    at: float
    served: str = ""
    roles: str = ""
    busy: str = ""
    streaming: bool = False
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    slot: str = ""
    kept_bytes: int | None = None
    synced_at: float | None = None
    verified_at: float | None = None
    drilled_at: float | None = None
    certificate_days: int | None = None
    free_share: float | None = None
    predicted_seconds: float | None = None
    origin_answers: bool = False
    handed_over: bool = False
    two_writers: str = ""
    nobody_works: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    lags: tuple[int, ...] = ()
    left_word: bool = False
    synchronous: bool | None = None
    idle: bool = False

    @property
    def paused(self) -> list[str]:
        """What to say of schedules that are off although there is something to copy.

        >>> Measured("vps_1", 0, served="origin", idle=True).paused
        ['schedules of its copies are off: switch them on, or run again what was cut off']
        """
        if not self.idle or self.left_word or self.served != "origin":
            return []
        return ["schedules of its copies are off: switch them on, or run again what was cut off"]

    def age(self, moment: float | None) -> float | None:
        return None if moment is None else max(0.0, self.at - moment)


def alarms(measured: Measured, limits: Limits) -> dict[str, str]:
    """What somebody has to be woken for: the names of events, each with a sentence.

    While a procedure is under way figures mean nothing, and while the recovery host serves there
    is nothing to lag behind. An origin that has handed over was never away: that its host answers
    is no news.
    """
    name, found = measured.instance, dict[str, str]()
    if measured.busy:
        return found
    if measured.two_writers:
        return {"two-writers": f"{name}: {measured.two_writers}"}
    if measured.nobody_works:
        found["not-served"] = (
            f"{name}: nobody can work, as far as is known: {measured.nobody_works}"
        )
    if measured.served == "recovery":
        if measured.origin_answers and not measured.handed_over:
            found["origin-returned"] = (
                f"{name}: the origin answers again while the recovery host serves"
            )
        return found
    if measured.slot == "lost":
        found["slot-lost"] = f"{name}: the replication slot is lost; run replicate"
    if measured.synchronous is False:
        found["not-synchronous"] = f"{name}: commits do not wait for the recovery host"
    bytes_behind, seconds = measured.lag_bytes or 0, measured.lag_seconds or 0.0
    if bytes_behind > limits.lag_bytes or (bytes_behind and seconds > limits.lag_seconds):
        found["lag"] = f"{name}: {size(bytes_behind)} and {span(seconds)} behind"
    return found


@dataclass(frozen=True)
class Told:
    """Which alarms stand: those that were told, and those that were seen at the last board."""

    alarms: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()

    def after(self, now: Mapping[str, str]) -> tuple["Told", list[str]]:
        """Take in what is seen now; give what is to be kept, and which alarms are to be told.

        >>> nobody = {"not-served": "nobody can work"}
        >>> once, told = Told().after(nobody)
        >>> told, once.after(nobody)[1], once.after({})[0].after(nobody)[1]
        ([], ['not-served'], [])
        >>> Told(alarms=("lag",)).after({"lag": "more", "slot-lost": "lost"})[1]
        ['slot-lost']
        """
        due = sorted(name for name in now if name not in PATIENT or name in self.seen)
        return Told(tuple(due), tuple(sorted(now))), [n for n in due if n not in self.alarms]


def _long_ago(measured: Measured) -> Iterator[str]:
    """Say what nobody has tried for long; of what could not be asked nothing is known."""
    for name, moment, days, button in (
        ("drill or move", measured.drilled_at, DRILL_DAYS, "drill"),
        ("try of the service", measured.verified_at, VERIFIED_DAYS, "build-service"),
    ):
        age = measured.age(moment)
        if age is None and measured.roles:
            yield f"no {name} yet"
        elif age is not None and age > days * 86400:
            yield f"the last {name} was {span(age)} ago: run {button}"


def _named(name: str) -> Iterator[str]:
    """Say of a name that no new instance gets how to be rid of it."""
    if is_reserved(name):
        yield f"{sentence(name)}: run relevo rename {name} NEW"


def verdict(measured: Measured, limits: Limits) -> tuple[Colour, list[str]]:
    """Judge one instance; the worst of its findings gives the colour.

    >>> verdict(Measured("vps_1", 0, wrong=("no slot",)), Limits(1, 1, 1))[0]
    'red'
    >>> verdict(Measured("vps_1", 0, busy="failback"), Limits(1, 1, 1))
    ('amber', ['failback is under way'])
    """
    if measured.busy:
        return "amber", [f"{measured.busy} is under way"]
    reasons = alarms(measured, limits).values()
    red = [
        *measured.wrong,
        *(each for each in reasons if not any(w in each for w in measured.wrong)),
    ]
    amber = [*measured.remarks, *measured.paused]
    for name, value, (low, least) in (("free share of the disk", measured.free_share, FREE_SHARE),):
        if value is not None and value < least:
            red.append(f"{name}: {value:.0%}")
        elif value is not None and value < low:
            amber.append(f"{name}: {value:.0%}")
    synced = measured.age(measured.synced_at)
    if measured.served == "origin" and (synced is None or synced > limits.sync_seconds):
        red.append(f"files not copied for {span(synced)}" if synced else "files not copied yet")
    amber += [*_long_ago(measured), *_named(measured.instance)]
    if red:
        return "red", [*red, *amber]
    return ("amber" if amber else "green"), amber
