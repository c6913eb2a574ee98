"""The process that follows all filestores of a recovery host: started, and watched."""

import time

from prefect.events import emit_event

from blocks.errors import CommandFailed
from blocks.instance import OdooInstance
from tasks import bare, engine
from tasks.policy import log, step

LOOK_SECONDS = 5.0
START_SECONDS = 30


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


def _tell(condition: engine.Facts) -> None:
    log().info("%s: %s", condition["instance"], _sentence(condition))
    if bare.alone():
        return
    emit_event(
        event=f"relevo.filestore.{condition['state']}",
        resource={
            "prefect.resource.id": f"relevo.instance.{condition['instance']}",
            "prefect.resource.name": condition["instance"],
        },
        payload={"said": condition["said"]},
    )


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
