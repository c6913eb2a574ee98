"""Moments, spans and sizes as people read them: in their own zone, with an age beside."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from blocks.names import is_zone

MINUTE, HOUR, DAY = 60, 3600, 86400
# From how much on the next unit says it: 90 s are no "1 min".
SPANS = ((2 * DAY, DAY, "d"), (2 * HOUR, HOUR, "h"), (2 * MINUTE, MINUTE, "min"))
SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
Moment = datetime | float | str


@dataclass(frozen=True)
class Clock:
    """A zone, and the moment at which something is said there."""

    zone: str = "UTC"
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    dated: bool = False

    def at(self, moment: Moment) -> str:
        """Say when something is, in whole seconds.

        Today's date is left out, but for what is kept (`dated`).

        >>> here = Clock("America/Argentina/Buenos_Aires", moment_of("2026-11-25T15:18:46Z"))
        >>> here.at("2026-11-25T15:18:06.350+00:00"), here.at(1795619886.0)
        ('12:18:06 (UTC-3)', '12:18:06 (UTC-3)')
        >>> here.at("2026-11-25T02:00:00Z"), Clock(now=here.now).at("2026-11-25T02:00:00Z")
        ('2026-11-24 23:00:00 (UTC-3)', '02:00:00 (UTC)')
        >>> Clock("Not/Here", here.now).at("2026-11-25T02:00:00Z")
        '02:00:00 (UTC)'
        """
        there, today = moment_of(moment).astimezone(self._there), self.now.astimezone(self._there)
        is_today = there.date() == today.date() and not self.dated
        date = "" if is_today else f"{there:%Y-%m-%d} "
        return f"{date}{there:%H:%M:%S} ({_zone(there)})"

    @property
    def _there(self) -> tzinfo:
        """The zone; UTC on a machine that does not know it, as stands beside each time."""
        return ZoneInfo(self.zone) if self.zone != "UTC" and is_zone(self.zone) else UTC

    def age(self, moment: Moment) -> str:
        """Say how long ago something was.

        >>> Clock(now=moment_of("2026-11-25T15:18:46Z")).age("2026-11-25T15:18:06Z")
        '40 s ago'
        """
        seconds = (self.now - moment_of(moment)).total_seconds()
        return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"

    def when(self, moment: Moment) -> str:
        """Say when something was, and how long ago.

        >>> Clock(now=moment_of("2026-11-25T15:18:46Z")).when("2026-11-22T15:18:06Z")
        '2026-11-22 15:18:06 (UTC), 3 d ago'
        """
        return f"{self.at(moment)}, {self.age(moment)}"


def moment_of(moment: Moment) -> datetime:
    """Read a moment as records and clusters have it: ISO 8601, or seconds since 1970.

    >>> moment_of("2026-11-25T15:18:06Z") == moment_of(1795619886)
    True
    """
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if isinstance(moment, datetime):
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return datetime.fromtimestamp(moment, UTC)


def _zone(moment: datetime) -> str:
    """Name a zone as its people do, or by its distance where they have no word for it."""
    name = moment.tzname() or "UTC"
    if name[:1] not in "+-":
        return name
    minutes = name[3:].strip("0")
    return f"UTC{name[0]}{int(name[1:3])}" + (f":{name[3:]}" if minutes else "")


def span(seconds: float) -> str:
    """
    >>> span(39.6), span(119), span(1500), span(7200), span(200000)
    ('40 s', '119 s', '25 min', '2 h', '2 d')
    """
    for least, unit, name in SPANS:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """
    >>> size(12), size(118_300_000), size(5 << 20), size(1_500)
    ('12 bytes', '118 MB', '5.2 MB', '1.5 kB')
    """
    for unit, name in SIZES:
        if count >= unit:
            value = count / unit
            return f"{value:.0f} {name}" if value >= 10 else f"{value:.1f} {name}"  # noqa: PLR2004
    return f"{count:.0f} bytes"
