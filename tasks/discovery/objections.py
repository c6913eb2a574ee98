"""What `replicate` would refuse of an entry that was found, asked by the checks it begins with.

They only ask. What needs the recovery host is asked where that is known.
"""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from blocks.errors import Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.shell import Shell
from tasks.odoo import odoo_settings
from tasks.postgres import cluster_settings
from tasks.readiness import ahead, preflight
from tasks.run import moments, terminal
from tasks.standby import clone, replica

ASK_SECONDS = 60
# Argument: a folder that may not be there yet.
FREE = """
path=$1
while [ ! -e "$path" ]; do path=$(dirname "$path"); done
df --output=avail -B1 "$path"
"""


def at_both(instance: OdooInstance) -> Iterator[str]:
    """Say what `replicate` would refuse."""
    if said := list(_refusals(instance, preflight.require_hosts)):
        yield from said  # what is asked next needs what is lacking
        return
    yield from _refusals(instance, ahead.require)
    yield from _refusals(instance, _room)


def at_origin(instance: OdooInstance) -> Iterator[str]:
    """Say what of it can be told without a recovery host."""
    for ask in (
        odoo_settings.require,
        lambda each: replica.require_primary(each.origin),
        lambda each: cluster_settings.require_included(each.origin),
        lambda each: cluster_settings.require_ssl(each.origin),
        lambda each: clone.require_no_tablespaces(each.origin),
    ):
        yield from _refusals(instance, ask)


def _refusals(
    instance: OdooInstance, ask: Callable[[OdooInstance], object]
) -> Iterator[str]:  # fmt: skip
    try:
        with terminal.without_server():
            ask(instance)
    except Unreachable:
        raise
    except RelevoError as error:
        yield f"replicate would refuse: {error.message}"


def _room(instance: OdooInstance) -> None:
    """Require room for the files on the recovery host, beside what is there."""
    origin, recovery = instance.origin, instance.recovery
    argv = ("du", "-sB1", str(origin.odoo.data_dir))
    done = origin.host.shell().run(
        argv, user=origin.odoo.user, check=False, timeout_seconds=ASK_SECONDS
    )
    need = int((done.stdout.split() or ["0"])[0])
    free = _free(recovery.host.shell(), instance.directory)
    if need * 1.1 > free:
        raise Refused(
            f"{recovery} has {moments.size(free)} free in {instance.directory.parent}, and the "
            f"files of {origin} need {moments.size(need)}"
        )


def _free(shell: Shell, folder: PurePosixPath) -> int:
    return int(shell.run(("sh", "-c", FREE, "free", str(folder))).stdout.split()[1])
