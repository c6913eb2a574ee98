"""The process that follows the filestores of a recovery host: started, and asked how it goes."""

from blocks.answers import understood
from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from tasks.filestore import engine, following
from tasks.run.step import step

# When it is, and since when this standby is up: it cannot have been followed for longer.
MOMENT = """
SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
    extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 AS up
"""


@step("follow the filestores on {instance.recovery}")
def start(instance: OdooInstance) -> None:
    """Start the follower, unless it runs already."""
    engine.follow(instance)


def judge(instance: OdooInstance) -> str:
    """Require that the files of an instance are followed now, and have been lately."""
    recovery = instance.recovery
    shell, unit = recovery.host.shell(), f"{engine.follower(instance)}.service"
    if not engine.following(instance):
        raise RelevoError(
            f"new files of {instance.name} do not come in: {unit} does not run on {recovery}; "
            f"read {engine.follower_log(instance)} there, then run rsync-filestore"
        )
    row = recovery.cluster.query(shell, MOMENT)[0]
    path = f"{engine.conditions_path(instance)} on {recovery}"
    with understood(path):
        now, up_seconds = float(row["now"] or 0), float(row["up"] or 0)
        seen = following.read(engine.written(instance), instance.name, now=now)
    if seen is None:
        raise RelevoError(
            f"new files of {instance.name} do not come in: {unit} on {recovery} does not follow "
            "it; run rsync-filestore"
        )
    patience = 2 * instance.schedules.filestore_seconds
    if said := seen.objection(patience_seconds=patience, up_seconds=up_seconds):
        raise RelevoError(
            f"new files of {instance.name} may be missing: {said}; read "
            f"{engine.follower_log(instance)} on {recovery}"
        )
    return str(seen)
