"""What must be true after every procedure, measured on the hosts and not in Prefect."""

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from flows.check import NOTHING
from tasks.run.report import Report
from tests.lab.image import DATABASES
from tests.lab.lab import Lab, Origin
from tests.lab.machine import FIND_SOCKET, Machine, wait_until
from tests.lab.trouble import LabError

# One loop inside each host, so that no network stands between the question and the answer; one
# session as long as the server lives, for a new one costs more than all that it is asked.
# It ends by itself after a while, and is begun again: nobody waits for it for ever. It tells the
# time since this machine's boot, the same on all hosts whatever their clocks say.
PAGES = {"by-hand", "reports"}  # for people; no procedure reads them
PROBE = rf"""
{FIND_SOCKET}
sql="SELECT split_part(pg_read_file('/proc/uptime', 0, 30), ' ', 1), pg_is_in_recovery();" n=0
ask() {{
    while [ -e /run/relevo-probe ] && [ "$n" -lt 400 ]; do
        echo "$sql" 2>/dev/null || return
        n=$((n + 1))
        sleep 0.1
    done
}}
end=$(($(date +%s) + 60))
while [ -e /run/relevo-probe ] && [ "$(date +%s)" -lt "$end" ]; do
    find_socket "$2"
    ask | runuser -u "$owner" -- /usr/lib/postgresql/$1/bin/psql -h "$sockets" -p "$2" \
        -U postgres -d postgres -XAtqF ' ' 2>/dev/null
    echo "$(cut -d ' ' -f 1 /proc/uptime) -"
    sleep 0.1
done
"""


class Pair:
    """An instance of the lab with both of its ends."""

    def __init__(
        self, lab: Lab, name: str, origin: Origin, port: int, http_port: int,
        *, synchronous: bool = False,
    ) -> None:  # fmt: skip
        self.lab, self.name, self.origin = lab, name, origin
        self.synchronous = synchronous
        self.port, self.http_port = port, http_port

    @property
    def recovery(self) -> Machine:
        return self.lab.respaldo

    def at_origin(self, sql: str, database: str = "postgres") -> str:
        return self.origin.machine.psql(self.origin.port, sql, database)

    def at_recovery(self, sql: str, database: str = "postgres") -> str:
        return self.recovery.psql(self.port, sql, database)

    @property
    def ends(self) -> list[tuple[Machine, int]]:
        return [(self.origin.machine, self.origin.port), (self.recovery, self.port)]

    def is_home(self) -> bool:
        """The origin serves and the recovery follows it."""
        return (
            self.at_origin("SELECT pg_is_in_recovery()") == "f"
            and self.at_recovery("SELECT pg_is_in_recovery()") == "t"
            and self.at_origin(
                "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' "
                f"AND application_name = '{self.name}'"
            )
            == "1"
        )


def ready(report: Report) -> None:
    """A check found nothing to be mended, but that nobody may have rehearsed yet."""
    assert report.facts["why"] in {NOTHING, "no drill or move yet"}


def no_strangers(pair: Pair, *, time_machine: bool = False) -> None:
    """Nothing is left of a procedure: slots, signal files, markers, permissions, records."""
    version, data = pair.lab.generation.postgres, "/var/lib/postgresql"
    slots = "SELECT string_agg(slot_name || ' ' || active, ',') FROM pg_replication_slots"
    assert pair.at_origin(slots) == f"{pair.name} true"
    assert pair.at_recovery(slots) == ""
    origin, recovery = pair.origin.machine, pair.recovery
    # What was put aside is kept as it was, its signal file with it.
    signals = f"find {data}/{version}/*/ -maxdepth 1 -name '*.signal' -not -path '*.quarantine-*'"
    assert _lines(origin, signals) == []
    assert _lines(recovery, f"{signals} -path '*{pair.name}*'") == [
        f"{data}/{version}/{pair.name}/standby.signal"
    ]
    receipts = {"receipts", "right.json"}
    records = {
        "identity.json", "link.json", "notes", "by-hand", "asked", "users.json", "postgres",
        "signers", "reports", *receipts, *(["archive"] if time_machine else []),
    }  # fmt: skip
    history = {"history.jsonl", "history.1.jsonl"}
    assert set(_lines(recovery, f"ls /var/lib/relevo/{pair.name}")) <= records | history
    at_origin = receipts | ({"synchronous.json"} if pair.synchronous else set())
    wait_until(
        lambda: (
            set(_lines(origin, f"ls /var/lib/relevo/{pair.name}")) - PAGES - history == at_origin
        ),
        "nothing but receipts, reports, a page and the history is kept at the origin",
    )
    if pair.synchronous:
        state = f"grep -q '\"synchronous\"' /var/lib/relevo/{pair.name}/synchronous.json"
        origin.wait_until_succeeds("sh", "-c", state, timeout_seconds=200)
    names = f'FIRST 1 ("{pair.name}")' if pair.synchronous else ""
    assert pair.at_origin("SHOW synchronous_standby_names") == names
    assert pair.at_recovery("SHOW synchronous_standby_names") == "", "it waits for nobody"
    same = f"cd /var/lib/relevo/{pair.name} && sha256sum right.json receipts/*"
    assert _lines(origin, same) == _lines(recovery, same), "both hosts keep the same receipts"
    assert _lines(origin, f"ls /run/relevo/{pair.name}.writable 2>/dev/null || true") == []
    assert start_conf(origin, version, pair.origin.cluster) == "auto"
    assert start_conf(recovery, version, pair.name) == "auto"
    unit = f"odoo_{pair.name}.service"
    assert recovery.run("systemctl", "is-active", unit, check=False).stdout != "active\n"
    assert recovery.run("systemctl", "is-enabled", unit, check=False).stdout == "disabled\n"
    assert origin.run("systemctl", "is-enabled", pair.origin.unit).stdout == "enabled\n"
    transient = "systemctl list-units --all --plain --no-legend 'relevo-*' | awk '{print $1}'"
    left: list[str] = []

    def none_is_left() -> bool:
        left[:] = _of(pair, _lines(recovery, transient))
        return not left

    # A scheduled copy that is under way ends by itself; the next may begin a moment later.
    with suppress(TimeoutError):
        wait_until(none_is_left, "no long command is left")
    assert not left, f"long commands are left: {left}"
    ours = ["guard", *(["synchronous"] if pair.synchronous else [])]
    assert _lines(origin, transient) == [f"relevo-{each}-{pair.name}.service" for each in ours]


def _of(pair: Pair, units: list[str]) -> list[str]:
    """The units of an instance, but for those that always are there."""
    lasting = ("relevo-follow-", "relevo-door-", "relevo-archive-")
    return [unit for unit in units if pair.name in unit and not unit.startswith(lasting)]


INDEXES = """
SELECT count(bt_index_check(c.oid, true)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relpersistence = 'p' AND indisvalid
"""
HEAPS = """
SELECT count(*) FROM pg_class c, LATERAL verify_heapam(c.oid) WHERE relkind = 'r'
AND relpersistence = 'p'
"""
SPOILED = "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"


def sound(pair: Pair) -> None:
    """Every index agrees with its table at both ends, and every page with its checksum if any."""
    for database in DATABASES:
        pair.at_origin("CREATE EXTENSION IF NOT EXISTS amcheck", database)
        there = "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'"
        wait_until(partial(_says, pair.at_recovery, there, database, "1"), "amcheck is replayed")
        for ask in (pair.at_origin, pair.at_recovery):
            assert int(ask(INDEXES, database)) > 0
            if pair.lab.generation.postgres >= 14:  # the release of verify_heapam
                assert ask(HEAPS, database) == "0"
            if pair.lab.generation.checksums:
                assert ask("SHOW data_checksums", database) == "on"
                assert ask(SPOILED, database) == "0"


def _says(ask: Callable[[str, str], str], sql: str, database: str, wanted: str) -> bool:
    return ask(sql, database) == wanted


def _lines(machine: Machine, command: str) -> list[str]:
    return machine.run("sh", "-c", command).stdout.split("\n")[:-1]


def start_conf(machine: Machine, version: int, cluster: str) -> str:
    text = machine.read(f"/etc/postgresql/{version}/{cluster}/start.conf")
    return re.sub(r"#.*", "", text).strip()


@contextmanager
def probing(pair: Pair) -> Iterator[list[list[tuple[float, str]]]]:
    """Ask both ends for their roles ten times a second; a host that is off says nothing."""
    answers: list[list[tuple[float, str]]] = [[], []]
    ended = threading.Event()
    version = str(pair.lab.generation.postgres)
    booted = time.time() - float(Path("/proc/uptime").read_text().split()[0])

    def probe(index: int, machine: Machine, port: int) -> None:
        while not ended.is_set():
            with suppress(LabError):
                machine.run("touch", "/run/relevo-probe")
                done = machine.run("sh", "-c", PROBE, "probe", version, str(port), check=False)
                pairs = (line.split() for line in done.stdout.splitlines())
                answers[index] += [(booted + float(p[0]), p[1]) for p in pairs if len(p) == 2]
                if done.returncode != 0 and answers[index]:  # it died with the host
                    answers[index].append((answers[index][-1][0], "-"))
            ended.wait(0.1)

    threads = [
        threading.Thread(target=probe, args=(index, *end), daemon=True)
        for index, end in enumerate(pair.ends)
    ]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ended.set()
        for machine, _ in pair.ends:
            with suppress(LabError):
                machine.run("rm", "-f", "/run/relevo-probe")
        for thread in threads:
            thread.join(timeout=30)


@contextmanager
def one_writer(pair: Pair) -> Iterator[None]:
    """Ask both ends all the while; fail if both ever accepted writes at the same time."""
    with probing(pair) as answers:
        yield
    assert all(len(each) > 5 for each in answers), "the probe of one end has not run"
    both = overlaps(*answers)
    assert not both, f"both ends accepted writes at {both[:5]}"


def overlaps(
    one: list[tuple[float, str]], other: list[tuple[float, str]]
) -> list[tuple[float, float]]:
    """Times at which one end accepted writes between two moments at which the other did.

    >>> overlaps([(1.0, "f"), (2.0, "f")], [(1.5, "f")])
    [(1.0, 2.0)]
    >>> overlaps([(1.0, "f"), (2.0, "-")], [(1.5, "t"), (2.5, "f")])
    []
    """
    spans = [
        (begin, end)
        for answers in (one, other)
        for (begin, role), (end, then) in itertools.pairwise(answers)
        if role == then == "f"
    ]
    writes = [at for at, role in (*one, *other) if role == "f"]
    inside = [(begin, end) for begin, end in spans if any(begin < at < end for at in writes)]
    return sorted(set(inside))


def forget_documents(ask: Callable[[str, str], str]) -> None:
    """Delete what clients have written: Odoo syncs no document, and a power cut took the last."""
    for database in DATABASES:
        ask("DELETE FROM ir_attachment WHERE name LIKE 'documento %'", database)
