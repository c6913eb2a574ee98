"""Would a failover of this instance work now? Green, amber or red, and why: a pure judgement."""

from dataclasses import dataclass
from typing import Literal

Colour = Literal["green", "amber", "red"]
CERTIFICATE_DAYS = (21, 3)
FREE_SHARE = (0.2, 0.1)
DRILL_DAYS = 92
VERIFIED_DAYS = 31
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """When a figure is an alarm."""

    lag_bytes: int
    lag_seconds: float
    sync_seconds: float


@dataclass(frozen=True)
class Measured:
    """One instance, at one moment; None is what could not be measured."""

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


def alarms(seen: Measured, limits: Limits) -> dict[str, str]:
    """What somebody has to be woken for: the names of events, each with a sentence.

    While a procedure is under way figures mean nothing, and while the recovery host serves there
    is nothing to lag behind. An origin that has handed over was never away: that its host answers
    is no news.
    """
    if seen.busy:
        return {}
    if seen.served == "recovery":
        back = f"{seen.instance}: the origin answers again while the recovery host serves"
        return {"origin-returned": back} if seen.origin_answers and not seen.handed_over else {}
    found = {}
    if seen.slot == "lost":
        found["slot-lost"] = f"{seen.instance}: the replication slot is lost; run replicate"
    if seen.synchronous is False:
        found["not-synchronous"] = f"{seen.instance}: commits do not wait for the recovery host"
    bytes_behind, seconds = seen.lag_bytes or 0, seen.lag_seconds or 0.0
    if bytes_behind > limits.lag_bytes or (bytes_behind and seconds > limits.lag_seconds):
        found["lag"] = f"{seen.instance}: {bytes_behind} bytes and {seconds:.0f} s behind"
    return found


def verdict(seen: Measured, limits: Limits) -> tuple[Colour, list[str]]:
    """Judge one instance; the worst of its findings gives the colour.

    >>> verdict(Measured("vps_1", 0, wrong=("no slot",)), Limits(1, 1, 1))[0]
    'red'
    >>> verdict(Measured("vps_1", 0, busy="failback"), Limits(1, 1, 1))
    ('amber', ['failback is under way'])
    """
    if seen.busy:
        return "amber", [f"{seen.busy} is under way"]
    red = [*seen.wrong, *alarms(seen, limits).values()]
    amber = [*seen.remarks, *seen.paused]
    for name, value, (low, least) in (
        ("certificate days", seen.certificate_days, CERTIFICATE_DAYS),
        ("free share of the disk", seen.free_share, FREE_SHARE),
    ):
        if value is not None and value < least:
            red.append(f"{name}: {value:g}")
        elif value is not None and value < low:
            amber.append(f"{name}: {value:g}")
    synced = seen.age(seen.synced_at)
    if seen.served == "origin" and (synced is None or synced > limits.sync_seconds):
        red.append("files not copied" + (f" for {synced / 60:.0f} min" if synced else " yet"))
    for name, moment, days, button in (
        ("drill", seen.drilled_at, DRILL_DAYS, "drill"),
        ("try of the service", seen.verified_at, VERIFIED_DAYS, "build-service"),
    ):
        age = seen.age(moment)
        if age is None:
            amber.append(f"no {name} yet")
        elif age > days * 86400:
            amber.append(f"last {name} {age / 86400:.0f} days ago: run {button}")
    if red:
        return "red", [*red, *amber]
    return ("amber" if amber else "green"), amber
