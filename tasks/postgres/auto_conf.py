"""postgresql.auto.conf of a standby.

pg_rewind and pg_basebackup copy the leader's, which would point the node at itself or at nobody.
"""

import re
from collections.abc import Collection

from blocks.lines import lines_of
from tasks.postgres.postgresql_conf import quote

FILE = "postgresql.auto.conf"
# A restore from a backup leaves its target in a primary, where it means nothing; a standby would
# stop there. One that is held back on purpose is behind when it is needed. And a stream that asks
# seldom for a word, or begins seldom again, tells too late whether the leader is alive.
OURS = (
    "hot_standby", "primary_conninfo", "primary_slot_name", "restore_command",
    "recovery_min_apply_delay", "recovery_target", "recovery_target_action",
    "recovery_target_inclusive", "recovery_target_lsn", "recovery_target_name",
    "recovery_target_time", "recovery_target_timeline", "recovery_target_xid",
    "wal_receiver_status_interval", "wal_receiver_timeout", "wal_retrieve_retry_interval",
)  # fmt: skip
# What names one machine: its archive, its doors, its folders. On another it would point at nothing,
# and WAL that cannot be archived fills the disk.
MACHINE = (
    "archive_mode", "archive_command", "archive_library", "archive_cleanup_command",
    "recovery_end_command", "port", "listen_addresses", "unix_socket_directories", "cluster_name",
    "data_directory", "config_file", "hba_file", "ident_file", "external_pid_file",
    "log_directory", "stats_temp_directory", "krb_server_keyfile", "ssl_cert_file", "ssl_key_file",
    "ssl_ca_file", "ssl_crl_file", "ssl_crl_dir", "ssl_dh_params_file",
    # What its kernel was set up for: elsewhere PostgreSQL would not start with it.
    "huge_pages", "huge_page_size", "min_dynamic_shared_memory", "shared_memory_type",
    "dynamic_shared_memory_type", "io_method", "wal_sync_method",
)  # fmt: skip
# Of the memory of a host, what PostgreSQL may take at once.
MOST_MEMORY = 0.5
UNITS = {"": 8 << 10, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*) = ('(?:[^'\\]|'')*')")
FOREIGN = re.compile(
    r"command|provider|_file$|_director(y|ies)$|_dir$|_path$|^include", re.IGNORECASE
)


def follow(text: str, *, conninfo: str, slot: str, waits: bool = True) -> str:
    r"""Follow this leader through this slot; keep what ALTER SYSTEM had set besides.

    One that does not wait for standbys of its own must not inherit their names from its leader:
    promoted, it would let every commit wait for nobody.

    >>> own = "work_mem = '8MB'\nprimary_slot_name = 'old'\n"
    >>> print(follow(own, conninfo="host='a'", slot="s"))
    work_mem = '8MB'
    primary_conninfo = 'host=''a'''
    primary_slot_name = 's'
    <BLANKLINE>
    >>> names = "synchronous_standby_names = 'x'\n"
    >>> names in follow(names, conninfo="", slot="")
    True
    >>> names in follow(names, conninfo="", slot="", waits=False)
    False
    """
    if not waits:
        text = _without(text, ("synchronous_standby_names",))
    lines = {"primary_conninfo": conninfo, "primary_slot_name": slot}
    return lead(text) + "".join(f"{name} = {quote(value)}\n" for name, value in lines.items())


def lead(text: str) -> str:
    r"""Follow nobody.

    >>> lead("primary_conninfo = 'x'\nwork_mem = '8MB'\n")
    "work_mem = '8MB'\n"
    """
    return _without(text, OURS)


def without(text: str, names: Collection[str]) -> str:
    r"""Take settings out.

    >>> without("max_connections = '100'\nwork_mem = '8MB'\n", ["max_connections"])
    "work_mem = '8MB'\n"
    """
    return _without(text, tuple(names)) if names else text


def merged(text: str, *, own: str = "") -> str:
    r"""Take over what a leader had set, but for what names its machine: there, the node's own.

    What the node has word for word as the leader came with an earlier copy, and goes. So does what
    would run a program, load a library or read another file: a leader is not root at its standby.

    >>> theirs = "work_mem = '8MB'\nport = '5432'\narchive_mode = 'on'\n"
    >>> merged(theirs)
    "work_mem = '8MB'\n"
    >>> merged(theirs, own="work_mem = '4MB'\narchive_mode = 'on'\nlog_directory = '/log'\n")
    "work_mem = '8MB'\nlog_directory = '/log'\n"
    >>> merged("restore_command 'id'\nssl_passphrase_command = 'id'\ninclude '/tmp/x'\n"
    ...     "shared_preload_libraries = '/tmp/x'\nArchive_Cleanup_Command='id'\nx='a\n'\n")
    ''
    """
    theirs = text.split("\n")
    known = {*theirs}
    mine = (line for line in own.split("\n") if _sets(line, MACHINE) and line not in known)
    kept = [line for line in theirs if _is_harmless(line)]
    return "".join(f"{line}\n" for line in (*kept, *mine))


def fitting(text: str, memory: int) -> tuple[str, str]:
    r"""Leave out buffers that would take more than half of a host's memory; say which.

    >>> fitting("shared_buffers = '64GB'\nwork_mem = '8MB'\n", 16 << 30)
    ("work_mem = '8MB'\n", '64GB')
    >>> fitting("shared_buffers = '262144'\n", 16 << 30)
    ("shared_buffers = '262144'\n", '')
    """
    for found in re.finditer(r"^shared_buffers = '(\d+) ?([kMGT]?B)?'$", text, re.MULTILINE):
        if int(found[1]) * UNITS[found[2] or ""] > MOST_MEMORY * memory:
            return without(text, ["shared_buffers"]), f"{found[1]}{found[2] or ''}"
    return text, ""


def _is_harmless(line: str) -> bool:
    """Tell whether a line, as ALTER SYSTEM writes it, sets what works on any machine alike."""
    if line.startswith("#"):
        return True
    found = SETTING.fullmatch(line)
    if not found or found[1].lower() in MACHINE or FOREIGN.search(found[1]):
        return False
    return "/" not in found[2] or "librar" not in found[1].lower()


def _without(text: str, names: tuple[str, ...]) -> str:
    return "".join(line for line in lines_of(text) if not _sets(line, names))


def _sets(line: str, names: tuple[str, ...]) -> bool:
    return re.match(rf"\s*({'|'.join(names)})(\s*=|\s)", line, re.IGNORECASE) is not None
