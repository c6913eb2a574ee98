"""The files: pulled to the recovery host, and pushed back at a failback."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

from blocks.errors import Busy, CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.build import links, packages
from tasks.filestore import engine, key, leftout, rsync
from tasks.host import durable, files, layout
from tasks.host.job import run_job
from tasks.postgres.observe import observe
from tasks.run.step import log, step

Kind = Literal["filestore", "sources", "requirements"]

PASS_SECONDS = 6 * 3600
# 24: a file vanished while it was copied, as Odoo's collector and its sessions do all day.
VANISHED = (0, 24)
SOME_LEFT = 23  # what rsync says of a copy that lacks something, here or there
# 255 is ssh's own, the others are rsync's for a broken or silent connection.
CUT_OFF = (10, 12, 30, 35, 255)
GATE_REFUSES = "relevo: refused"  # as the gate begins its last words, on which rsync is cut off too
NAMED = 5

# What Odoo's own collector does to sessions (odoo/http.py, session_gc).
SESSION_DAYS = 7
FEW = 10
APART = (rsync.NO_FILESTORE, rsync.NO_SESSIONS)


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
    """Copy nothing over files that the recovery host itself is serving."""
    recovery = instance.recovery
    state = observe(recovery)
    if state.is_primary:
        raise Busy(
            f"the cluster of {instance.name} on {recovery} is primary, not standby: customers are "
            "served from there, and copying from the origin could overwrite what they have written",
            hint="run failback, which switches the copies on again; after a failover this is "
            "normal",
        )
    if not state.answers:
        raise CommandFailed(
            f"the cluster of {instance.name} on {recovery} is {state}; only a running one says "
            "which files it needs",
            hint=f"run systemctl start {recovery.cluster.unit} there, and read its log",
        )


def _pull_data(instance: OdooInstance) -> None:
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    source, target = f"{instance.name}:{instance.origin.odoo.data_dir}/", recovery.odoo.data_dir
    owner = files.owner(shell, recovery.odoo.user)
    for directory in (target, instance.trash):
        files.make_directory(shell, directory, owner=owner, mode="750")
    facts = _pass(instance)
    _pull_sessions(instance, source, target)
    _bring(instance, "filestore", {source: target}, options=APART)
    _require_read(instance, facts)


def fetch_ahead(instance: OdooInstance) -> None:
    """Fetch what is new while customers work, so that the last difference is small."""
    _require_read(instance, _pass(instance))


def _pass(instance: OdooInstance) -> engine.Facts:
    engine.ensure(instance)
    facts = engine.run(instance, "pass")
    _note(instance, facts)
    return facts


def _require_read(instance: OdooInstance, facts: engine.Facts) -> None:
    """Call no copy good that knows nothing of a whole database; all the rest was copied."""
    if facts["unread"]:
        raise CommandFailed(
            f"files of {instance.name} may be missing: not every database was read on "
            f"{instance.recovery}: {'; '.join(facts['unread'])}",
            hint="let Odoo's role connect to it (GRANT CONNECT, ALLOW_CONNECTIONS), rename or "
            "drop it, then run this again; if it was just created or dropped, just run this "
            "again",
        )


def _note(instance: OdooInstance, facts: engine.Facts) -> None:
    """Say what a pass did, and what it could not have."""
    log().info("%d files of %s were fetched", facts["fetched"], instance.name)
    for each in facts.get("foreign", ()):
        log().warning("files of the database %s are not followed", plain(each))
    if facts["pending"]:
        log().warning(
            "%d files of %s are named by documents and could not be had from %s (check names them)",
            facts["pending"], instance.name, instance.origin,
        )  # fmt: skip


def _pull_sessions(instance: OdooInstance, source: str, target: PurePosixPath) -> None:
    """Copy the sessions; those that Odoo itself would forget by now are forgotten here too."""
    if not instance.filestore.sessions or leftout.sessions(instance):
        return
    only = ("--include=/sessions/", "--include=/sessions/**", "--exclude=*")
    _rsync(instance, "filestore", rsync.copy(source, f"{target}/", options=only))
    shell, folder = instance.recovery.host.shell(), target / "sessions"
    if files.exists(shell, folder):
        old = ("find", str(folder), "-type", "f", "-mtime", f"+{SESSION_DAYS}", "-delete")
        shell.run(old, user=instance.recovery.odoo.user, timeout_seconds=600)


def _pull_sources(instance: OdooInstance) -> None:
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    owner, user = files.owner(shell, recovery.odoo.user), recovery.odoo.user
    files.make_directory(shell, instance.directory / "sources", owner=owner, mode="750")
    trees = dict[str, PurePosixPath]()
    for source in instance.origin.odoo.sources:
        target = instance.copied(source)
        shell.run(("mkdir", "-p", "-m", "750", str(target)), user=user)
        trees[f"{instance.name}:{source}/"] = target
    _bring(instance, "sources", trees)
    links.lead(instance)


def _bring(
    instance: OdooInstance,
    kind: Kind,
    trees: Mapping[str, PurePosixPath],
    options: tuple[str, ...] = (),
) -> None:
    """Copy trees; what has changed or is gone at the origin is kept in the trash.

    A file that cannot be read keeps no other from being copied, and the copy from being good.
    """
    unreadable, special, whole = list[str](), list[str](), list[tuple[str, str, PurePosixPath]]()
    for source, target in trees.items():
        aside = _aside(instance, kind, target)
        kept = (*rsync.keep(aside), rsync.NO_LOST_AND_FOUND, *options)
        output = _rsync(
            instance, kind, rsync.copy(source, f"{target}/", options=kept), partial=True
        )
        left = rsync.left_out(output)
        unreadable += left.unreadable
        special += left.special
        if not left.unreadable:
            whole.append((source, f"{target}/", aside))
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    for target in trees.values():
        durable.copied(shell, target, user=user)
    leftout.note(instance, kind, special)
    for source, copied, aside in whole:
        _trash_deleted(instance, source, copied, aside=aside, kind=kind, options=options)
    if unreadable:
        named = plain("; ".join(unreadable[:NAMED]))
        raise CommandFailed(
            f"{len(unreadable)} files or folders of {instance.name} cannot be read at "
            f"{instance.origin} and were not copied, all others were: {named}",
            hint=f"let {instance.origin.odoo.user} read them at {instance.origin}, or move them "
            "out of its folders",
        )


def _aside(instance: OdooInstance, kind: Kind, target: PurePosixPath) -> PurePosixPath:
    """Give a folder of the trash that no earlier copy has used: what that kept stays as it is."""
    now = instance.recovery.host.shell().run(("date", "+%F %H%M%S")).stdout
    day, _, moment = now.strip().partition(" ")
    sources = instance.directory / "sources"
    if kind == "sources":
        return instance.trash / day / f"sources-{moment}" / target.relative_to(sources)
    return instance.trash / day / f"data-{moment}"


def _pull_requirements(instance: OdooInstance) -> None:
    """Write down which Python packages the origin's Odoo has."""
    shell, output = instance.recovery.host.shell(), packages.of_origin(instance)
    files.install(shell, instance.directory / "requirements.txt", output)


def _rsync(
    instance: OdooInstance,
    kind: Kind,
    command: tuple[str, ...],
    *,
    partial: bool = False,
    comes: bool = True,
) -> str:
    """Run rsync as the recovery host's Odoo user; a dead origin is worth a retry.

    With `partial` a copy is taken that lacks what the origin may not read, and names it. What comes
    from the origin, which may be endless, takes no more of the disk than there is for it.
    """
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    program, *rest = command
    try:
        output = run_job(
            shell, f"{instance.name}-{kind}", (program, *key.rsh(instance), *rest), user=user,
            timeout_seconds=PASS_SECONDS, accept=(*VANISHED, SOME_LEFT) if partial else VANISHED,
            spares=layout.of_odoo(instance) if comes else (),
        )  # fmt: skip
    except CommandFailed as error:
        if error.status in CUT_OFF and not _is_refused(error):
            raise Unreachable(error.message, hint=error.hint) from error
        raise
    if rsync.is_partial(output) and not rsync.left_out(output).unreadable:
        tail = plain("\n".join(output.strip().splitlines()[-10:]), lines=True)
        raise CommandFailed(
            f"the copy of the {kind} of {instance.name} is incomplete:\n{tail}",
            hint=f"fix on {instance.recovery} what it names, then run this again",
        )
    return output


def _is_refused(error: CommandFailed) -> bool:
    """Tell whether the origin's gate has ended the connection, which no retry heals."""
    return any(GATE_REFUSES in line for line in error.last_lines)


def _trash_deleted(
    instance: OdooInstance,
    source: str,
    target: str,
    *,
    aside: PurePosixPath,
    kind: Kind,
    options: tuple[str, ...],
) -> None:
    """Move what the origin deleted to the trash, unless it is suspiciously much."""
    options = (rsync.NO_LOST_AND_FOUND, *options)
    dry = rsync.deletions(source, target, trash=aside, options=options, dry=True)
    stats = _rsync(instance, kind, dry)
    deleted, total = rsync.count(stats, "deleted files"), rsync.count(stats, "files")
    if not deleted:
        return
    share = deleted / (total + deleted)
    if deleted > FEW and share > instance.filestore.max_deleted_share:
        raise Refused(
            f"{deleted} of {total + deleted} files of {instance.name} ({source}) are gone at the "
            f"origin, more than the {instance.filestore.max_deleted_share:.0%} allowed; nothing "
            "was deleted here",
            hint=f"check that the folder is mounted and complete at {instance.origin}; if the "
            "deletion is right, raise filestore.max_deleted_share for one pass",
        )
    _rsync(instance, kind, rsync.deletions(source, target, trash=aside, options=options, dry=False))
    log().info("%d deleted files of %s went to %s", deleted, instance.name, aside)


@step("copy the files of {instance.name} back to {instance.origin} ({when})")
def push(instance: OdooInstance, *, when: str) -> None:
    """Make the origin's files the recovery host's; what only the origin had goes to quarantine.

    A recovery host that has handed over already gave them before, with its doors closed.
    """
    if not observe(instance.recovery).is_primary:
        log().info("%s has stopped: it gave its files before that", instance.recovery)
        return
    log().info("copying back: %s", when)
    recovery, origin = instance.recovery.odoo, instance.origin.odoo
    # Each push has a folder of its own: a second one would overwrite what the first has kept.
    stamp = instance.origin.host.shell().run(("date", "+%F/data-%H%M%S")).stdout.strip()
    command = rsync.give_back(
        f"{recovery.data_dir}/",
        f"{instance.name}:{origin.data_dir}/",
        quarantine=key.file_quarantine(instance) / stamp,
        # In its place rsync would put a folder.
        options=(rsync.NO_SESSIONS,) if leftout.sessions(instance) else (),
    )
    engine.ensure(instance)
    with key.writable(instance, "failback"):
        _rsync(instance, "filestore", command, comes=False)
        facts = engine.run(instance, "push")  # last: it ends when all is on the origin's disk
    log().info(
        "%d files were given to %s; %d that only it had were kept aside there",
        facts["given"], instance.origin, facts["kept_aside"],
    )  # fmt: skip
    if facts["refused"]:
        path, why = next(iter(facts["refused"].items()))
        raise CommandFailed(
            f"{engine.count(facts, 'refused')} files of {instance.name} could not be copied to "
            f"{instance.origin}, {path} among them: {why}",
            hint="fix what it names, then run failback again",
        )
    _require_read(instance, facts)
