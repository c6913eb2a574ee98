"""By which way a node rejoins, case by case."""

from dataclasses import dataclass, replace

import pytest

from tasks.postgres.controldata import ControlData
from tasks.postgres.wal import Leader, Lsn
from tasks.standby.way import way

SYSTEM = "7711701281883249531"
FORK = Lsn.parse("0/5000098")
BEFORE, AFTER = Lsn.parse("0/5000028"), Lsn.parse("0/5000100")
NOWHERE = Lsn(0)

LEADER = Leader(
    system_identifier=SYSTEM, timeline=2, forks={1: FORK}, position=Lsn.parse("0/6000000")
)
FORMER_PRIMARY = ControlData(
    system_identifier=SYSTEM,
    state="shut down",
    timeline=1,
    checkpoint=BEFORE,
    minimum_recovery_end=NOWHERE,
    minimum_recovery_timeline=0,
    checksums=False,
    log_hints=True,
    next_oid=24576,
)
FORMER_STANDBY = replace(
    FORMER_PRIMARY, state="shut down in recovery", minimum_recovery_end=BEFORE,
    minimum_recovery_timeline=1,
)  # fmt: skip
ON_TIMELINE_2 = replace(FORMER_STANDBY, timeline=2, minimum_recovery_timeline=2)


@dataclass(frozen=True)
class Case:
    """A node, the way that it must take, and words of the reason."""

    name: str
    node: ControlData
    kind: str
    why: str
    rewind: str = ""
    unstarted: bool = False
    leader: Leader = LEADER


CASES = [
    Case(
        "a clean shutdown that the leader received is followed",
        FORMER_PRIMARY, "follow", "has its shutdown checkpoint",
    ),
    Case(
        "a clean shutdown of a server that was set back to an older state is cloned",
        FORMER_PRIMARY, "reclone", "it was restored to an older state",
        leader=replace(LEADER, forks={1: Lsn.parse("0/5100000")}),
    ),
    Case(
        "a clean shutdown exactly at the fork was not received",
        replace(FORMER_PRIMARY, checkpoint=FORK), "rewind", "wrote after the fork",
    ),
    Case(
        "a clean shutdown after the fork is rewound",
        replace(FORMER_PRIMARY, checkpoint=AFTER), "rewind", "wrote after the fork at 0/5000098",
    ),
    Case(
        "a crashed primary is rewound wherever its last checkpoint was",
        replace(FORMER_PRIMARY, state="in production"), "rewind", "wrote after the fork",
    ),
    Case(
        "a primary that died in its own crash recovery is no standby",
        replace(
            FORMER_PRIMARY, state="in crash recovery", minimum_recovery_end=BEFORE,
            minimum_recovery_timeline=1,
        ),
        "rewind", "wrote after the fork",
    ),
    Case(
        "a primary that was stopped in its own crash recovery is no standby either",
        replace(FORMER_PRIMARY, state="shut down in recovery"), "rewind", "wrote after the fork",
    ),
    Case(
        "the same on the leader's own timeline is a fork nobody recorded",
        replace(FORMER_PRIMARY, state="shut down in recovery", timeline=2),
        "refuse", "accepted writes on the leader's own timeline",
    ),
    Case(
        "a primary that died while it was shutting down did not shut down",
        replace(FORMER_PRIMARY, state="shutting down"), "rewind", "wrote after the fork",
    ),
    Case(
        "a standby that had not come to the fork follows",
        FORMER_STANDBY, "follow", "had not passed the fork",
    ),
    Case(
        "a standby that stopped exactly at the fork follows",
        replace(FORMER_STANDBY, minimum_recovery_end=FORK), "follow", "had not passed the fork",
    ),
    Case(
        "a standby that was killed before the fork follows",
        replace(FORMER_STANDBY, state="in archive recovery"), "follow", "had not passed the fork",
    ),
    Case(
        "a standby that had passed the fork is rewound",
        replace(FORMER_STANDBY, minimum_recovery_end=AFTER), "rewind", "wrote after the fork",
    ),
    Case(
        "a primary that was stopped in crash recovery before its first checkpoint is no standby",
        replace(
            FORMER_STANDBY, minimum_recovery_end=FORK, minimum_recovery_timeline=1
        ).as_primary(),
        "rewind", "wrote after the fork",
    ),
    Case(
        "a standby that crashed beyond the fork is cloned: nothing but its primary recovers it",
        replace(FORMER_STANDBY, state="in archive recovery", minimum_recovery_end=AFTER),
        "reclone", "crashed as a standby",
    ),
    Case(
        "a standby of the leader's timeline that has made no restartpoint on it yet follows",
        replace(FORMER_STANDBY, minimum_recovery_end=AFTER, minimum_recovery_timeline=2),
        "follow", "standby on the leader's timeline",
    ),
    Case(
        "the same after a crash follows as well",
        replace(
            FORMER_STANDBY, state="in archive recovery", minimum_recovery_end=AFTER,
            minimum_recovery_timeline=2,
        ),
        "follow", "standby on the leader's timeline",
    ),
    Case(
        "without a restartpoint either, one ahead of the leader is a fork nobody recorded",
        replace(
            FORMER_STANDBY, minimum_recovery_end=Lsn.parse("0/6000001"),
            minimum_recovery_timeline=2,
        ),
        "refuse", "silent fork",
    ),
    Case(
        "a standby of the leader's own timeline follows",
        ON_TIMELINE_2, "follow", "standby on the leader's timeline",
    ),
    Case(
        "a standby that has just what the leader has follows",
        replace(ON_TIMELINE_2, minimum_recovery_end=LEADER.position),
        "follow", "standby on the leader's timeline",
    ),
    Case(
        "a standby that is ahead of the leader on one timeline is a fork nobody recorded",
        replace(ON_TIMELINE_2, minimum_recovery_end=Lsn.parse("0/6000001")),
        "refuse", "silent fork",
    ),
    Case(
        "a second primary on the leader's own timeline is a fork nobody recorded",
        replace(ON_TIMELINE_2, state="shut down", minimum_recovery_end=NOWHERE),
        "refuse", "accepted writes on the leader's own timeline",
    ),
    Case(
        "a crashed second primary on the leader's own timeline is refused as well",
        replace(ON_TIMELINE_2, state="in production", minimum_recovery_end=NOWHERE),
        "refuse", "accepted writes on the leader's own timeline",
    ),
    Case(
        "a node that is ahead in timelines is refused: it may be the newer truth",
        replace(FORMER_PRIMARY, timeline=3), "refuse", "timeline 3, ahead of 2",
    ),
    Case(
        "another cluster is refused",
        replace(FORMER_PRIMARY, system_identifier="1"), "refuse", "another cluster",
    ),
    Case(
        "another cluster is refused before its marker is believed",
        replace(FORMER_PRIMARY, system_identifier="1"), "refuse", "another cluster", rewind="done",
    ),
    Case(
        "a rewind that died half-way leaves nothing to follow with",
        FORMER_PRIMARY, "reclone", "died half-way", rewind="started",
    ),
    Case(
        "a rewind that has finished is followed and not done twice",
        replace(FORMER_PRIMARY, checkpoint=AFTER), "follow", "has finished", rewind="done",
    ),
    Case(
        "a timeline that the leader never was on is re-cloned",
        replace(FORMER_PRIMARY, timeline=2), "reclone", "does not descend from timeline 2",
        leader=replace(LEADER, timeline=3),
    ),
    Case(
        "a standby of a timeline that the leader never was on is re-cloned",
        replace(FORMER_STANDBY, minimum_recovery_timeline=2),
        "reclone", "does not descend from timeline 2",
        leader=replace(LEADER, timeline=3),
    ),
    Case(
        "without hints and checksums nothing can be rewound",
        replace(FORMER_PRIMARY, checkpoint=AFTER, log_hints=False), "reclone", "neither checksums",
    ),
    Case(
        "checksums alone are enough for a rewind",
        replace(FORMER_PRIMARY, checkpoint=AFTER, log_hints=False, checksums=True),
        "rewind", "wrote after the fork",
    ),
    Case(
        "without hints and checksums a clean shutdown still follows",
        replace(FORMER_PRIMARY, log_hints=False), "follow", "has its shutdown checkpoint",
    ),
    Case(
        "a new clone that was never started follows, though its control file is its leader's",
        replace(FORMER_PRIMARY, state="in production", timeline=2), "follow", "never started",
        unstarted=True,
    ),
    Case(
        "a clone of a former timeline that was never started is cloned again",
        replace(FORMER_PRIMARY, state="in production"), "reclone", "clone of timeline 1",
        unstarted=True,
    ),
    Case(
        "without its signs the same is a silent fork",
        replace(FORMER_PRIMARY, state="in production", timeline=2), "refuse", "silent fork",
    ),
    Case(
        "two failovers later the oldest fork decides",
        replace(FORMER_PRIMARY, checkpoint=BEFORE), "follow", "has its shutdown checkpoint",
        leader=replace(LEADER, timeline=3, forks={1: FORK, 2: AFTER}),
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_the_cheapest_safe_way_is_taken(case: Case) -> None:
    chosen = way(case.node, case.leader, rewind=case.rewind, unstarted=case.unstarted)

    assert (chosen.kind, case.why in chosen.why) == (case.kind, True), chosen
