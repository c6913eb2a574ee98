"""The readiness of every instance, on one page."""

from tasks.board import announce
from tasks.board import board as desk
from tasks.language.reader import read_by
from tasks.notices import events, schedules
from tasks.orchestrator import dead_runs, instances
from tasks.plan import pages
from tasks.recovery.procedure import flow


@flow(name="board", flow_run_name="readiness of all instances")
def board() -> None:
    """Measure every instance, and show on one page which could be failed over now.

    Changes nothing for customers. What is amber or red says why, and which button helps; what is
    green stands below. The page is the artifact board, at /v2/artifacts/key/board. Each new alarm
    is sent as an event. The board also renews the pages by hand on the recovery host, finishes what
    a run without a server left to do, and marks runs whose process is presumed dead, so that they
    can be retried.
    """
    saved = instances.saved()
    everyone = saved.instances
    read_by(next((each.language for each in everyone), "en"))
    rows = desk.measure(everyone, idle=schedules.idle(everyone))

    announce.tell(everyone, rows)
    desk.publish(everyone, [*rows, *(desk.unread(*each) for each in saved.unread.items())])
    events.tell_board(everyone)
    pages.refresh(desk.at_rest(everyone, rows))
    desk.catch_up(everyone, rows)
    dead_runs.mark_dead()
