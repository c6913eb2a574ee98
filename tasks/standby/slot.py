"""What the slot of an instance keeps at its origin, and slots that keep WAL for nobody."""

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from tasks.run.moments import size

# wal_status came with release 13.
SLOT = """
SELECT active, coalesce(to_jsonb(s) ->> 'wal_status', 'unknown') AS status,
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS kept
FROM pg_replication_slots s WHERE slot_name = $1
"""


def judge(instance: OdooInstance) -> str:
    """Require that the slot is there, and that the recovery host keeps none for nobody."""
    origin = instance.origin
    rows = origin.cluster.query(origin.host.shell(), SLOT, instance.name)
    if not rows or rows[0]["status"] == "lost":
        raise RelevoError(f"the slot {instance.name} on {origin} is lost")
    strangers = _strangers(instance)
    if strangers:
        raise RelevoError(
            f"{instance.recovery} has replication slots with no consumer, which retain WAL: "
            f"{strangers}"
        )
    kept = size(float(rows[0]["kept"] or 0))
    return f"{'active' if rows[0]['active'] else 'inactive'}, keeps {kept} of WAL"


def _strangers(instance: OdooInstance) -> str:
    """Slots on a standby that nobody reads from."""
    recovery = instance.recovery
    sql = "SELECT slot_name FROM pg_replication_slots WHERE NOT active"
    rows = recovery.cluster.query(recovery.host.shell(), sql)
    return ", ".join(str(row["slot_name"]) for row in rows)
