"""Whether both servers fit each other: versions, sorting, extensions, clocks, disks and doors.

The versions of our own programs there are among them.
"""

import time

from blocks.answers import understood
from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host import files
from tasks.install import programs
from tasks.install.release import VERSIONS
from tasks.logins import certificate
from tasks.odoo import customers, odoo_conf
from tasks.odoo.customers import Database
from tasks.postgres.observe import observe
from tasks.postgres.postgresql_conf import libraries
from tasks.readiness import compatibility_rules
from tasks.readiness.compatibility_rules import Pair, Side
from tasks.run.step import log, step
from tasks.serving.x509 import Chain, today
from tasks.standby import clone

SIDE = """
bin=$1 directory=$2 peer=$3 port=$4 reach=$5 versions=$6
shift 6
"$bin/postgres" --version | cut -d' ' -f3
getconf GNU_LIBC_VERSION | cut -d' ' -f2
date +%s.%N
df --output=avail -B1 "$directory" | tail -n 1
df --output=avail -B1 "$directory/pg_wal" | tail -n 1
sh -c "$versions" versions "$@"
python3 -I -S -c "$reach" "$peer" "$port"
"""
# Nothing may listen there now (the door of the recovery host is shut while it follows); a host that
# says so is reached, and one behind a firewall says nothing.
REACH = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
    print("open")
except ConnectionRefusedError:
    print("shut")
except OSError:
    print("silent")
"""
# Arguments: the program above, an address, and ports.
WEB = """
reach=$1 address=$2
shift 2
for port; do python3 -I -S -c "$reach" "$address" "$port"; done
"""
ABILITIES = """
SELECT 'on' IN (current_setting('wal_log_hints'), current_setting('data_checksums')) AS rewindable,
    current_setting('archive_mode') <> 'off' AS archives,
    current_setting('shared_preload_libraries') AS preloaded,
    current_setting('fsync') AS fsync
"""
# A promotion empties them, and a standby never has their rows (PostgreSQL manual, CREATE TABLE).
UNLOGGED = """
SELECT c.oid::regclass::text AS name FROM pg_class c
WHERE c.relpersistence = 'u' AND c.relkind = 'r' ORDER BY 1 LIMIT 20
"""
SIZE = "SELECT sum(pg_database_size(oid))::bigint FROM pg_database"
# What a database asks of its server.
LACKING = """
SELECT extname AS name FROM pg_extension
WHERE extname NOT IN (SELECT name FROM pg_available_extensions)
"""
EXTENSIONS = "SELECT extname AS name FROM pg_extension"
# Indexes whose order is glibc's: of the database's own collation, or of one that names glibc.
SORTED = """
SELECT DISTINCT i.indexrelid::regclass::text AS name
FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid,
    LATERAL unnest(i.indcollation::oid[]) AS used(oid)
    JOIN pg_collation k ON k.oid = used.oid
    JOIN pg_database d ON d.datname = current_database()
WHERE r.relnamespace <> 'pg_catalog'::regnamespace AND (
    (k.collprovider = 'd' AND d.datcollate NOT IN ('C', 'POSIX'))
    OR (k.collprovider = 'c' AND k.collcollate NOT IN ('C', 'POSIX')))
"""


# The same of ICU's: its versions are noted where an index was made.
SORTED_BY_ICU = """
SELECT DISTINCT i.indexrelid::regclass::text AS name
FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid,
    LATERAL unnest(i.indcollation::oid[]) AS used(oid)
    JOIN pg_collation k ON k.oid = used.oid
    JOIN pg_database d ON d.datname = current_database()
WHERE r.relnamespace <> 'pg_catalog'::regnamespace
    AND (k.collprovider = 'i' AND k.collversion <> pg_collation_actual_version(k.oid){default})
"""
# Since release 15 that of the database may be ICU's.
DEFAULT_BY_ICU = """ OR (k.collprovider = 'd' AND d.datlocprovider = 'i'
    AND d.datcollversion <> pg_database_collation_actual_version(d.oid))"""


@step("require that {instance.origin} and {instance.recovery} are compatible")
def require(instance: OdooInstance) -> None:
    """Refuse a pair of servers between which a move would fail; say what should be mended."""
    pair = measure(instance)
    log().info("%s", pair)
    for remark in compatibility_rules.remarks(pair):
        log().warning("%s", remark)
    if found := compatibility_rules.wrong(pair):
        raise Refused(
            "; ".join(found),
            hint="fix this and run replicate again; the replica is there and follows",
        )


def measure(instance: OdooInstance) -> Pair:
    """Ask both servers; the standby answers for the databases."""
    origin, recovery = instance.origin, instance.recovery
    sides = _side(instance, origin), _side(instance, recovery)
    all_of_them, odoos = customers.databases(recovery), customers.odoo(recovery)
    same = sides[0].glibc == sides[1].glibc
    wishes = instance.replication
    return Pair(
        *sides,
        data_bytes=int(recovery.cluster.value(recovery.host.shell(), SIZE)),
        kept_bytes=max(wishes.wal_keep_mb, wishes.slot_cap_mb) << 20,
        lacking=_names(all_of_them, LACKING),
        sorted_by_glibc={} if same else _names(all_of_them, SORTED),
        sorted_by_icu=_names(all_of_them, _by_icu(recovery.cluster.version)),
        role=_role(instance),
        owners={each.name: [each.owner] for each in odoos.databases},
        shut=_shut_to_customers(instance),
        address=recovery.host.shown_address,
        unlogged=_names(all_of_them, UNLOGGED),
    )


def _shut_to_customers(instance: OdooInstance) -> tuple[str, ...]:
    """Name the ports of the recovery host's nginx that do not answer the origin.

    That host itself sees nothing of its own firewall; the origin comes in as customers would.
    """
    if not instance.domains:
        return ()
    tls = any(map(instance.certificate_of, instance.domains))
    ports = ("80", "443") if tls else ("80",)
    argv = ("sh", "-c", WEB, "web", REACH, instance.recovery.host.shown_address, *ports)
    said = instance.origin.host.shell().run(argv).stdout.split()
    return tuple(port for port, each in zip(ports, said, strict=True) if each != "open")


def _by_icu(version: int) -> str:
    return SORTED_BY_ICU.format(default=DEFAULT_BY_ICU if version >= 15 else "")  # noqa: PLR2004


def _role(instance: OdooInstance) -> str:
    """The role of Odoo, whose databases it serves; nothing where it is not built yet."""
    text = files.read(instance.recovery.host.shell(), instance.recovery.odoo.config)
    return odoo_conf.database_role(text, default="")


def _names(asked: list[Database], sql: str) -> dict[str, list[str]]:
    said = customers.each(asked, sql).rows
    return {name: [str(row["name"]) for row in said[name]] for name in sorted(said)}


def _side(instance: OdooInstance, place: Place) -> Side:
    peer = instance.opposite(place)
    argv = (
        "sh", "-c", SIDE, "side", str(place.cluster.bin_dir), str(observe(place).directory),
        peer.host.peer_address, str(peer.cluster.port), REACH, VERSIONS,
        *map(str, programs.installed(instance, place)),
    )  # fmt: skip
    shell, asked = place.host.shell(), time.time()
    fields = shell.run(argv).stdout.split()
    answered = time.time()
    with understood(f"what {place} says of itself"):
        postgres, glibc, clock, free, for_wal, *versions, ready = fields
        clock_there, free_bytes, wal_bytes = float(clock), int(free), int(for_wal)
    able = place.cluster.query(shell, ABILITIES)[0]
    days_left, is_known = _certificate(instance, place)
    return Side(
        name=str(place),
        postgres=postgres,
        glibc=glibc,
        # The way comes last and may wait: what is read before it is nearer to the question.
        clock_ahead=clock_there - (asked if answered - asked > 1 else (asked + answered) / 2),
        free_bytes=free_bytes,
        free_for_wal=wal_bytes,
        reaches=ready == "open" or (ready == "shut" and peer.cluster.confined),
        rewindable=bool(able["rewindable"]),
        archives=bool(able["archives"]),
        wal_is=clone.wal_is(place),
        programs=tuple(versions),
        preloaded=libraries(str(able.get("preloaded", ""))),
        certificate_days=days_left,
        certificate_known=is_known,
        fsync=able.get("fsync", "on") == "on",
    )


def _certificate(instance: OdooInstance, place: Place) -> tuple[int | None, bool]:
    """How long the other server believes this one's PostgreSQL, and whether it knows it.

    What is not pinned is not held against any date. The recovery host's is pinned anew each time
    that the origin logs in there.
    """
    peer = instance.opposite(place)
    pinned = files.read(peer.host.shell(), certificate.path(instance, peer, place))
    if not pinned:
        return None, True
    text = certificate.shown(place)
    with understood(f"the certificate of PostgreSQL on {place}"):
        days = Chain.parse(text).days_left(today())
    return days, place.kind == "recovery" or text == pinned
