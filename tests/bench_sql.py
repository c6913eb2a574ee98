"""What a question to PostgreSQL costs over ssh: psql each time, or the relay that stays.

Asked of a lab that is up: `RELEVO_LAB_NAME=... python -m tests.bench_sql`.
"""

import statistics
import sys
import time
from collections.abc import Callable

from blocks import relay
from blocks.cluster import Cluster
from blocks.host import Host
from blocks.session import forget
from blocks.sql import Question
from blocks.ssh import SshShell
from tests.lab.lab import Lab

ROUNDS = 60
SQL = "SELECT pg_current_wal_lsn()"


def main() -> int:
    lab = Lab.attach()
    uno = lab.uno
    host = Host(
        name="uno", address=uno.address, peer_address=uno.address, port=uno.ssh_port,
        user=uno.ssh_user, key_file=lab.key, host_key=lab.host_key(uno.machine),
    )  # fmt: skip
    shell, cluster = host.shell(), Cluster(version=uno.version, name=uno.cluster, port=uno.port)
    assert isinstance(shell, SshShell)

    def psql() -> None:
        argv = (
            "env", "PGDATABASE=postgres", f"PGHOST={cluster.sockets}", "PGUSER=postgres",
            str(cluster.bin_dir / "psql"), "-p", str(cluster.port), "-XqAt",
        )  # fmt: skip
        assert shell.run(argv, user="postgres", stdin=SQL).stdout

    def kept() -> None:
        assert cluster.value(shell, SQL)

    def fresh() -> None:
        login = cluster.login_of("postgres", user="postgres", database="postgres")
        assert shell.ask(login, Question("SELECT 1 AS one"))

    def first() -> None:
        relay.reach(shell, "postgres").close()
        forget(shell)
        kept()

    ways: dict[str, Callable[[], None]] = {
        "psql, started for each question": psql,
        "relay, a session that is kept": kept,
        "relay, a session of its own": fresh,
        "relay, with its start": first,
    }
    for way, ask in ways.items():
        ask()
        taken = [_timed(ask) for _ in range(ROUNDS)]
        print(f"| {way} | {statistics.median(taken):.1f} | {max(taken):.1f} |")
    return 0


def _timed(ask: Callable[[], None]) -> float:
    begun = time.perf_counter()
    ask()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    sys.exit(main())
