"""The pages to be followed by hand, kept where they are when nothing else is."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import CommandFailed, RelevoError, Unreachable
from blocks.instance import OdooInstance
from tasks.authority.situation import SILENT, Procedure
from tasks.byhand.by_hand_step import Language
from tasks.host import files, lock
from tasks.plan import measure, words
from tasks.run import terminal
from tasks.run.desk import desk
from tasks.run.report import slug
from tasks.run.step import log, step

AT_ONCE = 16
FRESH_MINUTES = 60
PROCEDURES: tuple[Procedure, ...] = ("failover", "failback")
LANGUAGES: tuple[Language, ...] = ("en", "es")


@step("write the pages to be followed by hand of {instance.name}")
def write(instance: OdooInstance) -> None:
    """Keep the procedures, in both languages, where they are when nothing else is."""
    shell = instance.recovery.host.shell()
    for procedure in PROCEDURES:
        drawn = measure.draw(instance, procedure)
        for language in LANGUAGES:
            text = words.page(drawn, language)
            path = by_hand(instance) / f"{procedure}.{language}.md"
            files.install(shell, path, text)
            key = slug(f"by-hand-{procedure}-{language}-{instance.name}")
            desk().show(text, key=key, title=f"kept as {path}")
    _write_at_origin(instance)


def by_hand(instance: OdooInstance) -> PurePosixPath:
    return files.STATE / instance.name / "by-hand"


def _write_at_origin(instance: OdooInstance) -> None:
    """Keep the page for a night without the recovery host at the origin, if that one answers."""
    drawn = measure.draw(instance, "recovery is gone")
    for language in LANGUAGES:
        text = words.page(drawn, language)
        path = by_hand(instance) / f"recovery-is-gone.{language}.md"
        if drawn.situation.origin != SILENT:
            try:
                files.install(instance.origin.host.shell(), path, text)
            except (Unreachable, CommandFailed) as error:
                log().warning("%s is not kept at %s: %s", path, instance.origin, error.message)
        key = slug(f"by-hand-recovery-is-gone-{language}-{instance.name}")
        desk().show(text, key=key, title=f"kept at the origin as {path}")


@step("keep the pages to be followed by hand fresh")
def refresh(instances: Sequence[OdooInstance]) -> None:
    """Write anew the pages that are old; it looks for the file of every document.

    Pages that cannot be drawn raise nothing: they are tried again the next time.
    """
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        list(pool.map(_refresh, instances))


def _refresh(instance: OdooInstance) -> None:
    with terminal.without_server():
        try:
            with understood(f"a host's answer about {instance.name}"):
                if not (_are_fresh(instance) or lock.under_way(instance)):
                    write(instance)
        except RelevoError as error:
            log().warning("the pages of %s were not drawn: %s", instance.name, error.message)


def _are_fresh(instance: OdooInstance) -> bool:
    argv = ("find", str(by_hand(instance)), "-name", "*.md", "-mmin", f"-{FRESH_MINUTES}")
    return bool(instance.recovery.host.shell().run(argv, check=False).stdout.strip())
