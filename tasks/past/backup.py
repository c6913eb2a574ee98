"""A database as it was, as Odoo's own backup, brought to whoever asked for it."""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from blocks import answers
from blocks.errors import CommandFailed, Refused
from blocks.plain import plain
from blocks.shell import Shell
from tasks.archive.archive import last
from tasks.host import files, layout
from tasks.host.job import run_job
from tasks.install import programs
from tasks.install.programs import LIBRARY
from tasks.notices import progress
from tasks.odoo import customers, odoo_conf
from tasks.past.scratch import Past
from tasks.readiness import drill_commands as lines
from tasks.run import moments
from tasks.run.document import Document
from tasks.run.step import step

PROGRAM = LIBRARY / "bringback.pyz"
PACK_SECONDS = 12 * 3600
PART_BYTES = 8 << 20  # at a time; as text a third more, which a command may say


@dataclass(frozen=True)
class Whole:
    """A file as it was made on the recovery host."""

    size: int
    sha256: str

    def __str__(self) -> str:
        return moments.size(self.size)


@dataclass(frozen=True)
class Backup(Whole):
    """What is in a backup, and which files of it nobody has."""

    version: str
    rows: int
    files: int
    from_trash: int
    missing: int
    documents: list[Document]

    @classmethod
    def read(cls, database: str, made: dict[str, Any]) -> Self:
        return cls(
            size=int(made["size"]),
            sha256=str(made["sha256"]),
            version=plain(str(made["version"])),
            rows=int(made["rows"]),
            files=int(made["files"]),
            from_trash=int(made["from_trash"]),
            missing=int(made["missing"]),
            documents=[document(database, each) for each in made["documents"]],
        )


def document(database: str, each: list[Any]) -> Document:
    """A document whose file nobody has, as the program names it."""
    number, name, record, file = each
    return Document(
        database=database, attachment=int(number), name=str(name), record=str(record), created="",
        file=str(file),
    )  # fmt: skip


@step("look for {database} as it was")
def require_database(past: Past, database: str) -> None:
    """Refuse a database that there was not then, and name those that there were."""
    found = customers.odoo_databases(past.place)
    if database not in found:
        raise Refused(
            f"{past.stage.instance.name} had no database {database} then",
            hint=f"name one of: {', '.join(found) or 'none'}",
        )


@contextmanager
def written(past: Past, database: str) -> Iterator[tuple[PurePosixPath, Backup]]:
    """Have a backup on the recovery host for as long as this lasts."""
    with room(past) as folder:
        yield folder / "backup.zip", pack(past, database, folder / "backup.zip")


@contextmanager
def room(past: Past) -> Iterator[PurePosixPath]:
    """Have a folder of Odoo's user on the recovery host for as long as this lasts."""
    shell, instance = past.stage.shell, past.stage.instance
    folder = layout.home(instance) / "brought-back"
    files.remove_tree(shell, folder)
    owner = files.owner(shell, instance.recovery.odoo.user)
    files.make_directory(shell, folder, owner=owner, mode="700")
    try:
        yield folder
    finally:
        files.remove_tree(shell, folder)


@step("pack {database} with its files")
def pack(past: Past, database: str, path: PurePosixPath) -> Backup:
    """Dump a database as it was, find each file that it names, and pack both as Odoo does."""
    instance = past.stage.instance
    made = run(past, "pack", path, database=database)
    with answers.understood(f"what {PROGRAM.name} says on {instance.recovery}"):
        return Backup.read(database, made)


def run(
    past: Past, verb: str, output: PurePosixPath, *words: str, database: str = ""
) -> dict[str, Any]:
    """Run the program that reads databases of then, as Odoo's user and role."""
    shell, instance, cluster = past.stage.shell, past.stage.instance, past.stage.cluster
    recovery = instance.recovery
    programs.install_program(shell, PROGRAM, "bringback")
    conf = files.read(shell, recovery.odoo.config)
    facts = {
        "bin": str(cluster.bin_dir), "socket": str(cluster.sockets), "port": cluster.port,
        "role": odoo_conf.database_role(conf, default=recovery.odoo.user), "database": database,
        "trash": str(instance.trash), "output": str(output),
        "filestore": str(recovery.odoo.data_dir / "filestore"),
    }  # fmt: skip
    argv = (*lines.GENTLY, "python3", "-I", str(PROGRAM), verb, json.dumps(facts), *words)
    said = run_job(
        shell, f"{instance.name}-{past.stage.kind}-{verb}", argv, user=recovery.odoo.user,
        timeout_seconds=PACK_SECONDS,
        on_progress=progress.reporter(f"files of {instance.name} as it was"),
    )  # fmt: skip
    made = last(said, f"what {PROGRAM.name} says on {recovery}")
    if "failed" in made:
        raise CommandFailed(str(made["failed"]), hint=f"make that right on {recovery} first")
    return made


@step("bring the file to {target}")
def fetch(past: Past, path: PurePosixPath, made: Whole, target: Path) -> None:
    """Bring a file here, part by part; it gets its name when it is right and on the disk."""
    shell, user = past.stage.shell, past.stage.instance.recovery.odoo.user
    beside, digest = target.with_name(f".{target.name}.part"), hashlib.sha256()
    try:
        with beside.open("wb") as file:
            beside.chmod(0o600)
            for number in range(-(-made.size // PART_BYTES)):
                part = _part(shell, path, number, user=user)
                digest.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != made.sha256:
            raise CommandFailed(
                f"the file that came from {shell.host} is not the one that was made there",
                hint="run this again",
            )
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _part(shell: Shell, path: PurePosixPath, number: int, *, user: str) -> bytes:
    script = 'dd if="$1" bs="$2" skip="$3" count=1 status=none | base64 -w 0'
    argv = ("sh", "-c", script, "part", str(path), str(PART_BYTES), str(number))
    said = shell.run(argv, user=user, timeout_seconds=300).stdout
    try:
        return base64.b64decode(said.strip(), validate=True)
    except binascii.Error as error:
        raise CommandFailed(
            f"{shell.host} did not answer with the content of {path}", hint="run this again"
        ) from error


def require_target(target: Path) -> None:
    """Refuse a file that is there, or in a folder that is not."""
    if target.exists():
        raise Refused(f"{target} is there already", hint="name a file that is not there")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise Refused(f"{target.parent} is no folder to write in", hint="name one of yours")
