"""May this node follow that leader, and by which way? A pure decision.

The cheapest safe way wins: follow (nothing was written after the fork), rewind (something was,
and pg_rewind can take it back), re-clone (it cannot).
"""

from dataclasses import dataclass
from typing import Literal

from tasks.postgres.controldata import ControlData
from tasks.postgres.wal import Leader, Lsn


@dataclass(frozen=True)
class Way:
    """How a node rejoins, and why in this way."""

    kind: Literal["follow", "rewind", "reclone", "refuse"]
    why: str


def way(node: ControlData, leader: Leader, *, rewind: str, unstarted: bool = False) -> Way:
    """Decide from the node's control file, the leader's history and the rewind marker.

    `rewind` is the marker on the node's host: "" (none), "started" or "done". `unstarted` is a
    clone that was never started: its control file is still that of the primary it was copied from.
    """
    if node.system_identifier != leader.system_identifier:
        return Way("refuse", "it is another cluster: the system identifiers differ")
    if rewind or unstarted:
        return _not_started(node, leader, rewind=rewind)
    if node.last_timeline > leader.timeline:
        return Way("refuse", f"it is on timeline {node.last_timeline}, ahead of {leader.timeline}")
    if node.last_timeline == leader.timeline:
        return _on_the_same_timeline(node, leader)
    return _from_a_former_timeline(node, leader)


def _not_started(node: ControlData, leader: Leader, *, rewind: str) -> Way:
    if rewind == "started":
        return Way("reclone", "a pg_rewind of it died half-way, which leaves it unusable")
    if rewind:
        return Way("follow", "pg_rewind has finished, and it has not been started since")
    if node.last_timeline == leader.timeline:
        return Way("follow", "it is a new clone, and was never started")
    return Way("reclone", f"it is a clone of timeline {node.last_timeline} that was never started")


def _on_the_same_timeline(node: ControlData, leader: Leader) -> Way:
    if not node.was_standby:
        return Way("refuse", "it accepted writes on the leader's own timeline: a silent fork")
    if node.minimum_recovery_end > leader.position:
        return Way("refuse", "it holds WAL that the leader never wrote: a silent fork")
    return Way("follow", "it was a standby on the leader's timeline")


def _from_a_former_timeline(node: ControlData, leader: Leader) -> Way:
    fork = leader.forks.get(node.last_timeline)
    if fork is None:
        return Way("reclone", f"the leader does not descend from timeline {node.last_timeline}")
    if node.was_standby and node.minimum_recovery_end <= fork:
        return Way("follow", f"it was a standby and had not passed the fork at {fork}")
    if node.ends_at(fork):
        return Way("follow", f"the leader has its shutdown checkpoint at {node.checkpoint}")
    if node.shut_down and node.checkpoint < fork:
        return Way(
            "reclone",
            f"it ended at {node.checkpoint}, before the fork: it was restored to an older state",
        )
    return _beyond(node, fork)


def _beyond(node: ControlData, fork: Lsn) -> Way:
    if node.crashed_standby:
        return Way("reclone", f"it crashed as a standby that had passed the fork at {fork}")
    if not node.rewindable:
        return Way("reclone", "it has neither checksums nor wal_log_hints, which pg_rewind needs")
    return Way("rewind", f"it wrote after the fork at {fork}")
