"""The process that follows all filestores of a recovery host: started, and watched."""

import time

from blocks.answers import understood
from blocks.errors import CommandFailed, RelevoError
from blocks.instance import OdooInstance
from tasks.filestore import engine, following
from tasks.notices.emitter import emit
from tasks.run.step import log, step

LOOK_SECONDS = 5.0
# When it is, and since when this standby is up: it cannot have been followed for longer.
MOMENT = """
SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
    extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 AS up
"""


@step("follow the filestores on {instance.recovery}")
def start(instance: OdooInstance) -> None:
    """Start the follower, unless it runs already."""
    engine.follow(instance)


@step("watch the follower on {instance.recovery}", retries=0)
def watch(instance: OdooInstance, seconds: float) -> dict[str, str]:
    """Tell what changes, and raise an event for what somebody should know."""
    told = dict[str, str]()
    ends = time.monotonic() + seconds
    found: list[engine.Facts] = []
    while True:
        if not engine.following(instance):
            raise CommandFailed(
                f"the follower on {instance.recovery} has ended",
                hint=f"read {engine.follower_log(instance)} there; the next run starts it",
            )
        found = engine.conditions(instance)
        for each in found:
            if told.get(each["instance"]) != each["state"]:
                told[each["instance"]] = each["state"]
                _tell(each)
        left = ends - time.monotonic()
        if left <= 0:
            return {each["instance"]: _sentence(each) for each in found}
        time.sleep(min(LOOK_SECONDS, left))


def judge(instance: OdooInstance) -> str:
    """Require that the files of an instance are followed now, and have been lately."""
    recovery = instance.recovery
    shell, unit = recovery.host.shell(), f"{engine.follower(instance)}.service"
    if not engine.following(instance):
        raise RelevoError(
            f"new files of {instance.name} do not come in: {unit} does not run on {recovery}; "
            f"read {engine.follower_log(instance)} there, then run follow-filestore"
        )
    row = recovery.cluster.query(shell, MOMENT)[0]
    path = f"{engine.conditions_path(instance)} on {recovery}"
    with understood(path):
        now, up_seconds = float(row["now"] or 0), float(row["up"] or 0)
        seen = following.read(engine.written(instance), instance.name, now=now)
    if seen is None:
        raise RelevoError(
            f"new files of {instance.name} do not come in: {unit} on {recovery} does not follow "
            "it; run rsync-filestore, then follow-filestore"
        )
    patience = 2 * instance.schedules.filestore_seconds
    if said := seen.objection(patience_seconds=patience, up_seconds=up_seconds):
        raise RelevoError(
            f"new files of {instance.name} may be missing: {said}; read "
            f"{engine.follower_log(instance)} on {recovery}"
        )
    return str(seen)


def _tell(condition: engine.Facts) -> None:
    log().info("%s: %s", condition["instance"], _sentence(condition))
    emit(condition["instance"], f"filestore.{condition['state']}", condition["said"])


def _sentence(condition: engine.Facts) -> str:
    """
    >>> _sentence({"state": "away", "said": "uno does not answer", "fetched": 3, "scans": 2})
    'away (uno does not answer); 3 files came at once, 2 scans proved that none is missing'
    """
    said = f" ({condition['said']})" if condition["said"] else ""
    return (
        f"{condition['state']}{said}; {condition['fetched']} files came at once, "
        f"{condition['scans']} scans proved that none is missing"
    )
