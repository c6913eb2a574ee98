"""Commits at the origin that wait for the recovery host: switched on last, and off in good order.

A program at the origin switches the waiting on and off as the policy says; here it is installed,
asked and taken away. What it says about itself stands in a comment on the role that streams, which
the recovery host reads from its own copy: see tasks/programs/synchronous.
"""

from pathlib import PurePosixPath

from blocks import answers, pinned
from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from blocks.sql import Identifier, compose
from tasks.host import files, systemd_unit
from tasks.install import program_config, programs
from tasks.install.programs import LIBRARY, UNITS
from tasks.postgres import cluster_settings
from tasks.postgres.observe import observe
from tasks.run.step import log, step
from tasks.standby import replication
from tasks.synchronous import files as text
from tasks.synchronous.synchronous_state import prove, state_path, unit


def folder(instance: OdooInstance) -> PurePosixPath:
    return PurePosixPath("/etc/relevo/synchronous", instance.name)


def settings_path(instance: OdooInstance) -> PurePosixPath:
    return instance.origin.cluster.config_dir / "conf.d" / "relevo-synchronous.conf"


@step("apply the commit policy of {instance.name} for {instance.recovery}")
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
    programs.install_program(shell, program, "synchronous")
    files.install(shell, config, facts)
    programs.install_watcher(shell, unit(instance), watcher)


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


@step("stop commits at {instance.origin} from waiting")
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
            f"commits at {origin} wait for {instance.recovery}, which does not answer and must be "
            "told of this change first",
            hint=f"start that server first; or, if {origin} has to work on without it, run there: "
            f"{LIBRARY}/synchronous {folder(instance)}/config.json release",
        )
    _stop(instance)
    how = "on" if waits else "local"
    silence = compose("COMMENT ON ROLE {role} IS NULL", role=Identifier(role))
    origin.cluster.execute(shell, silence, settings={"synchronous_commit": how})


def _stop(instance: OdooInstance) -> None:
    """Stop the program, if there is one, and prove it: one that goes on has commits wait again."""
    shell, name = instance.origin.host.shell(), unit(instance)
    done = shell.run(("systemctl", "disable", "--now", name), check=False)
    state = shell.run(("systemctl", "is-active", name), check=False).stdout.strip()
    if state not in {"inactive", "failed", "unknown"}:
        raise CommandFailed(
            f"{name} on {instance.origin} does not stop ({state}): {done.tail}",
            hint="run systemctl status for it there",
        )


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
    _require_no_wait(instance)
    log().info("commits at %s no longer wait for %s", origin, instance.recovery)


def _require_no_wait(instance: OdooInstance) -> None:
    if _waits(instance):
        raise Refused(
            f"commits at {instance.origin} still wait for {instance.recovery}",
            hint="find the file that sets synchronous_standby_names there: pg_file_settings names "
            "it",
        )


def _waits(instance: OdooInstance) -> bool:
    """Tell whether the names in force at the origin are ours."""
    found = cluster_settings.in_force(instance.origin, ("synchronous_standby_names",))
    return found["synchronous_standby_names"] == text.names(instance.name)


def suspend(instance: OdooInstance) -> None:
    """Let an origin that is to follow wait for nobody: promoted again, it would wait in vain.

    Its program does the same, and switches the waiting on again when it has a standby.
    """
    shell, origin = instance.origin.host.shell(), instance.origin
    gone = files.missing(shell, settings_path(instance))
    if gone and instance.replication.synchronous == "off":
        return
    files.remove(shell, settings_path(instance))
    if observe(origin).answers and _waits(instance):
        cluster_settings.reload(shell, origin)


@step("stop commits at {instance.origin} from waiting while it follows")
def suspend_while_following(instance: OdooInstance) -> None:
    """Switch the waiting off before the origin becomes a standby."""
    suspend(instance)
