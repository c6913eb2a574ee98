"""A step that a person does by hand, and the commands of which many of them are made.

A block is pasted whole, by somebody tired: it goes on only as long as all is well, and what depends
on the night is read by a command. Braces of the shell are doubled, for the names are put in.
"""

from dataclasses import dataclass
from typing import Literal

from blocks.names import Language

Where = Literal["origin", "recovery", "Prefect", "DNS", "you"]
# What pg_control says of the server that wrote the WAL: nobody follows it with lower limits.
LIMITS = (
    "sed -n -E"
    " -e 's/^(max_connections|max_worker_processes|max_wal_senders) setting: *([0-9]+)/\\1 = \\2/p'"
    " -e 's/^max_prepared_xacts setting: *([0-9]+)/max_prepared_transactions = \\1/p'"
    " -e 's/^max_locks_per_xact setting: *([0-9]+)/max_locks_per_transaction = \\1/p'"
)
# A clean shutdown writes nothing after its checkpoint, whose record has at most so many bytes.
HAS_ALL = (
    "SELECT has > '$2'::pg_lsn AND pg_wal_lsn_diff(has, '$2'::pg_lsn) <= 512 "
    "AND system_identifier = '$1'::bigint FROM pg_control_system(), "
    "(SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS has) AS received"
)
DROP_LOST_SLOT = (
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
    "WHERE slot_name = '{instance}' AND NOT active AND restart_lsn IS NULL"
)
MAKE_SLOT = (
    "SELECT pg_create_physical_replication_slot('{instance}', true) WHERE NOT EXISTS "
    "(SELECT FROM pg_replication_slots WHERE slot_name = '{instance}')"
)
# The status of Odoo's first page; it may take a minute to make it.
LOGIN = (
    'import http.client, sys; odoo = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), '
    'timeout=60); odoo.request("GET", "/web/login"); print(odoo.getresponse().status)'
)
PRINT = "printf '%s\\n' \"$answer\""
# Where WAL ends, as it goes from one server to the other.
ENDS = "[0-9]+ [0-9A-F]+/[0-9A-F]+"
GO_ON = 'test "$answer" = t'


@dataclass(frozen=True)
class Step:
    """One step of a procedure: what is done, what has to hold before (`note`), and the commands.

    Notes may name the step before.
    """

    where: Where
    en: str
    es: str
    commands: tuple[str, ...] = ()
    note_en: str = ""
    note_es: str = ""

    def text(self, language: Language) -> str:
        return self.en if language == "en" else self.es

    def note(self, language: Language) -> str:
        return self.note_en if language == "en" else self.note_es


def psql(place: str) -> str:
    return (
        f"{as_owner(place)}psql --cluster {{{place}_cluster}} -U postgres -d postgres -XAtq "
        "-v ON_ERROR_STOP=1"
    )


def ask(place: str, sql: str) -> str:
    return f'{psql(place)} -c "{sql}"'


def require(place: str, sql: str) -> tuple[str, ...]:
    """Print what a cluster answers, and go on only if that is t."""
    return f"answer=$({ask(place, sql)})", PRINT, GO_ON


def await_true(place: str, sql: str, *, seconds: int = 60) -> tuple[str, ...]:
    """The same, for what becomes true within seconds."""
    return (
        f"for second in $(seq {seconds}); do",
        f"  answer=$({ask(place, sql)} 2>/dev/null) || answer=",
        '  test "$answer" != t || break',
        "  sleep 1",
        "done",
        PRINT,
        GO_ON,
    )


def as_owner(place: str) -> str:
    """As the user whom a cluster's files belong to."""
    return f"runuser -u {{{place}_owner}} -- "


def at_boot(place: str, how: str) -> str:
    return f"echo {how} | {{{place}_configured}}tee {{{place}_config}}/start.conf"


def directory(place: str) -> str:
    """Read where a cluster has its data: it may be elsewhere than when the page was drawn."""
    words = f"pg_conftool -s {{{place}_cluster_words}} show data_directory"
    return f"data=$({as_owner(place)}{words})"


def control(place: str, folder: str = "$data") -> str:
    return f'{as_owner(place)}env LC_ALL=C {{{place}_bin}}/pg_controldata -D "{folder}"'


def stop(place: str) -> str:
    return f"{{{place}_ctl}} stop || test $? -eq 2   # 2: it was down already"


def start(unit: str) -> tuple[str, str]:
    return f"systemctl reset-failed {unit} 2>/dev/null || true", f"systemctl start {unit}"


def stopped(place: str) -> tuple[str, ...]:
    """Stop a cluster, see that it stopped cleanly, and print where its WAL ends."""
    return (
        at_boot(place, "manual"),
        "systemctl daemon-reload",
        stop(place),
        directory(place),
        f"said=$({control(place)})",
        "printf '%s\\n' \"$said\" | grep -E '^Database cluster state: +shut down$'",
        (
            "ends=$(printf '%s\\n' \"$said\" | sed -n -e 's/^Database system identifier: *//p' "
            "-e 's/^Latest checkpoint location: *//p' | paste -s -d ' ')"
        ),
        'printf "stopped=\'%s\'\\n" "$ends"',
    )


def pasted(name: str, form: str) -> tuple[str, ...]:
    """Ask for the line that a block has printed at the other server, and take words from it alone.

    Whoever owns that server says what the line is: here it is text of one form, and no command.
    """
    taken = f"s,^{name}='({form})'$,\\1,p"
    return (
        f"printf '{name}=? ' >&2",
        "line=",
        'while test -z "$line"; do read -r line; done',
        f'{name}=$(printf \'%s\\n\' "$line" | sed -n -E "{taken}")',
        f'test -n "${name}"',
    )


def has_all(place: str) -> tuple[str, ...]:
    """Require all that the other cluster wrote, from the line that `stopped` printed there."""
    return *pasted("stopped", ENDS), "set -- $stopped", *await_true(place, HAS_ALL)


def follows(place: str, leader: str, folder: str = "$data") -> tuple[str, ...]:
    """Write the signal file and the connection of a standby."""
    owner, conf = as_owner(place), f"{folder}/postgresql.auto.conf"
    ours = "primary_conninfo|primary_slot_name|restore_command|recovery_target"
    return (
        f'{owner}install -m 600 /dev/null "{folder}/standby.signal"',
        f"{owner}sed -i -E '/^({ours})/d' \"{conf}\"",
        (
            f"printf '%s\\n' \"primary_conninfo = '{{{leader}}} application_name={{instance}}'\" "
            f'"primary_slot_name = \'{{instance}}\'" | {owner}tee -a "{conf}"'
        ),
    )


def streams(place: str) -> tuple[str, ...]:
    """Start a standby, and wait until it streams."""
    sql = (
        "SELECT pg_is_in_recovery() AND EXISTS "
        "(SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
    )
    return *start(f"{{{place}_cluster_unit}}"), *await_true(place, sql, seconds=120)


def keeps_wal(place: str) -> tuple[str, str]:
    """Have a slot for the other server; one that was lost is made anew."""
    return ask(place, DROP_LOST_SLOT), ask(place, MAKE_SLOT)


def promoted(place: str) -> tuple[str, ...]:
    """Promote a standby; one that accepts writes already is left as it is."""
    return (
        f'if test "$({ask(place, "SELECT pg_is_in_recovery()")})" = t; then',
        f"  {{{place}_ctl}} promote",
        "fi",
        *await_true(place, "SELECT NOT pg_is_in_recovery()", seconds=120),
        at_boot(place, "auto"),
        ask(place, "CHECKPOINT"),
    )


def odoo_stops(place: str) -> tuple[str, ...]:
    return (
        f"systemctl disable {{{place}_unit}}",
        f"systemctl stop {{{place}_unit}}",
        f"test -z \"$(ss -Hltn 'sport = :{{{place}_http_port}}')\"",
    )


def odoo_serves(place: str) -> tuple[str, ...]:
    """Start Odoo, now and at each boot, and wait until it answers."""
    return (
        *start(f"{{{place}_unit}}"),
        f"systemctl enable {{{place}_unit}}",
        "for second in $(seq 60); do",
        f"  answer=$(python3 -c '{LOGIN}' {{{place}_http_port}} 2>/dev/null) || answer=503",
        '  test "$answer" -ge 500 || break',
        "  sleep 1",
        "done",
        PRINT,
        'test "$answer" -lt 500',
    )


def copied(command: str) -> str:
    return f"{command} || test $? -eq 24   # 24: a file was deleted meanwhile"
