"""A planned move, either way."""

from typing import Literal

from prefect import flow

from blocks.instance import OdooInstance, Place
from flows.failback import hand_over, settle
from flows.pg_rewind import bring_back
from flows.promote import take_over
from tasks import dns, events, filestore, guard, handover, lock, record, schedules, service
from tasks.report import Report, publish
from tasks.timing import Stopwatch


@flow(name="switchover", flow_run_name="switch {instance.name} over to the {to}")
def switchover(
    instance: OdooInstance,
    *,
    to: Literal["origin", "recovery"] = "recovery",
    plan_only: bool = False,
) -> Report:
    """Move an instance's customers to the other server and lose nothing, or refuse.

    Before: both servers are up, and the one that will serve follows the other.
    After: `to` serves, and the other follows it. `plan_only` asks every question and changes
    nothing. It is never forced: that is what failover is for.
    """
    taker = instance.recovery if to == "recovery" else instance.origin
    giver = instance.opposite(taker)
    if plan_only:
        return plan(instance, giver, taker)

    with lock.held(instance, "switchover", preempt=True):
        handover.require_lossless(instance, giver, taker)
        schedules.pause(instance)

        down = Stopwatch(from_now=True)
        give(instance, taker)
        service.start(taker)
        served = service.wait_until_serving(taker)
        downtime = down.read()
        if taker.kind == "recovery":
            record.note_served(instance, seconds=downtime)

        names = show(instance, taker)
        follow(instance, taker)
        missing = filestore.find_missing(instance, taker)
        events.tell_served(instance, taker)

    report = publish(
        Report(
            title=f"{instance.name} is served from {taker}, and {giver} follows",
            facts={
                "databases that answer": ", ".join(served),
                "lost": f"nothing: {taker} held the shutdown checkpoint before it was promoted",
                "seconds of downtime": downtime,
                "domains": names,
            },
            documents=missing,
        ),
        key=f"switchover-{instance.name}",
    )
    dns.require_pointed(instance, taker, said=names)
    return report


def plan(instance: OdooInstance, giver: Place, taker: Place) -> Report:
    facts = handover.require_lossless(instance, giver, taker)
    return publish(
        Report(title=f"{instance.name} can move from {giver} to {taker}", facts=facts),
        key=f"switchover-{instance.name}",
    )


def give(instance: OdooInstance, taker: Place) -> None:
    if taker.kind == "recovery":
        take_over(instance, origin_is_down=False, reason="")
    elif guard.stage(instance) != "home":
        hand_over(instance)


def show(instance: OdooInstance, taker: Place) -> str:
    if taker.kind == "recovery":
        service.enable_site(instance)
        return dns.point(instance, taker)
    names = dns.point(instance, taker)
    service.disable_site(instance)
    return names


def follow(instance: OdooInstance, taker: Place) -> None:
    if taker.kind == "recovery":
        bring_back(instance, reclone=False)
    else:
        settle(instance)
