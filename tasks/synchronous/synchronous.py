"""Commits at the origin that wait for the recovery host: switched on last, and off in good order.

A program at the origin switches the waiting on and off as the policy says; here it is installed,
asked and taken away. What it says about itself stands in a comment on the role that streams, which
the recovery host reads from its own copy: see tasks/programs/synchronous.
"""

import contextlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks import answers, pinned
from blocks.errors import CommandFailed, Refused, RelevoError
from blocks.instance import OdooInstance, Place
from blocks.sql import Identifier, compose
from tasks.host import files, systemd_unit
from tasks.host.files import STATE
from tasks.install import program_config, units
from tasks.install.units import LIBRARY, UNITS
from tasks.postgres import cluster, cluster_settings
from tasks.postgres.look import look
from tasks.records import commits as reading
from tasks.records.commits import Word
from tasks.run.step import log, step
from tasks.run.wait import until
from tasks.standby import replication
from tasks.synchronous import files as text

BEGIN_SECONDS = 20
CHECKPOINT_SECONDS = 120
REPLAY_SECONDS = 10
# The newest timeline that a standby has ever followed: it keeps a file of each one's history.
HEARD = """
SELECT coalesce(shobj_description(r.oid, 'pg_authid'), '') AS word,
    coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), false) AS replayed,
    coalesce(pg_last_wal_replay_lsn() < pg_last_wal_receive_lsn(), false) AS behind,
    (SELECT coalesce(max(('x' || left(name, 8))::bit(32)::int), 1) FROM pg_ls_waldir()
        WHERE name ~ '^[0-9A-F]{8}[.]history$') AS timeline
FROM pg_roles AS r WHERE r.rolname = $1
"""
WEAKER = (
    "if it stays so: a setting of a role, a database or ALTER SYSTEM may have made "
    "synchronous_commit weaker than on"
)


@dataclass(frozen=True)
class Heard:
    """What a standby has been told: the last word of this timeline, and whether it holds."""

    word: Word | None = None
    holds: Word | None = None
    behind: bool = False


def unit(instance: OdooInstance) -> str:
    return f"relevo-synchronous-{instance.name}.service"


def folder(instance: OdooInstance) -> PurePosixPath:
    return PurePosixPath("/etc/relevo/synchronous", instance.name)


def settings_path(instance: OdooInstance) -> PurePosixPath:
    return instance.origin.cluster.config_dir / "conf.d" / "relevo-synchronous.conf"


def state_path(instance: OdooInstance) -> PurePosixPath:
    return STATE / instance.name / "synchronous.json"


@step("let commits of {instance.name} wait for {instance.recovery}, or not")
def apply(instance: OdooInstance) -> None:
    """Make the origin do what the inventory says, and prove it: the last step of a set-up."""
    if instance.replication.synchronous == "off":
        _remove(instance)
    else:
        _install(instance)
        prove(instance)


def _install(instance: OdooInstance) -> None:
    shell, program = instance.origin.host.shell(), LIBRARY / "synchronous"
    config = folder(instance) / "config.json"
    facts = program_config.render(_facts(instance))
    known = files.read(shell, config)
    if known and _policy(answers.facts(known, f"{config} on {instance.origin}")) != _policy(
        _facts(instance)
    ):
        _take_back(instance)
    watcher = systemd_unit.watcher(
        what=f"let commits of {instance.name} wait for the recovery host, as its policy says",
        name=f"relevo_synchronous_{instance.name}", program=program, config=config,
    )  # fmt: skip
    units.install_program(shell, program, "synchronous")
    files.install(shell, config, facts)
    units.install_watcher(shell, unit(instance), watcher)


def _facts(instance: OdooInstance) -> dict[str, object]:
    """What the program must know; no secret is among it."""
    origin, roles = instance.origin, instance.replication
    options = pinned.superuser(origin.cluster.version, seconds=5)
    psql = (
        "runuser", "-u", origin.cluster.owner, "--",
        "env", "PGCONNECT_TIMEOUT=3", f"PGOPTIONS={options}",
        f"PGAPPNAME=relevo-synchronous-{instance.name}", str(origin.cluster.bin_dir / "psql"),
        "-p", str(origin.cluster.port), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres",
    )  # fmt: skip
    return {
        "instance": instance.name,
        "policy": roles.synchronous,
        "seconds": roles.go_on_seconds,
        "role": roles.user,
        "owner": origin.cluster.owner,
        "psql": psql,
        "names": text.names(instance.name),
        "conf": str(settings_path(instance)),
        "text": text.settings(instance.name),
        "state": str(state_path(instance)),
    }


def _policy(facts: dict[str, object]) -> tuple[object, object, object]:
    return facts.get("policy"), facts.get("seconds"), facts.get("role")


@step("let commits at {instance.origin} wait for nobody any more")
def leave(instance: OdooInstance, *, recovery_is_gone: bool) -> None:
    """Take the waiting away for good, and first: what commits after this must not stand still."""
    _remove(instance, recovery_is_gone=recovery_is_gone)


def _take_back(instance: OdooInstance, *, recovery_is_gone: bool = False) -> None:
    """Stop the program, and take its word back: the recovery host has to know beforehand.

    Otherwise a failover could rely on a policy that the origin no longer has. One that is gone for
    good relies on nothing.
    """
    origin, role = instance.origin, instance.replication.user
    shell = origin.host.shell()
    waits = _waits(instance) and not recovery_is_gone
    if waits and not replication.is_streaming(instance, instance.recovery, origin):
        raise Refused(
            f"commits at {origin} wait for {instance.recovery}, which is away and would not know "
            "that this is to change",
            hint=f"bring it back first; or, if {origin} has to work on without it, run there: "
            f"{LIBRARY}/synchronous {folder(instance)}/config.json release",
        )
    shell.run(("systemctl", "disable", "--now", unit(instance)), check=False)
    how = "on" if waits else "local"
    silence = compose("COMMENT ON ROLE {role} IS NULL", role=Identifier(role))
    origin.cluster.execute(shell, silence, settings={"synchronous_commit": how})


def _remove(instance: OdooInstance, *, recovery_is_gone: bool = False) -> None:
    """Take everything away that makes commits wait; where there is nothing, do nothing."""
    shell, origin = instance.origin.host.shell(), instance.origin
    ours = (UNITS / unit(instance), folder(instance), settings_path(instance), state_path(instance))
    if len(files.missing(shell, *ours)) == len(ours):
        return
    _take_back(instance, recovery_is_gone=recovery_is_gone)
    files.remove(shell, settings_path(instance), UNITS / unit(instance), state_path(instance))
    cluster_settings.reload(shell, origin)
    shell.run(("systemctl", "daemon-reload"))
    files.remove_tree(shell, folder(instance))  # last: while it is there, there is something to do
    if _waits(instance):
        raise Refused(
            f"commits at {origin} still wait for {instance.recovery}",
            hint="see which file sets synchronous_standby_names there: pg_file_settings says it",
        )
    log().info("commits at %s do not wait for %s any more", origin, instance.recovery)


def _waits(instance: OdooInstance) -> bool:
    """Tell whether the names in force at the origin are ours."""
    found = cluster_settings.in_force(instance.origin, ("synchronous_standby_names",))
    return found["synchronous_standby_names"] == text.names(instance.name)


def rest(instance: OdooInstance) -> None:
    """Let an origin that is to follow wait for nobody: promoted again, it would wait in vain.

    Its program does the same, and switches the waiting on again when it has a standby.
    """
    shell, origin = instance.origin.host.shell(), instance.origin
    gone = files.missing(shell, settings_path(instance))
    if gone and instance.replication.synchronous == "off":
        return
    files.remove(shell, settings_path(instance))
    if look(origin).answers and _waits(instance):
        cluster_settings.reload(shell, origin)


@step("let commits at {instance.origin} wait for nobody while it follows")
def rest_while_following(instance: OdooInstance) -> None:
    """Switch the waiting off before the origin becomes a standby."""
    rest(instance)


@step("see that commits of {instance.name} wait for {instance.recovery} again")
def prove_again(instance: OdooInstance) -> None:
    """After a failback, see that the origin has switched the waiting on by itself."""
    if instance.replication.synchronous != "off":
        prove(instance)


def prove(instance: OdooInstance) -> None:
    """Wait until the recovery host has read, in its own copy, that commits wait for it."""
    origin, what = instance.origin, f"commits at {instance.origin} wait for {instance.recovery}"
    found: list[str] = []

    def proven() -> bool:
        try:
            measure(instance)
        except RelevoError as error:
            found[:] = [error.message]
            return False
        return heard(instance).holds is not None

    try:
        until(proven, what=what, timeout_seconds=BEGIN_SECONDS, every=0.5)
    except CommandFailed:
        # One that is spread over minutes may keep PostgreSQL from reading its settings.
        cluster.checkpoint_now(origin)
        hint = f"journalctl -u {unit(instance)} on {origin}. Last seen: {found}"
        until(proven, what=what, timeout_seconds=CHECKPOINT_SECONDS, every=0.5, hint=hint)


def heard(instance: OdooInstance) -> Heard:
    """Ask the standby what the origin said of itself in the WAL that is here."""
    recovery = instance.recovery
    rows = recovery.cluster.query(recovery.host.shell(), HEARD, instance.replication.user)
    if not rows:
        return Heard()
    said, timeline = str(rows[0]["word"]), int(rows[0]["timeline"] or 1)
    word = reading.parse(said)
    if word is not None and word.timeline < timeline:
        word = None
    replayed = bool(rows[0]["replayed"])
    holds = reading.holding(said, timeline=timeline, replayed=replayed)
    return Heard(word, holds, behind=bool(rows[0]["behind"]))


def holding(instance: OdooInstance) -> Word | None:
    """What holds of the commits that are not here, once all that is here has been replayed.

    A promotion waits for that as well.
    """
    with contextlib.suppress(CommandFailed):
        until(
            lambda: not heard(instance).behind,
            what="the rest is replayed",
            timeout_seconds=REPLAY_SECONDS,
        )
    return heard(instance).holds


def measure(instance: OdooInstance) -> str:
    """Say how both ends stand; raise when commits do not wait, or stand still."""
    said = at_origin(instance)
    _require_no_names(instance, instance.recovery)
    wanted = instance.replication.synchronous
    word = None if wanted == "off" else heard(instance).word
    if wanted != "off" and (word is None or (word.waits, word.policy) != (True, wanted)):
        raise RelevoError(f"{instance.recovery} has not been told that commits wait for it")
    return said


def at_origin(instance: OdooInstance) -> str:
    """What the origin itself says, also while the recovery host is away."""
    if instance.replication.synchronous == "off":
        return "off"
    shell, origin = instance.origin.host.shell(), instance.origin
    state = _state(instance)
    said = reading.sentence(state, origin=str(origin), recovery=str(instance.recovery))
    policy = _said_policy(instance)
    if state.get("state") != "synchronous":
        raise RelevoError(f"{said}; the policy is: {policy}", hint=WEAKER)
    if shell.run(("systemctl", "is-active", unit(instance)), check=False).stdout != "active\n":
        raise RelevoError(f"{unit(instance)} does not run on {origin}, and nobody keeps the policy")
    return f"{policy}; {said}"


def follows(instance: OdooInstance) -> bool:
    """Tell whether the origin says of itself that it is a standby, where nobody commits."""
    return _state(instance).get("state") == "standby"


def _state(instance: OdooInstance) -> dict[str, str]:
    said = files.read(instance.origin.host.shell(), state_path(instance))
    return answers.facts(said or "{}", f"{state_path(instance)} on {instance.origin}")


def _said_policy(instance: OdooInstance) -> str:
    roles = instance.replication
    if roles.synchronous == "wait":
        return f"commits always wait for {instance.recovery}"
    return f"commits go on after {roles.go_on_seconds} s without {instance.recovery}"


def _require_no_names(instance: OdooInstance, place: Place) -> None:
    """Refuse a standby that would wait for somebody once it is promoted: nobody follows it then."""
    found = cluster_settings.in_force(place, ("synchronous_standby_names",))
    if names := found.get("synchronous_standby_names", ""):
        raise RelevoError(
            f"{place} has synchronous_standby_names = {names}: after a failover of {instance.name} "
            "every write there would wait for nobody",
            hint="ALTER SYSTEM RESET synchronous_standby_names there, and reload",
        )
