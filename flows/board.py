"""The readiness of every instance, on one page."""

from tasks.board import announce
from tasks.board import board as desk
from tasks.notices import events, schedules
from tasks.orchestrator import fleet, sweep
from tasks.plan import pages
from tasks.recovery.procedure import flow


@flow(name="board", flow_run_name="readiness of all instances")
def board() -> None:
    """Measure every instance, and show on one page which could be failed over now.

    Changes nothing at the customers' side. What is amber or red says why, and which button helps;
    the green ones stand below. The page is the artifact board, at /v2/artifacts/key/board. What has
    become an alarm since the last time is told as an event. The pages to be followed by hand are
    kept fresh on the recovery host, what a run without a server left to do is done, and runs whose
    process died with its machine are marked, so that they can be retried.
    """
    instances = fleet.known()
    rows = desk.measure(instances, idle=schedules.idle(instances))

    announce.tell(instances, rows)
    desk.publish(instances, rows)
    events.tell_board(instances)
    pages.refresh(desk.at_rest(instances, rows))
    desk.catch_up(instances, rows)
    sweep.mark_dead()
