"""The schedules of an instance: off while the recovery host serves, on while it follows.

A schedule that is on by mistake does no harm: each copy refuses by itself when roles do not fit.
"""

from collections.abc import Sequence

from blocks.instance import OdooInstance
from tasks.notices import emitter, events
from tasks.records import records
from tasks.records.kinds import Schedules
from tasks.run.desk import desk
from tasks.run.step import log, step


@step("pause the schedules of {instance.name}")
def pause(instance: OdooInstance) -> None:
    """Start no more copies of this instance, and cancel those that wait or run.

    A server that does not answer must not hold up a failover: the copies refuse by themselves.
    """
    emitter.emit(instance.name, events.RESTING, f"the copies of {instance.name} are paused")
    if not desk().copies(instance, on=False):
        _later(instance, on=False)


@step("resume the schedules of {instance.name}")
def resume(instance: OdooInstance) -> None:
    """Copy this instance's files by schedule again."""
    sentence = f"the copies of {instance.name} run by schedule"
    emitter.emit(instance.name, events.AWAITED, sentence, timezone=instance.timezone)
    if not desk().copies(instance, on=True):
        _later(instance, on=True)


@step("find out whose schedules are off")
def idle(instances: Sequence[OdooInstance]) -> set[str]:
    """Name the instances whose copies no schedule runs, as far as a server knows."""
    return desk().idle(instances)


def _later(instance: OdooInstance, *, on: bool) -> None:
    """Leave word for the next check with a server; until then the copies judge for themselves."""
    records.write(instance.recovery, instance, Schedules(on=on))
    log().info("the schedules will be switched %s by the next check", "on" if on else "off")


@step("switch the schedules of {instance.name} that a run without a server could not switch")
def catch_up(instance: OdooInstance, *, on: bool) -> None:
    """Do what a run without a server could not.

    `on` is what is right now: what that run left word of may have been undone by a later one.
    """
    if records.read(instance.recovery, instance, Schedules) is None:
        return
    from tasks.orchestrator import schedules  # noqa: PLC0415  # Prefect, which a shell never loads

    schedules.turn(instance, on=on)
    records.forget(instance.recovery, instance, Schedules)
