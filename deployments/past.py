"""relevo look and relevo bring-back: an instance as it was, to be seen or to be taken from."""

import argparse
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments import break_glass, chosen
from deployments.secrets import Secrets
from deployments.settings import Settings


def look(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Open an instance as it was, for a while."""
    instance = chosen.one(given.instance, instances, secrets)
    at = moment(given.at, instance.timezone)
    values = {"at": at, "minutes": given.minutes}
    break_glass.run(instance, "look", settings.logs(), values)
    return 0


def bring_back(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Write a database as it was as a backup of Odoo's, or records of it as CSV."""
    instance = chosen.one(given.instance, instances, secrets)
    at = moment(given.at, instance.timezone)
    values = {"at": at, "database": given.database, "to": given.to.absolute()}
    which = {"domain": given.domain, "ids": given.ids}
    if given.model:
        values |= {"model": given.model, **which}
        break_glass.run(instance, "bring_back_records", settings.logs(), values)
        return 0
    if any(which.values()):
        raise Refused(
            "a domain and ids choose records of a model", hint="name the model, as res.partner"
        )
    break_glass.run(instance, "bring_back", settings.logs(), values)
    return 0


def moment(text: str, zone: str) -> datetime:
    """Read a moment as a person writes it: in the zone of the inventory, unless it names one.

    >>> moment("2026-11-24 17:59:30", "America/Argentina/Buenos_Aires").isoformat()
    '2026-11-24T20:59:30+00:00'
    >>> moment("2026-11-24T17:59:30Z", "America/Argentina/Buenos_Aires").hour
    17
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Refused(f"{text!r} is no moment", hint='write it as "2026-11-24 17:59:30"') from None
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
