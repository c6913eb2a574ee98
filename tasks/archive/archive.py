"""The time machine of an instance: installed where its inventory wants one, asked, taken away.

A program on the recovery host keeps base backups and WAL, from the standby alone: see
tasks/programs/archive. The origin has no setting, slot, sender or load more than before.
"""

from pathlib import PurePosixPath
from typing import Any

from blocks import answers, pinned
from blocks.errors import CommandFailed, RelevoError
from blocks.instance import OdooInstance
from blocks.time_machine import TimeMachine
from tasks.archive import cost, left, mass, proof, unit_file
from tasks.archive.kept import Kept
from tasks.archive.place import folder
from tasks.host import files, layout
from tasks.install import programs
from tasks.install.programs import LIBRARY, UNITS
from tasks.programs.archive.settings import Settings
from tasks.records import records
from tasks.records.kinds import Trash
from tasks.records.proven import Proven
from tasks.run.moments import Clock
from tasks.run.step import log, step
from tasks.run.wait import until

PROGRAM = LIBRARY / "archive.pyz"
MARK = "RELEVO "
JUDGE_SECONDS, FINISH_SECONDS = 300, 60
FINISHED = "SELECT pg_walfile_name(pg_switch_wal())"


def unit(instance: OdooInstance) -> str:
    return f"relevo-archive-{instance.name}.service"


def settings_path(instance: OdooInstance) -> PurePosixPath:
    return layout.postgres(instance) / "archive.json"


@step("apply the time machine of {instance.name} on {instance.recovery}")
def apply(instance: OdooInstance) -> None:
    """Have the past kept where the inventory says so; keep no more where it does not."""
    if instance.time_machine is None:
        _stop(instance)
    else:
        _install(instance, instance.time_machine)


def _install(instance: OdooInstance, policy: TimeMachine) -> None:
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    user = recovery.cluster.owner
    programs.install_program(shell, PROGRAM, "archive")
    owner = files.owner(shell, user)
    adopted = left.adopt(instance, folder(instance))
    files.make_directory(shell, folder(instance), owner=owner, mode="700")
    files.install(shell, settings_path(instance), _settings(instance, policy).text())
    if adopted:
        _run(instance, "renew")
    text = unit_file.render(
        instance=instance.name, user=user, cluster_unit=recovery.cluster.unit,
        folder=folder(instance),
        command=("/usr/bin/python3", "-I", str(PROGRAM), "keep", str(settings_path(instance))),
    )  # fmt: skip
    programs.install_watcher(shell, unit(instance), text)


def _settings(instance: OdooInstance, policy: TimeMachine) -> Settings:
    cluster = instance.recovery.cluster
    return Settings(
        instance=instance.name,
        socket=str(cluster.sockets),
        port=cluster.port,
        bin=str(cluster.bin_dir),
        version=cluster.version,
        options=pinned.superuser(cluster.version, seconds=10),
        folder=str(folder(instance)),
        days=policy.days,
        base_days=min(policy.base_days, policy.days),
        limit_bytes=policy.limit_gb * 10**9,
        alarm_rows=policy.alarm_rows,
        alarm_share=policy.alarm_share,
    )


def _stop(instance: OdooInstance) -> None:
    """Stop the program where there is one; what it has kept stays until somebody deletes it."""
    shell, path = instance.recovery.host.shell(), UNITS / unit(instance)
    if not files.exists(shell, path):
        return
    shell.run(("systemctl", "disable", "--now", unit(instance)), timeout_seconds=120)
    files.remove(shell, path)
    shell.run(("systemctl", "daemon-reload"))
    log().warning(
        "nothing more of %s is kept; what was kept stays in %s on %s",
        instance.name, folder(instance), instance.recovery,
    )  # fmt: skip


@step("finish the time machine of {instance.name} up to now")
def finish(instance: OdooInstance) -> None:
    """Have the segment of WAL that is being written kept too: the cluster is about to be deleted.

    Only finished segments are kept, so the last minutes before a removal would be missing.
    """
    shell, origin = instance.recovery.host.shell(), instance.origin
    if shell.run(("systemctl", "is-active", unit(instance)), check=False).status != 0:
        return
    segment = origin.cluster.value(origin.host.shell(), FINISHED)
    path = folder(instance) / "wal" / segment
    try:
        until(
            lambda: files.exists(shell, path),
            what=f"the time machine keeps {segment}",
            timeout_seconds=FINISH_SECONDS,
        )
    except CommandFailed as error:
        log().warning("%s: the newest seconds of %s are not kept", error, instance.name)


def measure(instance: OdooInstance) -> list[str]:
    """Say to which seconds one can go back, at what cost, and when that was last tried.

    :raises RelevoError: where it does not reach up to now, or the last try has failed.
    """
    if (policy := instance.time_machine) is None:
        return ["off"]
    found, clock = look(instance), Clock(instance.timezone, dated=True)
    proven = records.read(instance.recovery, instance, Proven)
    remarks = [*found.remarks(clock), *proof.remarks(proven, clock)]
    remarks += mass.remarks(instance, clock)
    wrong = filter(None, (found.objection(policy, clock), proof.objection(proven, clock)))
    if why := "; ".join(wrong):
        raise RelevoError("; ".join((why, *remarks)))
    trash = records.read(instance.recovery, instance, Trash) or Trash(at=0.0)
    paid = cost.measured(found, policy, trash.sizes, trash.seen)
    said = (found.sentence(policy, clock), str(paid), proof.sentence(proven, clock))
    return ["; ".join(said), *remarks]


def look(instance: OdooInstance) -> Kept:
    """Have the program look at all that is kept."""
    output = _run(instance, "judge")
    what = f"what the time machine of {instance.name} says on {instance.recovery}"
    with answers.understood(what):
        return Kept.read(last(output, what))


def _run(instance: OdooInstance, verb: str) -> str:
    shell, user = instance.recovery.host.shell(), instance.recovery.cluster.owner
    argv = ("python3", "-I", str(PROGRAM), verb, str(settings_path(instance)))
    return shell.run(argv, user=user, timeout_seconds=JUDGE_SECONDS).stdout


def last(output: str, what: str) -> dict[str, Any]:
    r"""What the program said last.

    >>> last('noise\nRELEVO {"a": 1}\n', "it")
    {'a': 1}
    """
    for line in reversed(output.splitlines()):
        if line.startswith(MARK):
            return answers.facts(line.removeprefix(MARK), what)
    raise CommandFailed(
        f"{what} is nothing", hint="read the journal of its unit there, then run this again"
    )
