"""Do database and files agree: asked of the engine, compared whole, and mended."""

import contextlib

from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance
from tasks.filestore import engine, key, leftout, verdict
from tasks.filestore.verdict import Verdict
from tasks.run.step import log, step


@step("fetch files that only {instance.origin} has")
def heal(instance: OdooInstance) -> None:
    """Fetch what the serving database knows and the recovery host lacks, while customers work."""
    engine.ensure(instance)
    facts = engine.run(instance, "heal")
    log().info("%d files of %s came from %s", facts["fetched"], instance.name, instance.origin)


@step("compare all files of {instance.name} with all its documents")
def reconcile(
    instance: OdooInstance, *, repair_origin: bool, accept_deletions: bool
) -> engine.Facts:
    """Compare the database, the files here and the origin's; fetch, scrub, repair, and tidy up.

    What no document names goes to the trash after the grace time, unless it is suspiciously much.
    """
    engine.ensure(instance)
    options = ("--accept-deletions",) if accept_deletions else ()
    with key.writable(instance, "repair") if repair_origin else contextlib.nullcontext():
        return engine.run(
            instance, "reconcile", *(("--repair",) if repair_origin else ()), *options
        )


@step("restore files of {instance.name} from the trash of {day}")
def restore(instance: OdooInstance, *, day: str, database: str) -> int:
    """Put files of the trash back in their place, where none is."""
    options = (f"--day={day}", f"--database={database}")
    return int(engine.run(instance, "restore", *options)["restored"])


def verdicts(instance: OdooInstance) -> list[Verdict]:
    """Ask whether database and files agree, database by database."""
    facts = engine.run(instance, "verdict")
    return [verdict.read(each) for each in facts["databases"]]


@step("check whether the files of {instance.name} are complete")
def judge(instance: OdooInstance) -> str:
    """Say up to which point database and files agree; a verdict that is not to be had says why."""
    try:
        found = verdicts(instance)
        left = [*verdict.remarks(found), *leftout.remarks(instance)]
        return "; ".join([verdict.sentence(found), *left])
    except (CommandFailed, Refused, Unreachable) as error:
        log().warning("the files were not judged: %s", error)
        return f"not known: {error.message}"


def reconciled(facts: engine.Facts) -> dict[str, str]:
    """What a comparison of everything did, for the report."""
    unrepaired = facts["unrepaired"]
    return {
        "documents": str(facts["rows"]),
        "files here": str(facts["files"]),
        "fetched": str(facts["fetched"]),
        "read again": f"{facts['scrubbed']}, spoiled: {facts['spoiled']}",
        "went to the trash": str(facts["trashed"]),
        "missing at the origin": str(engine.count(facts, "origin_lacks")),
        "spoiled at the origin": str(engine.count(facts, "origin_wrong")),
        "given back to the origin": str(facts["repaired"]),
        "not read": "; ".join(facts["unread"]) or "nothing",
        "not followed": "; ".join(facts.get("foreign", ())) or "nothing",
        "not given back": "; ".join(f"{path}: {why}" for path, why in unrepaired.items()) or "0",
    }
