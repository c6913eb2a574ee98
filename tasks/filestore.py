"""The files: pulled to the recovery host, pushed back at a failback, compared with the database."""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks import files, trust
from tasks.argv import rsync as argv
from tasks.job import run_job
from tasks.look import look, odoo_databases
from tasks.policy import log, step
from tasks.read import rsync as read

Kind = Literal["filestore", "sources", "requirements"]

PASS_SECONDS = 6 * 3600
# 24: a file vanished while it was copied, as Odoo's collector and its sessions do all day.
VANISHED = (0, 24)

# Files arrive beside the filestore and are judged there: a copy that dies half-way, or that met a
# file which Odoo was still writing, never leaves wrong content under a final name. Odoo names an
# attachment's file after the sha1 of its content (ir_attachment.py, _get_path).
ADMIT = """
import hashlib, json, os, sys
incoming, filestore = sys.argv[1:]
wrong, admitted = [], 0
for folder, _, names in os.walk(incoming):
    for name in names:
        path = os.path.join(folder, name)
        inner = os.path.relpath(path, incoming)
        with open(path, "rb") as file:
            content = hashlib.sha1(file.read()).hexdigest()
        if content != name:
            wrong.append(inner)
            os.unlink(path)
            continue
        final = os.path.join(filestore, inner)
        os.makedirs(os.path.dirname(final), exist_ok=True)
        os.replace(path, final)
        admitted += 1
os.sync()
print("RELEVO " + json.dumps({"admitted": admitted, "wrong": wrong}))
"""
MISSING = 'cd "$1" || exit 1; while IFS= read -r n; do [ -f "$n" ] || printf "%s\\n" "$n"; done'


@dataclass(frozen=True)
class Document:
    """A document that the database knows and whose file is not there."""

    database: str
    attachment: int
    name: str
    record: str
    created: str
    file: str

    def __str__(self) -> str:
        return f"{self.database}: {self.name} ({self.record}, {self.created})"


@step("copy the {kind} of {instance.name}")
def pull(instance: OdooInstance, kind: Kind) -> None:
    """Bring the recovery host's copy up to date; what vanished at the origin goes to the trash."""
    if kind == "requirements":
        _pull_requirements(instance)
    elif kind == "sources":
        _pull_sources(instance)
    else:
        _pull_data(instance)


@step("require that {instance.recovery} is the standby of {instance.name}")
def require_standby(instance: OdooInstance) -> None:
    """Refuse to copy over files that the recovery host itself is serving."""
    seen = look(instance.recovery)
    if not seen.is_standby:
        raise Refused(
            f"the cluster of {instance.name} on {instance.recovery} is {seen}, not standby: "
            "copying from the origin could overwrite what customers have written here",
            hint="after a failover this is right: failback switches the copies on again",
        )


def _pull_data(instance: OdooInstance) -> None:
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    source, target = f"{instance.name}:{instance.origin.odoo.data_dir}/", recovery.odoo.data_dir
    owner = files.owner(shell, recovery.odoo.user)
    for directory in (instance.directory, target, instance.trash):
        files.make_directory(shell, directory, owner=owner, mode="750")
    fetch(instance)
    others = ("--exclude=/filestore/",)
    _rsync(instance, "filestore", argv.copy(source, f"{target}/", options=others))
    _trash_deleted(instance, source, f"{target}/")


def _pull_sources(instance: OdooInstance) -> None:
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    owner = files.owner(shell, recovery.odoo.user)
    for source in instance.origin.odoo.sources:
        target = instance.copied(source)
        shell.run(("install", "-d", "-m", "750", str(target)))
        shell.run(("chown", owner, str(target)))
        remote = f"{instance.name}:{source}/"
        _rsync(instance, "sources", argv.copy(remote, f"{target}/"))
        _trash_deleted(instance, remote, f"{target}/", kind="sources")
    shell.run(("chown", owner, str(instance.directory / "sources")), check=False)


def _pull_requirements(instance: OdooInstance) -> None:
    """Write down which Python packages the origin's Odoo has."""
    origin, recovery = instance.origin, instance.recovery
    freeze = (str(origin.odoo.python), "-m", "pip", "freeze", "--all")
    said = origin.host.shell().run(freeze, user=origin.odoo.user, timeout_seconds=120).stdout
    shell = recovery.host.shell()
    owner = files.owner(shell, recovery.odoo.user)
    files.make_directory(shell, instance.directory, owner=owner, mode="750")
    files.install(shell, instance.directory / "requirements.txt", said, owner=owner)


def _rsync(instance: OdooInstance, kind: Kind, command: tuple[str, ...]) -> str:
    """Run rsync as the recovery host's Odoo user; a dead origin is worth a retry."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    try:
        return run_job(
            shell, f"{instance.name}-{kind}", command, user=user,
            timeout_seconds=PASS_SECONDS, accept=VANISHED,
        )  # fmt: skip
    except CommandFailed as error:
        # 255 is ssh's own, 10, 12, 30 and 35 are rsync's for a broken or silent connection.
        refused = "relevo: refused" in error.message
        if not refused and any(
            f"with status {code} " in error.message for code in (10, 12, 30, 35, 255)
        ):
            raise Unreachable(error.message, hint=error.hint) from error
        raise


def fetch(instance: OdooInstance, *, rules: PurePosixPath | None = None) -> int:
    """Fetch the files of the filestore that are not here (all, or those that the rules let in).

    The filestore is content-addressed: what is here and right is never written again.
    """
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    final, incoming = recovery.odoo.data_dir / "filestore", instance.directory / "incoming"
    chosen = (f"--filter=merge {rules}",) if rules else ("--exclude=/*/checklist/",)
    source = f"{instance.name}:{instance.origin.odoo.data_dir}/filestore/"
    options = (f"--compare-dest={final}/", *chosen)
    _rsync(instance, "filestore", argv.copy(source, f"{incoming}/", options=options))
    said = run_job(
        shell,
        f"{instance.name}-filestore",
        ("python3", "-c", ADMIT, str(incoming), str(final)),
        user=recovery.odoo.user,
        timeout_seconds=PASS_SECONDS,
    )
    verdict = json.loads(said.rpartition("RELEVO ")[2])
    files.remove_tree(shell, incoming)
    if verdict["wrong"]:
        log().warning(
            "%d files of %s are not whole at the origin (or were being written) and will be "
            "fetched again: %s",
            len(verdict["wrong"]),
            instance.name,
            ", ".join(verdict["wrong"][:5]),
        )
    return int(verdict["admitted"])


def _ask_names(shell: Shell, script: str, root: PurePosixPath, names: list[str]) -> list[str]:
    if not names:
        return []
    done = shell.run(
        ("sh", "-c", script, "names", str(root)),
        stdin="".join(f"{name}\n" for name in names),
        timeout_seconds=3600,
    )
    return done.stdout.splitlines()


def _trash_deleted(
    instance: OdooInstance, source: str, target: str, kind: Kind = "filestore"
) -> None:
    """Move what the origin deleted to the trash, unless it is suspiciously much."""
    trash = instance.trash / "now"
    stats = _rsync(instance, kind, argv.deletions(source, target, trash=trash, dry=True))
    deleted, total = read.count(stats, "deleted files"), read.count(stats, "files")
    if not deleted:
        return
    share = deleted / (total + deleted)
    if share > instance.filestore.max_deleted_share:
        raise Refused(
            f"{deleted} of {total + deleted} files of {instance.name} ({source}) are gone at the "
            f"origin, more than the {instance.filestore.max_deleted_share:.0%} allowed; nothing "
            "was deleted here",
            hint=f"see that the folder is mounted and full at {instance.origin}; if the deletion "
            "is right, raise filestore.max_deleted_share for one pass",
        )
    day = _today(instance.recovery.host.shell())
    _rsync(instance, kind, argv.deletions(source, target, trash=instance.trash / day, dry=False))
    log().info("%d deleted files of %s went to the trash of %s", deleted, instance.name, day)


def _today(shell: Shell) -> str:
    return shell.run(("date", "+%F")).stdout.strip()


@step("purge the trash of {instance.name}")
def purge_trash(instance: OdooInstance) -> None:
    """Delete the days of the trash that are older than the retention."""
    shell, days = instance.recovery.host.shell(), instance.filestore.retention_days
    argv = (
        "find", str(instance.trash), "-mindepth", "1", "-maxdepth", "1", "-type", "d",
        "-mtime", f"+{days}", "-exec", "rm", "-rf", "--one-file-system", "{}", "+",
    )  # fmt: skip
    if files.exists(shell, instance.trash):
        shell.run(argv, timeout_seconds=3600)


@step("compare the documents of {instance.name} with the files on {place}")
def find_missing(instance: OdooInstance, place: Place) -> list[Document]:
    """Name every document that the database of a place knows and whose file it has not."""
    missing = [doc for db in odoo_databases(place) for doc in _missing_in(place, db)]
    if missing:
        log().warning("%d documents of %s have no file on %s", len(missing), instance.name, place)
    return missing


def _missing_in(place: Place, database: str) -> list[Document]:
    shell = place.host.shell()
    rows = place.cluster.query(
        shell,
        "SELECT id, name, coalesce(res_model || ',' || res_id, '') AS record, "
        "to_char(create_date, 'YYYY-MM-DD HH24:MI:SS') AS created, store_fname FROM ir_attachment "
        "WHERE store_fname ~ '^[0-9a-f]{2,3}/[0-9a-f]{40}$'",
        database=database,
    )
    root = place.odoo.data_dir / "filestore" / database
    names = sorted({str(row["store_fname"]) for row in rows})
    if not files.exists(shell, root):
        gone = set(names)
    else:
        gone = set(_ask_names(shell, MISSING, root, names))
    return [
        Document(
            database, int(row["id"] or 0), str(row["name"]), str(row["record"]),
            str(row["created"]), str(row["store_fname"]),
        )
        for row in rows
        if str(row["store_fname"]) in gone
    ]  # fmt: skip


@step("fetch files that only {instance.origin} has")
def heal(instance: OdooInstance) -> None:
    """Fetch what the serving database knows and the recovery host lacks, while customers work."""
    lacking = find_missing(instance, instance.recovery)
    if not lacking:
        return
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    rules = instance.directory / "wanted"
    files.install(
        shell,
        rules,
        argv.only(f"{doc.database}/{doc.file}" for doc in lacking),
        owner=files.owner(shell, recovery.odoo.user),
    )
    came = fetch(instance, rules=rules)
    files.remove(shell, rules)
    log().info("%d files of %s came from %s", came, instance.name, instance.origin)


@step("copy the files of {instance.name} back to {instance.origin} ({when})")
def push(instance: OdooInstance, *, when: str) -> None:
    """Make the origin's files the recovery host's; what only the origin had goes to quarantine."""
    log().info("copying back: %s", when)
    recovery, origin = instance.recovery.odoo, instance.origin.odoo
    stamp = _today(instance.origin.host.shell())
    command = (
        "rsync", "-rlptgoD", "--no-owner", "--no-group", "--outbuf=L", "--out-format=%n",
        f"--timeout={argv.TIMEOUT_SECONDS}", "--delete", "--backup",
        f"--backup-dir={trust.file_quarantine(instance) / stamp}",
        f"{recovery.data_dir}/", f"{instance.name}:{origin.data_dir}/",
    )  # fmt: skip
    with trust.writable(instance):
        _rsync(instance, "filestore", command)
