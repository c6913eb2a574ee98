"""Which ports of the recovery host an instance has: one file there, for all that have any.

Several runners may ask at the same moment, and none of them knows the others' inventories: so the
host keeps the list, and what one has noted, the next one reads before it notes its own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.shell import Shell
from tasks.host import files
from tasks.host.files import STATE
from tasks.records.schema import Record, parse
from tasks.recovery import ports
from tasks.run.step import step


@dataclass(frozen=True, kw_only=True)
class Ports(Record):
    """Which instance has which ports of the recovery host, there; one file for all instances."""

    name = "ports"
    decides = True
    instances: dict[str, dict[str, int]] = field(default_factory=dict)


LEDGER = STATE / f"{Ports.name}.json"
MODE = "600"


def known(shell: Shell) -> dict[str, dict[str, int]]:
    """The ports of each instance that has any on this host."""
    return _read(shell.host, files.read(shell, LEDGER)).instances


def _read(host: str, text: str) -> Ports:
    return parse(Ports, text, f"the record {LEDGER} on {host}") if text else Ports()


def allot(
    shell: Shell, name: str, given: Mapping[str, int], taken: Collection[int]
) -> dict[str, int]:
    """Give an instance ports, and note them: those that it has stay, whatever else comes or goes.

    `given` are those that the inventory names; `taken` those that somebody else has or listens on.
    """
    chosen: dict[str, int] = {}

    def noted(text: str) -> str:
        ledger = _read(shell.host, text)
        others = _others(ledger, name)
        _require_free(shell.host, name, given, others)
        mine = {**ledger.instances.get(name, {}), **given}
        try:
            chosen.update(ports.first_free({*taken, *others}, mine))
        except ports.NoPorts:
            raise Refused(
                f"no ports are free together on {shell.host} for {name}",
                hint=f"name them in the inventory: instances.{name}.recovery",
            ) from None
        return _text(ledger, name, chosen)

    files.edit(shell, LEDGER, noted, owner="root:root", mode=MODE)
    return chosen


@step("note the ports of {instance.name} on {instance.recovery}")
def keep(instance: OdooInstance) -> None:
    """Note the ports that an instance is set up with; refuse what another one has."""
    place = instance.recovery
    mine = of(instance)

    def noted(text: str) -> str:
        ledger = _read(str(place), text)
        _require_free(str(place), instance.name, mine, _others(ledger, instance.name))
        return _text(ledger, instance.name, mine)

    files.edit(place.host.shell(), LEDGER, noted, owner="root:root", mode=MODE)


def require_free(instance: OdooInstance, *, but: str = "") -> str:
    """Refuse ports of the recovery host that it has noted for another instance.

    `but` is one that may have them: an instance that is renamed has two names for a while.
    """
    place, mine = instance.recovery, of(instance)
    noted = known(place.host.shell())
    ledger = Ports(instances={who: each for who, each in noted.items() if who != but})
    _require_free(str(place), instance.name, mine, _others(ledger, instance.name))
    return f"{', '.join(map(str, mine.values()))} are no other instance's"


def of(instance: OdooInstance) -> dict[str, int]:
    """The ports of an instance on the recovery host, by their fields in the inventory."""
    place = instance.recovery
    numbers = (place.cluster.port, place.odoo.http_port, place.odoo.longpolling_port)
    return dict(zip(ports.FIELDS, numbers, strict=True))


@step("keep the ports of {instance.name} on {instance.recovery} for {heir}")
def pass_on(instance: OdooInstance, heir: str) -> None:
    """Note the ports of an instance for its new name alone, in one go: nobody else gets them."""
    place = instance.recovery

    def noted(text: str) -> str:
        ledger = _read(str(place), text)
        left = {who: each for who, each in ledger.instances.items() if who != instance.name}
        return _text(replace(ledger, instances=left), heir, of(instance))

    files.edit(place.host.shell(), LEDGER, noted, owner="root:root", mode=MODE)


def free(instance: OdooInstance) -> None:
    """Let others have the ports of an instance that is taken out; the last one takes the file."""
    shell = instance.recovery.host.shell()
    if not files.exists(shell, LEDGER):
        return
    left: dict[str, dict[str, int]] = {}

    def without(text: str) -> str:
        ledger = _read(shell.host, text)
        left.clear()
        left.update({who: each for who, each in ledger.instances.items() if who != instance.name})
        return replace(ledger, instances=left).as_text()

    files.edit(shell, LEDGER, without, owner="root:root", mode=MODE)
    if not left:
        files.remove(shell, LEDGER)


def _others(ledger: Ports, name: str) -> dict[int, str]:
    return {p: who for who, each in ledger.instances.items() if who != name for p in each.values()}


def _require_free(host: str, name: str, mine: Mapping[str, int], others: Mapping[int, str]) -> None:
    if clash := [f"{field} {p} ({others[p]})" for field, p in mine.items() if p in others]:
        raise Refused(
            f"{host} has noted ports of {name} for other instances: {', '.join(clash)}",
            hint=f"name others in the inventory (instances.{name}.recovery), or leave them out; "
            "then run relevo apply",
        )


def _text(ledger: Ports, name: str, mine: Mapping[str, int]) -> str:
    return replace(ledger, instances={**ledger.instances, name: dict(mine)}).as_text()
