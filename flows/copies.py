"""Runbook: "Replicación del Filestore" and its crontab, for all instances of a recovery host."""

from flows import rsync_filestore
from tasks.language.reader import read_by
from tasks.orchestrator import instances, rounds
from tasks.recovery.procedure import flow
from tasks.rounds import passes
from tasks.run.report import Report


@flow(name="copies", flow_run_name="copy the files of all instances on {recovery}")
def copies(recovery: str) -> Report:
    """Bring the copies of the files of every instance on a recovery host up to date.

    Runs by schedule, a few instances at a time. Each has its own lock, its own time and its own
    end: one that is slow, fails or is locked costs the others nothing, and the report names it.
    What takes longer than a round has time for goes on in a run of its own. An instance is left
    alone while the schedule of its rsync-filestore is off: a failover switches it off, a failback
    switches it on again, and so may you.
    """
    saved = instances.on(recovery)
    everyone = saved.instances
    read_by(next((each.language for each in everyone), "en"))

    went = passes.copy_all(everyone, rsync_filestore.copy_files, off=rounds.off(everyone))
    went += [passes.unread(*each) for each in saved.unread.items()]
    passes.tell(everyone, went, before=rounds.said_before(went))
    return passes.hand_in(recovery, rounds.go_on_alone(went))
