"""What Relevo does with an instance on a quiet day, whatever comes of it."""

from collections.abc import Callable

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from flows.build_service import build_service
from flows.check import check
from flows.failover import failover
from flows.reconcile_filestore import reconcile_filestore
from flows.setup_primary import setup_primary

Flow = Callable[[OdooInstance], object]


def plan(block: OdooInstance) -> object:
    """Show what a failover would do, and change nothing."""
    return failover(block, decide="plan only")


def live(block: OdooInstance, *flows: Flow) -> list[str]:
    """Run what is run by schedule or by hand on a good day; say what was refused or failed.

    A database that is a trap may well stop a procedure of its own instance, by a sentence.
    """
    said = []
    for flow in flows:
        try:
            flow(block)
        except RelevoError as error:
            said.append(str(error))
    return said


__all__ = ["build_service", "check", "live", "plan", "reconcile_filestore", "setup_primary"]
