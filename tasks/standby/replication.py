"""Slots, and the stream between two clusters."""

import time

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.postgres.observe import observe, observe_leader, received, replayed
from tasks.postgres.wal import Lsn
from tasks.run import moments
from tasks.run.step import step
from tasks.run.wait import until

STREAM_SECONDS = 120
RECEIVE_SECONDS, REPLAY_SECONDS, FOLLOW_SECONDS = 20, 60, 15
# A record that is flushed at once, for it is committed.
MARK = "SELECT pg_create_restore_point('relevo') FROM txid_current()"
SLOT = """
SELECT restart_lsn IS NOT NULL AS reserved, active FROM pg_replication_slots WHERE slot_name = $1
"""
# Both ends of one stream.
SENDS = """
SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'
"""
RECEIVES = """
SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming' AND slot_name = $1
    AND sender_host = $2 AND sender_port = $3
"""
OUT_OF_REACH = """
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn) >= 0 AND NOT EXISTS (
    SELECT FROM pg_ls_waldir() WHERE name = pg_walfile_name($1::pg_lsn))
"""
REPLAY = """
SELECT pg_last_wal_replay_lsn() AS replayed,
    extract(epoch FROM now() - pg_last_xact_replay_timestamp()) AS seconds
"""
REPLAYED = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)"


def ensure_slot(shell: Shell, leader: Place, name: str) -> None:
    rows = leader.cluster.query(shell, SLOT, name)
    if rows and not rows[0]["reserved"] and not rows[0]["active"]:
        leader.cluster.execute(shell, "SELECT pg_drop_replication_slot($1)", name)
        rows = []
    if not rows:
        leader.cluster.execute(shell, "SELECT pg_create_physical_replication_slot($1, true)", name)


def is_out_of_reach(standby: Place, leader: Place) -> bool:
    """Tell whether the leader has thrown away WAL that a standby still needs."""
    if not observe(standby).is_standby:
        return False
    needs = str(received(standby))
    return leader.cluster.value(leader.host.shell(), OUT_OF_REACH, needs) == "t"


@step("drop slot {instance.name} on {place}")
def drop_slot(instance: OdooInstance, place: Place) -> None:
    """Let go of the WAL that nobody will fetch: a standby's own slots serve no one."""
    shell, cluster = place.host.shell(), place.cluster
    if cluster.query(shell, SLOT, instance.name):
        cluster.execute(shell, "SELECT pg_drop_replication_slot($1)", instance.name)


def is_streaming(instance: OdooInstance, standby: Place, leader: Place) -> bool:
    """Tell whether the leader sends to this standby, and the standby receives from this leader."""
    source = (instance.name, leader.host.peer_address, leader.cluster.port)
    return bool(
        leader.cluster.query(leader.host.shell(), SENDS, instance.name)
        and standby.cluster.query(standby.host.shell(), RECEIVES, *source)
    )


def comes_to_follow(instance: OdooInstance, standby: Place, leader: Place) -> bool:
    """Tell whether a standby follows, or does so soon: a reboot of either breaks the stream."""
    ends = time.monotonic() + FOLLOW_SECONDS
    while not is_streaming(instance, standby, leader):
        if time.monotonic() > ends:
            return False
        time.sleep(1)
    return True


MOST_BEHIND_BYTES = 64 << 20
MOST_UNARCHIVED = 16
# One that takes a base backup has sent no position, and is ended by a stop.
OTHERS = """
SELECT application_name || ' (' || coalesce(host(client_addr), 'local') || ')' AS who
FROM pg_stat_replication WHERE application_name <> ALL($1::text[])
AND pg_wal_lsn_diff(pg_current_wal_lsn(), sent_lsn) > $2::bigint
"""
UNARCHIVED = """
SELECT count(*) FROM pg_ls_archive_statusdir()
WHERE name LIKE '%.ready' AND current_setting('archive_mode') <> 'off'
"""


@step("wait until {standby} streams from {leader}")
def wait_until_streaming(instance: OdooInstance, standby: Place, leader: Place) -> None:
    """Wait for the stream, and until the standby has replayed what the leader has now."""
    until(
        lambda: is_streaming(instance, standby, leader),
        what=f"{standby} streams from {leader}",
        timeout_seconds=STREAM_SECONDS,
        hint=f"read the end of PostgreSQL's log on {standby}",
    )
    require_no_fork(standby, leader)
    wait_until_replayed(standby, str(observe_leader(leader).position))


@step("require that {standby} receives what {leader} writes")
def require_receiving(standby: Place, leader: Place) -> None:
    """Refuse a standby that only seems to stream: one that hangs is believed for a minute.

    A leader that was stopped for a hand-over already has proven it otherwise.
    """
    if not observe(leader).is_primary:
        return
    mark = Lsn.parse(leader.cluster.execute(leader.host.shell(), MARK))
    try:
        until(
            lambda: received(standby) >= mark,
            what=f"{standby} receives what {leader} writes now", timeout_seconds=RECEIVE_SECONDS,
        )  # fmt: skip
    except CommandFailed as error:
        raise Refused(
            f"{error.message}: {leader} is at {mark}, it has {received(standby)}",
            hint=f"check that {standby} reaches {leader.host.peer_address} port "
            f"{leader.cluster.port}; if it does, restart {standby.cluster.unit} there. Run "
            "this again when check is green. Nothing was stopped",
        ) from error


@step("require that {standby} has replayed what {leader} has written")
def require_replayed(standby: Place, leader: Place) -> None:
    """Refuse a standby that streams and stands still, as one does that has forked.

    A leader that was stopped for a hand-over already has proven it otherwise.
    """
    if not observe(leader).is_primary:
        return
    require_no_fork(standby, leader)
    position = str(observe_leader(leader).position)
    try:
        wait_until_replayed(standby, position, timeout_seconds=REPLAY_SECONDS)
    except CommandFailed as error:
        raise Refused(
            f"{error.message}: it has {replayed(standby)}",
            hint="run this again if it moves; if it stands still, it has forked: read "
            f"PostgreSQL's log on {standby}, and run failback with reclone. Nothing was "
            "stopped",
        ) from error


def require_quick(instance: OdooInstance, old_primary: Place, new_primary: Place) -> int:
    """Refuse to stop an old primary for which customers would wait; give the bytes to be replayed.

    A promotion replays what was received before it ends. A clean stop waits until the archiver has
    its backlog, and every other standby and backup has what was written (PostgreSQL manual,
    "Shutting Down the Server").
    """
    position = observe_leader(old_primary).position
    behind = max(0, position - replayed(new_primary))
    if behind > MOST_BEHIND_BYTES:
        raise Refused(
            f"{new_primary} is {moments.size(behind)} behind {old_primary}: customers would wait "
            "for it",
            hint="wait until it has caught up (check shows the lag)",
        )
    shell, cluster = old_primary.host.shell(), old_primary.cluster
    ours = [instance.name, f"{instance.name}_clone"]
    slow = cluster.query(shell, OTHERS, ours, MOST_BEHIND_BYTES)
    if slow:
        raise Refused(
            f"{old_primary} could not stop: {slow[0]['who']}, which streams from it too, is "
            "far behind",
            hint="let it catch up, or end it (pg_terminate_backend) if it does not need what is "
            "written",
        )
    if (waiting := int(cluster.value(shell, UNARCHIVED))) > MOST_UNARCHIVED:
        raise Refused(
            f"{old_primary} could not stop: {waiting} segments of WAL wait to be archived",
            hint="check that its archive_command works, and let it catch up",
        )
    return int(behind)


def require_no_fork(standby: Place, leader: Place) -> None:
    """Refuse a standby that is ahead of its own leader: both wrote on one timeline."""
    has = received(standby)
    at = observe_leader(leader).position
    if has > at:
        raise Refused(
            f"{standby} holds WAL up to {has}, which {leader} (at {at}) never wrote: "
            "both have written on the same timeline",
            hint="keep both data directories; run failback with reclone to make a new standby",
        )


def wait_until_replayed(standby: Place, position: str, timeout_seconds: float = 600) -> None:
    """Wait until a standby has replayed up to a position."""
    shell = standby.host.shell()
    until(
        lambda: standby.cluster.value(shell, REPLAYED, position) == "t",
        what=f"{standby} has replayed up to {position}",
        timeout_seconds=timeout_seconds,
        hint=f"check whether replay is paused on {standby}: SELECT pg_is_wal_replay_paused()",
    )


def replay(standby: Place) -> tuple[Lsn, float | None]:
    """How far a standby has replayed, and how long ago the last commit of it was made."""
    row = standby.cluster.query(standby.host.shell(), REPLAY)[0]
    seconds = float(row["seconds"]) if row["seconds"] is not None else None
    return Lsn.parse(str(row["replayed"])), seconds


def is_following(instance: OdooInstance, node: Place, leader: Place) -> bool:
    """Tell whether a node already is the leader's standby."""
    return observe(node).is_standby and is_streaming(instance, node, leader)
