"""What is asked of the standby: pure texts.

The watermark W is the xmin of a snapshot. A row version that is visible in a later snapshot of the
same cluster and was not in the earlier one has an xid that is not before the earlier one's xmin:
all transactions before it had ended, and a freeze does not change what xmin says. So the rows that
are new since W are among those with age(xmin) <= age(W), whatever the transactions did. The xip
list of a snapshot is empty on a standby and is not used.
"""

from __future__ import annotations

HEAD = """
SELECT pg_is_in_recovery(), txid_snapshot_xmin(txid_current_snapshot()),
    coalesce(pg_last_wal_replay_lsn(), '0/0'), system_identifier, timeline_id,
    extract(epoch FROM pg_postmaster_start_time()), extract(epoch FROM clock_timestamp()),
    coalesce(extract(epoch FROM pg_last_xact_replay_timestamp()), 0),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    coalesce(to_regclass('public.ir_attachment')::oid, 0)
FROM pg_control_system(), pg_control_checkpoint()
"""
POSITION = "SELECT pg_last_wal_replay_lsn(), pg_is_in_recovery()"
# Each with its owner, and whether this role is let in; -2 is what an interrupted DROP DATABASE
# leaves.
DATABASES = """
SELECT datname, oid, pg_get_userbyid(datdba), datallowconn, has_database_privilege(oid, 'CONNECT')
FROM pg_database WHERE NOT datistemplate AND datconnlimit <> -2 ORDER BY datname
"""
ALL_DATABASES = "SELECT datname FROM pg_database"
TABLE = "SELECT to_regclass('public.ir_attachment') IS NOT NULL"
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
HOLD = "LOCK TABLE public.ir_attachment IN ACCESS SHARE MODE"
# One row for each folder of the filestore, so that a million names are a few hundred values.
EVERYTHING = """
SELECT left(store_fname, -40), string_agg(right(store_fname, 40), ''), count(*)
FROM public.ir_attachment WHERE length(store_fname) IN (43, 44) GROUP BY 1
"""
# The same with what the rows say of the sizes.
SIZES = """
SELECT left(store_fname, -40),
    string_agg(right(store_fname, 40) || coalesce(file_size::text, ''), ' ')
FROM public.ir_attachment WHERE length(store_fname) IN (43, 44) GROUP BY 1
"""
TAIL_ROWS = 500
NEWEST = "SELECT coalesce(max(id), 0) FROM public.ir_attachment"
# How many rows name files of the filestore, how many name something in another storage, and which.
COUNT = r"""
SELECT count(*) FILTER (WHERE here), count(*) FILTER (WHERE NOT here),
    coalesce(min(left(split_part(store_fname, ':', 1), 20)) FILTER (WHERE NOT here), '')
FROM (SELECT store_fname, store_fname ~ '^[0-9a-f]{2,3}/[0-9a-f]{40}$' AS here
    FROM public.ir_attachment WHERE store_fname <> '' OFFSET 0) AS named
"""

# $1 is the watermark. Its age is asked for once; in the condition itself it would be asked for
# each row, which takes three times as long.
CHANGED = """
SELECT DISTINCT store_fname, file_size FROM public.ir_attachment
WHERE age(xmin) <= (SELECT age($1::xid)) AND length(store_fname) IN (43, 44)
"""
# The newest rows: all above an id, and some below, which may have committed late. The id is given
# as a number: for one that PostgreSQL has to look up first it starts parallel workers, which takes
# five times as long.
TAIL = """
SELECT store_fname, file_size FROM public.ir_attachment
WHERE id > $1::bigint AND length(store_fname) IN (43, 44) ORDER BY id
"""
# Which of these files some row still refers to.
STILL_KNOWN = """
SELECT DISTINCT store_fname FROM public.ir_attachment WHERE store_fname = ANY($1::text[])
"""
# Which of these files are of rows that came since a watermark.
CHANGED_OF = """
SELECT DISTINCT store_fname FROM public.ir_attachment
WHERE age(xmin) <= (SELECT age($1::xid)) AND store_fname = ANY($2::text[])
"""
# The documents behind these files, as an operator names them.
BEHIND = """
SELECT a.id, a.name, coalesce(a.res_model || ',' || a.res_id, ''),
    coalesce((SELECT p.name FROM public.res_users u JOIN public.res_partner p
        ON p.id = u.partner_id WHERE u.id = a.create_uid), ''),
    coalesce(to_char(a.create_date, 'YYYY-MM-DD HH24:MI:SS'), ''), a.store_fname
FROM public.ir_attachment a WHERE a.store_fname = ANY($1::text[]) ORDER BY a.id
"""


def watermark(xmin: int) -> int:
    """The transaction id of a watermark, which counts on past 2^32.

    >>> watermark(2**32 + 700)
    700
    """
    return xmin % 2**32


def top(newest: int) -> int:
    """The id above which rows are the newest."""
    return newest - TAIL_ROWS
