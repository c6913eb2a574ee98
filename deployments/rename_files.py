"""What a rename changes on this machine: secrets.yaml, ports.yaml, and last the inventory.

The new name gets what it needs before the inventory has it, and the old one loses what it had after
that: killed in between, the inventory has a name that is whole.
"""

import os
from pathlib import Path

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.reserved import is_reserved, sentence
from deployments import chosen, inventory, ports, signers
from deployments.book import Book
from deployments.secrets import Secrets, write
from tasks.recovery import allotted
from tasks.run.step import log, step


def backup(path: Path, new: str) -> Path:
    """Name the file that keeps the text of the inventory.

    >>> backup(Path("/etc/relevo/inventory.yaml"), "vps_2")
    PosixPath('/etc/relevo/inventory.yaml.before-vps_2')
    """
    return path.resolve().with_name(f"{path.resolve().name}.before-{new}")


def heir_of(instance: OdooInstance, new: str, path: Path, secrets: Secrets) -> OdooInstance:
    """Make the instance as the inventory would say it under another name, and write nothing.

    Refuse a name that it would refuse, or that something here has already.
    """
    book = Book.open(path)
    if new in book.document().instances:
        raise Refused(f"the inventory has an instance {new} already", hint="choose another name")
    if is_reserved(new):
        raise Refused(sentence(new), hint="choose another name; nothing was changed")
    _require_unused(instance, new, secrets)
    _require_writable(path.resolve().parent, secrets.path.parent)
    try:
        document = book.renamed(instance.name, new).document()
    except Refused as error:
        error.hint = "choose another name; nothing was changed"
        raise
    mine = document.instances[new]
    there = mine.recovery.model_copy(update=allotted.of(instance))
    entries = {**document.instances, new: mine.model_copy(update={"recovery": there})}
    whole = document.model_copy(update={"instances": entries})
    own = Secrets(secrets.path)
    own.suppose(new, secrets.given(instance.name))
    return chosen.named(new, inventory.instances(whole, own))


def _require_unused(instance: OdooInstance, new: str, secrets: Secrets) -> None:
    """Refuse a name of which these files know something that no earlier run of this has written."""
    noted = ports.read(ports.path(secrets))
    known = {
        secrets.path: secrets.given(new) not in ({}, secrets.given(instance.name))
        or secrets.signs(new),
        ports.path(secrets): noted.get(new) not in (None, noted.get(instance.name)),
        signers.path(secrets): new in signers.read(secrets),
    }
    if found := [str(path) for path, has in known.items() if has]:
        raise Refused(
            f"{' and '.join(found)} already have an entry {new}, "
            "but the inventory has no such instance",
            hint="choose another name, or remove that entry if nobody needs it",
        )


def _require_writable(*folders: Path) -> None:
    """Refuse to begin what could not be written down at its end."""
    for folder in folders:
        if not os.access(folder, os.W_OK):
            raise Refused(
                f"{folder} cannot be written", hint="run this as a user who may write there, or as "
                "root",
            )  # fmt: skip


@step("give {instance.name} the name {new} in {path}")
def hand_over(instance: OdooInstance, new: str, path: Path, secrets: Secrets) -> None:
    """Let the new name have what people gave and the ports, and then the entry itself."""
    secrets.pass_on(instance.name, new)
    ports.pass_on(secrets, instance.name, new)
    book, target = Book.open(path), backup(path, new)
    try:
        write(target, book.text, mode=path.stat().st_mode & 0o777)
    except OSError as error:
        raise Refused(
            f"{target} cannot be written: {error.strerror}",
            hint="make room there, or let this user write there, and run this again",
        ) from error
    book.renamed(instance.name, new).save(book)
    log().info("%s has the name %s; %s keeps what it said", path, new, target)
