"""What a promotion asks of the recovery host, asked in one command.

The steps that need it find it at hand (blocks/at_hand.py), and judge it as if they had asked. What
somebody has written meanwhile is asked again, by this or by themselves.
"""

from collections.abc import Iterator

from blocks.instance import OdooInstance
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
    """Ask for all that the guards of a promotion judge, before anything is written."""
    together.look(instance.recovery.host.shell(), *_before(instance))


@step("look at {instance.recovery} again")
def take_again(instance: OdooInstance) -> None:
    """Ask, now that the receipt is there, what may have changed until then."""
    looks = (command(*fence.since_asked(instance)), command(*looking(instance.recovery)))
    together.look(instance.recovery.host.shell(), *looks, *build.looks(instance))


def _before(instance: OdooInstance) -> Iterator[Look]:
    recovery = instance.recovery
    yield command(*looking(recovery))
    yield command(*receipt_files.asking(instance, recovery))
    yield command(*service.listening_at(recovery.odoo.http_port))
    yield command(*records.NOW)
    yield from (records.look(instance, kind) for kind in (Failover, Identity, Link))
    yield from build.looks(instance)
