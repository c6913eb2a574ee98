"""What a promotion asks of the recovery host, asked in one command.

The steps that need it find it at hand (blocks/at_hand.py), and judge it as if they had asked. What
somebody has written meanwhile is asked again, by this or by themselves.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from blocks.errors import RelevoError
from blocks.instance import OdooInstance, Place
from tasks.authority import fence
from tasks.build import build
from tasks.host import together
from tasks.host.together import Look, command
from tasks.odoo import service
from tasks.postgres.observe import looking
from tasks.receipts import receipt_files
from tasks.records import records
from tasks.records.kinds import Failover, Identity, Link
from tasks.run.step import step


@step("look at {instance.recovery}")
def take(instance: OdooInstance) -> None:
    """Ask for all that the guards of a promotion judge, before anything is written.

    The session of their questions to PostgreSQL is begun meanwhile.
    """
    recovery = instance.recovery
    with ThreadPoolExecutor(1) as beside:
        beside.submit(copy_context().run, _begin_session, recovery)
        together.look(recovery.host.shell(), *_before(instance))


@step("look at {instance.recovery} again")
def take_again(instance: OdooInstance) -> None:
    """Ask, now that the receipt is there, what may have changed until then."""
    looks = (command(*fence.since_asked(instance)), command(*looking(instance.recovery)))
    together.look(instance.recovery.host.shell(), *looks, *build.looks(instance))


def _begin_session(place: Place) -> None:
    """Have a session ready; what keeps us from it is said by the first step that needs one."""
    with contextlib.suppress(RelevoError):
        place.cluster.query(place.host.shell(), "SELECT")


def _before(instance: OdooInstance) -> Iterator[Look]:
    recovery = instance.recovery
    yield command(*looking(recovery))
    yield command(*receipt_files.asking(instance, recovery))
    for port in (recovery.odoo.http_port, recovery.odoo.longpolling_port):
        yield command(*service.listening_at(port))
    yield command(*records.NOW)
    yield from (records.look(instance, kind) for kind in (Failover, Identity, Link))
    yield from build.looks(instance)
