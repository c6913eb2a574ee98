"""The ports that the inventory leaves out: allotted on the recovery host, kept beside it.

The host's list decides, since other runners may fill the same host. What it has said is kept in
ports.yaml beside secrets.yaml, so that no command needs the host to know what it is about.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from blocks.errors import Refused, Unreachable
from blocks.instance import OdooInstance
from deployments.alone import alone
from deployments.secrets import Secrets, write
from tasks.recovery import allotted
from tasks.recovery.ports import FIELDS, first_free

if TYPE_CHECKING:
    from deployments.inventory import Document, RecoveryPorts

FILE = "ports.yaml"
HEAD = """\
# Written by `relevo apply`: the ports on the recovery server that the inventory leaves out.
# Keep it: they stay as they are. A port that the inventory names counts more than one here.
"""


def path(secrets: Secrets) -> Path:
    return secrets.path.with_name(FILE)


def read(where: Path) -> dict[str, dict[str, int]]:
    """The ports of each instance for which some were allotted."""
    try:
        found = yaml.safe_load(where.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Refused(
            f"{where} cannot be read: {error}", hint="repair it, or restore it from a backup"
        ) from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(map(_is_whole, found.values())):
        raise Refused(
            f"{where} must have {', '.join(FIELDS)} for each instance",
            hint="restore it from a backup; or move it away and run relevo apply, which asks the "
            "recovery server for the same ports",
        )
    return {str(name): dict(each) for name, each in found.items()}


def _is_whole(each: object) -> bool:
    return (
        isinstance(each, dict)
        and set(each) == set(FIELDS)
        and all(type(port) is int and 0 < port < 1 << 16 for port in each.values())
    )


def filled(document: "Document", secrets: Secrets) -> "Document":
    """Give each entry all its ports; where none are known yet, ones for no more than questions."""
    if not (open_ones := _open(document)):
        return document
    noted = read(path(secrets))
    whole = {
        name: {**noted[name], **given(document.instances[name].recovery)}
        for name in open_ones
        if name in noted
    }
    for name, each in whole.items():
        named = dict(_named(document, without=name))
        _require_unnamed(name, each, named, path(secrets))
    taken = {*dict(_named(document)), *(p for each in whole.values() for p in each.values())}
    for name in open_ones:
        if name not in whole:
            secrets.portless.add(name)
            whole[name] = first_free(taken, given(document.instances[name].recovery))
            taken |= {*whole[name].values()}
    entries = dict(document.instances)
    for name, each in whole.items():
        recovery = entries[name].recovery.model_copy(update=each)
        entries[name] = entries[name].model_copy(update={"recovery": recovery})
    return document.model_copy(update={"instances": entries})


def given(entry: "RecoveryPorts") -> dict[str, int]:
    """The ports that an entry names itself."""
    said = {field: getattr(entry, field) for field in FIELDS}
    return {field: port for field, port in said.items() if port is not None}


def _open(document: "Document") -> list[str]:
    return [n for n, e in document.instances.items() if len(given(e.recovery)) < len(FIELDS)]


def _named(document: "Document", *, without: str = "") -> Iterator[tuple[int, str]]:
    """The ports that the inventory names, but for one instance; and whose they are."""
    yield document.recovery.port, "recovery.port"
    for name, entry in document.instances.items():
        if name != without:
            yield from ((port, f"instances.{name}") for port in given(entry.recovery).values())


def _require_unnamed(name: str, mine: dict[str, int], named: dict[int, str], where: Path) -> None:
    if clash := [f"{port} ({named[port]})" for port in mine.values() if port in named]:
        raise Refused(
            f"the inventory gives ports away that {where} has for {name}: {', '.join(clash)}",
            hint="name other ports in the inventory; nothing was changed",
        )


def allot(document: "Document", secrets: Secrets) -> Iterator[str]:
    """Have the recovery host allot what is left out and not known, and keep it; say each."""
    noted = read(path(secrets))
    lacking = [name for name in _open(document) if name not in noted]
    if not lacking:
        return
    from tasks.discovery import server  # noqa: PLC0415  # which no failover waits for

    host = document.recovery.block("recovery")
    try:
        shell = host.shell()
        there = {each.name for each in server.clusters(shell)} - set(allotted.known(shell))
        busy = server.taken_ports(shell)
    except Unreachable as error:
        raise Unreachable(
            f"no ports can be allotted for {', '.join(lacking)}: {error.message}",
            hint=f"name them in the inventory, or run this again when {host.name} answers",
        ) from error
    ours = {port for each in noted.values() for port in each.values()}
    for name in lacking:
        if name in there:
            raise Refused(
                f"{host.name} has a cluster {name} already, and has not noted its ports",
                hint="name its ports in the inventory, as the server has them: "
                f"instances.{name}.recovery",
            )
        mine = given(document.instances[name].recovery)
        others = dict(_named(document, without=name))
        found = allotted.allot(shell, name, mine, {*busy, *ours, *others})
        _keep(path(secrets), name, found)
        said = ", ".join(f"{field} {port}" for field, port in found.items())
        yield f"allotted ports on {host.name} for {name}: {said}"


def known_there(instance: OdooInstance, secrets: Secrets) -> OdooInstance:
    """Give an instance the ports that the recovery host has noted for it; refuse where it has none.

    This is for a runner to which nobody has copied ports.yaml.
    """
    lost = f"{path(secrets)} has no ports for {instance.name}"
    hint = "copy ports.yaml here; or run relevo apply, if the instance is new"
    place = instance.recovery
    try:
        found = allotted.known(place.host.shell()).get(instance.name)
    except Unreachable as error:
        raise Unreachable(f"{lost}, and {error.message}", hint=hint) from error
    if not found or not _is_whole(found):
        raise Refused(lost, hint=hint)
    cluster = place.cluster.model_copy(update={"port": found["postgres_port"]})
    odoo = place.odoo.model_copy(update={field: found[field] for field in FIELDS[1:]})
    here = place.model_copy(update={"cluster": cluster, "odoo": odoo})
    return instance.model_copy(update={"recovery": here})


def pass_on(secrets: Secrets, name: str, heir: str) -> None:
    """Note the ports of an instance for another name as well."""
    if mine := read(path(secrets)).get(name):
        _keep(path(secrets), heir, mine)


def forget(secrets: Secrets, name: str) -> bool:
    """Take the ports of an instance out; tell whether there were any."""
    with alone(path(secrets).parent):
        known = read(path(secrets))
        if name not in known:
            return False
        _write(path(secrets), {who: each for who, each in known.items() if who != name})
    return True


def _keep(where: Path, name: str, found: dict[str, int]) -> None:
    with alone(where.parent):
        _write(where, {**read(where), name: found})


def _write(where: Path, known: dict[str, dict[str, int]]) -> None:
    try:
        write(where, HEAD + yaml.safe_dump(known), mode=0o644)
    except OSError as error:
        raise Refused(
            f"{where} cannot be written: {error.strerror}",
            hint=f"run this as a user who may write in {where.parent}, or as root",
        ) from None
