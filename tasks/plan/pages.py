"""The pages to be followed by hand, kept where they are when nothing else is."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import CommandFailed, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.names import Language
from tasks.authority.situation import Procedure
from tasks.host import files, lock
from tasks.plan import placeholders, words
from tasks.recovery import users
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
    """Keep the procedures, in both languages, where they are when nothing else is.

    Nothing on them is measured: they are the same in the night as on the day before.
    """
    instance = users.as_found(instance)
    shell, kept = instance.recovery.host.shell(), list[str]()
    for procedure in PROCEDURES:
        for path, text in _both(instance, procedure).items():
            files.install(shell, path, text)
            _show(instance, path, text, title=f"kept as {path}")
            kept.append(str(path))
    shell.run(("touch", *kept))  # those that are as they were have been looked at, too
    _write_at_origin(instance)


def by_hand(instance: OdooInstance) -> PurePosixPath:
    return files.STATE / instance.name / "by-hand"


def _both(instance: OdooInstance, procedure: Procedure) -> dict[PurePosixPath, str]:
    """The page of a procedure in each language, by where it is kept."""
    name = procedure.replace(" ", "-")
    return {
        by_hand(instance) / f"{name}.{language}.md": drawn(instance, procedure, language)
        for language in LANGUAGES
    }


def drawn(instance: OdooInstance, procedure: Procedure, language: Language) -> str:
    """The page of a procedure, for which nothing has to be measured."""
    return words.by_hand(procedure, placeholders.names(instance), language)


def _show(instance: OdooInstance, path: PurePosixPath, text: str, *, title: str) -> None:
    key = slug(f"by-hand-{path.stem.replace('.', '-')}-{instance.name}")
    desk().show(text, key=key, title=title)


def _write_at_origin(instance: OdooInstance) -> None:
    """Keep the page for a night without the recovery host at the origin, if that one answers."""
    both = _both(instance, "recovery is gone")
    for path, text in both.items():
        _show(instance, path, text, title=f"kept at the origin as {path}")
    try:
        for path, text in both.items():
            files.install(instance.origin.host.shell(), path, text)
    except (Unreachable, CommandFailed) as error:
        log().warning(
            "the page for a night without %s is not kept at %s: %s",
            instance.recovery, instance.origin, error.message,
        )  # fmt: skip


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
