"""An instance as it was at one second: a cluster beside the standby, isolated as a drill is.

It is a copy of a base backup, brought to that second by the WAL that is kept, and promoted: paused,
a question could wait for ever for a lock of what came next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blocks import answers
from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.archive import archive
from tasks.host import confine, files
from tasks.host.job import run_job, show, stop_job
from tasks.notices import progress
from tasks.readiness import drill_commands as lines
from tasks.readiness import drill_steps
from tasks.readiness.drill_steps import Kind, Stage
from tasks.run.moments import Clock, size
from tasks.run.step import log, step
from tasks.run.wait import until

FILL_SECONDS, REPLAY_SECONDS, OPEN_SECONDS = 12 * 3600, 12 * 3600, 24 * 3600
NEWEST = "SELECT extract(epoch FROM pg_last_xact_replay_timestamp())::float8"
JOBS = ("clone", "pack", "link", "table")
# What PostgreSQL says, and ends, when all WAL that there is lies before the target.
NOTHING_LATER = "before configured recovery target was reached"
BRING = "if test -e {tail}/%f; then cp {tail}/%f %p; else test -e {wal}/%f && cp {wal}/%f %p; fi"


@dataclass(frozen=True)
class Past:
    """An instance as it was."""

    stage: Stage
    at: datetime
    base: str
    newest: str
    seconds: str

    @property
    def when(self) -> str:
        """The moment, as the people of this instance say it."""
        return Clock(self.stage.instance.timezone, dated=True).at(self.at)

    @property
    def place(self) -> Place:
        """The recovery host with the cluster of then in place of the standby."""
        recovery = self.stage.instance.recovery
        return recovery.model_copy(update={"cluster": self.stage.cluster})


@step("require that {instance.recovery} has kept what {instance.name} was")
def require_kept(instance: OdooInstance) -> None:
    """Refuse where no past is kept."""
    if instance.time_machine is None:
        raise Refused(
            f"{instance.name} has no time machine, so nothing is kept of what it was",
            hint="add time_machine to the inventory and run replicate; it begins then",
        )


@contextmanager
def opened(instance: OdooInstance, at: datetime, *, kind: Kind = "look") -> Iterator[Past]:
    """Open an instance as it was at a moment; leave nothing of that."""
    require_kept(instance)
    end_left_over(instance, kind)
    with drill_steps.stage(instance, kind=kind) as stage:
        made = fill(stage, at)
        replay(stage, made, at)
        seconds = stage.watch.read()
        yield Past(stage, at, str(made["base"]), _newest(stage), seconds)


def _newest(stage: Stage) -> str:
    """When the last was committed of what is there: one that had not come in yet is not."""
    said = stage.cluster.value(stage.shell, NEWEST)
    with answers.understood(f"the newest commit that {stage.instance.name} had"):
        clock = Clock(stage.instance.timezone, dated=True)
        return clock.at(float(said)) if said else "none since the base backup"


def end_left_over(instance: OdooInstance, kind: Kind) -> None:
    """End what a run that died has left at work; what it made is taken away by the next one."""
    shell = instance.recovery.host.shell()
    for what in JOBS:
        stop_job(shell, f"{instance.name}-{kind}-{what}")


@step("copy the base backup before {at} of {stage.instance.name}")
def fill(stage: Stage, at: datetime) -> dict[str, Any]:
    """Copy the newest base backup before a moment, and what the cluster has not handed on yet."""
    shell, recovery, instance = stage.shell, stage.instance.recovery, stage.instance
    user = recovery.cluster.owner
    files.make_directory(shell, stage.directory, owner=files.owner(shell, user), mode="700")
    argv = (
        *lines.GENTLY, "python3", "-I", str(archive.PROGRAM), "prepare",
        str(archive.settings_path(instance)), f"{at.timestamp():.6f}", str(stage.directory),
    )  # fmt: skip
    output = run_job(
        shell, f"{instance.name}-{stage.kind}-clone", argv, user=user, timeout_seconds=FILL_SECONDS,
        on_progress=progress.reporter(f"base backup of {instance.name}"),
    )  # fmt: skip
    what = f"what the time machine of {instance.name} says on {recovery}"
    made = archive.last(output, what)
    with answers.understood(what):
        if "refused" in made:
            raise _refusal(instance, at, made)
        return {name: made[name] for name in ("base", "timeline", "tail", "wal")}


def _refusal(instance: OdooInstance, at: datetime, made: dict[str, Any]) -> Refused:
    """Say why nobody can go there, and where one can."""
    clock = Clock(instance.timezone, dated=True)
    if made["refused"] == "room":
        return Refused(
            f"{instance.recovery} has {size(float(made['free']))} free, but {instance.name} as it "
            f"was needs {size(float(made['need']))} for a copy",
            hint=f"make room on {instance.recovery}",
        )
    if made["refused"] == "future":
        return Refused(f"{clock.at(at)} has not come yet", hint="name a moment that is over")
    if made["since"] is None:
        return Refused(
            f"the time machine of {instance.name} has no whole base backup",
            hint="run relevo check, which says why",
        )
    lost = [(float(a), float(b)) for a, b in made["gaps"]]
    gap = next((each for each in lost if each[0] <= at.timestamp() < each[1]), None)
    if gap:
        return Refused(
            f"what {instance.name} was at {clock.at(at)} is lost: nothing is kept between "
            f"{clock.at(gap[0])} and {clock.at(gap[1])}",
            hint="choose a moment before that, or after it",
        )
    if made["until"] is not None and at.timestamp() >= float(made["until"]):
        return Refused(
            f"what {instance.name} was at {clock.at(at)} is lost: nothing is kept of what came "
            f"after {clock.at(float(made['until']))}",
            hint="choose a moment before that",
        )
    return Refused(
        f"what {instance.name} was at {clock.at(at)} is not kept: the time machine begins at "
        f"{clock.at(float(made['since']))}",
        hint="choose a moment after that",
    )


@step("bring {stage.instance.name} to {at}")
def replay(stage: Stage, made: dict[str, Any], at: datetime) -> None:
    """Replay up to a moment, and let it accept writes: they go nowhere but into the copy."""
    target = {"recovery_target_time": at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")}
    _start(stage, made, target)
    if _is_open(stage):
        return
    # Nothing was committed after it: all that there is belongs to that moment.
    log().info("nothing was committed after %s, so all that is kept is replayed", at)
    _start(stage, made, {})
    if not _is_open(stage):
        raise _ended(stage)


def _start(stage: Stage, made: dict[str, Any], target: dict[str, str]) -> None:
    settings = {
        "restore_command": BRING.format(tail=made["tail"], wal=made["wal"]),
        "recovery_target_timeline": str(int(made["timeline"])),
        "recovery_target_action": "promote",
        **target,
    }
    command = lines.serve(stage.cluster, stage.directory, **settings)
    found = confine.properties(writes=(stage.directory, stage.cluster.sockets), network=False)
    argv = lines.start_unit(
        stage.unit("postgres"), command, "KillSignal=SIGINT", *found,
        user=stage.cluster.owner, seconds=OPEN_SECONDS,
    )  # fmt: skip
    stage.shell.run(argv)


def _is_open(stage: Stage) -> bool:
    """Wait until it accepts writes; tell whether it has ended for want of a later commit."""
    shell, unit = stage.shell, stage.unit("postgres")
    ended: list[bool] = []

    def settled() -> bool:
        if not show(shell, unit).running:
            if NOTHING_LATER not in words(shell, unit):
                raise _ended(stage)
            ended.append(True)
            return True
        try:
            return stage.cluster.value(shell, "SELECT pg_is_in_recovery()") == "f"
        except CommandFailed:  # it is not consistent yet
            return False

    until(
        settled, what="the copy accepts writes", timeout_seconds=REPLAY_SECONDS, every=0.5,
        hint=f"run journalctl -u {unit} there",
    )  # fmt: skip
    return not ended


def _ended(stage: Stage) -> CommandFailed:
    said = words(stage.shell, stage.unit("postgres"))
    return CommandFailed(
        f"{stage.instance.name} does not come to what it was: {said}",
        hint="choose another moment, and run relevo check to see what the time machine has",
    )


def words(shell: Shell, unit: str) -> str:
    """The last words of a unit, which has just ended."""
    shell.run(("journalctl", "--sync"), check=False)
    argv = ("journalctl", "--unit", unit, "--lines=20", "--output=cat", "--no-pager")
    return shell.run(argv, check=False).stdout.strip()
