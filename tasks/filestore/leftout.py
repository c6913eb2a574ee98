"""What a copy of an origin's folders leaves out for good, kept for check, plan and report."""

from collections.abc import Sequence

from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.records import records
from tasks.records.kinds import LeftOut, LeftOutFilestore, LeftOutSources
from tasks.run.step import log

NAMED = 5
KINDS = {"sources": "sources", "filestore": "data_dir"}
RECORDS: dict[str, type[LeftOut]] = {"sources": LeftOutSources, "filestore": LeftOutFilestore}


def note(instance: OdooInstance, kind: str, special: Sequence[str]) -> None:
    """Keep the names of what is neither file nor folder nor link, and cannot be copied."""
    recovery, left_out = instance.recovery, RECORDS[kind]
    if special:
        log().warning("devices in the %s of %s are not copied", KINDS[kind], instance.name)
        named = tuple(plain(each) for each in special[:NAMED])
        records.write(recovery, instance, left_out(count=len(special), named=named))
    elif records.read(recovery, instance, left_out) is not None:
        records.forget(recovery, instance, left_out)


def sessions(instance: OdooInstance) -> list[str]:
    """Say that the origin's sessions lie elsewhere, often in memory: they stay where they are."""
    origin, folder = instance.origin, instance.origin.odoo.data_dir / "sessions"
    argv = ("test", "-L", str(folder))
    if origin.host.shell().run(argv, user=origin.odoo.user, check=False).status != 0:
        return []
    return [f"{folder} on {origin} is a link: a move does not copy sessions, so users log in again"]


def remarks(instance: OdooInstance) -> list[str]:
    """Say what the last copies have left out."""
    said = []
    for kind, folder in KINDS.items():
        if kept := records.read(instance.recovery, instance, RECORDS[kind]):
            devices = ", ".join(kept.named)
            what = f"{kept.count} devices in the {folder} of {instance.name}"
            said.append(f"{what} are not copied: {devices}")
    return said
