"""How long a base backup takes over 100 Mbit/s, as Relevo takes it and as the runbook does.

The programs are those that the engine tests use: RELEVO_ENGINE_POSTGRES names those of another
release. RELEVO_CLONE_MB is how much there is to copy.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath

from blocks.cluster import Cluster
from tasks.postgres import commands
from tasks.standby import clone
from tests.bench.relay import __file__ as relay
from tests.engine.clusters import Server, tools
from tests.engine.local import Elsewhere
from tests.lab.machine import wait_until
from tests.stack import free_port

ROOT = Path(__file__).parents[1]
SIZE = int(os.environ.get("RELEVO_CLONE_MB", "1000"))
ROUNDS = int(os.environ.get("RELEVO_ROUNDS", "3"))
MBIT, RTT_SECONDS = "100", "0.02"
# Names, dates, numbers and digests, as the tables of Odoo have them.
FILL = """
CREATE TABLE res_partner AS SELECT n AS id, 'Cliente ' || n AS name, md5(n::text) AS barcode,
    'calle ' || (n::bigint * 7919 % 9973) || (ARRAY[', Lima', ', Quito', ', Cuzco'])[1 + n % 3]
    AS contact_address, now() - n * interval '1 minute' AS create_date, random() AS credit,
    NULL::text AS comment, md5((n + 31)::text) || md5((n + 37)::text) AS signature
FROM generate_series(1, {rows}) AS n
"""
ROWS_IN_A_MB = 4600
PAGE = """\
## PostgreSQL {version}
{size} MB over {mbit} Mbit/s, {rounds} rounds in turn: seconds, median (each).

| way | seconds | times as fast |
|---|---|---|
| as the runbook does it | {plain} | 1.0 |
| as Relevo does it{how} | {packed} | {times:.2f} |
"""


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="relevo-bench-clone-"))
    folder.chmod(0o755)
    server = Server(folder / "primary")
    line: subprocess.Popen[bytes] | None = None
    try:
        server.make()
        with (server.data / "postgresql.conf").open("a") as conf:
            conf.write("listen_addresses = '127.0.0.1'\nmax_wal_size = 4GB\n")
        server.start()
        server.sql(FILL.format(rows=SIZE * ROWS_IN_A_MB), "postgres")
        port = free_port()
        words = [sys.executable, relay, str(port), str(server.port), RTT_SECONDS, MBIT]
        line = subprocess.Popen(words)
        wait_until(lambda: _listens(port), "the line is there")
        print(_page(server, folder, port))
    finally:
        if line:
            line.kill()
            line.wait()
        server.stop()
        shutil.rmtree(folder)
    return 0


def _listens(port: int) -> bool:
    said = subprocess.run(
        ["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True
    )
    return bool(said.stdout)


def _page(server: Server, folder: Path, port: int) -> str:
    packs = server.version >= clone.PACKS_SINCE and server.sql(clone.PACKS, "postgres") == [(True,)]
    took: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS):
        for way, each in took.items():
            each.append(_copy(server, folder / f"{number}-{way}", port, packed=way and packs))
    plain, packed = (", ".join(f"{each:.1f}" for each in took[way]) for way in took)
    medians = [statistics.median(each) for each in took.values()]
    size = server.sql(
        "SELECT sum(pg_database_size(oid))::bigint >> 20 FROM pg_database", "postgres"
    )
    return PAGE.format(
        version=server.version, size=size[0][0], mbit=MBIT, rounds=ROUNDS,
        plain=f"{medians[0]:.1f} ({plain})", packed=f"{medians[1]:.1f} ({packed})",
        times=medians[0] / medians[1], how=" (zstd)" if packs else ", the same",
    )  # fmt: skip


def _copy(server: Server, target: Path, port: int, *, packed: bool) -> float:
    target.mkdir()
    shutil.chown(target, "postgres", "postgres")
    name = f"bench_{target.name.replace('-', '_').lower()}"
    server.sql(f"SELECT pg_create_physical_replication_slot('{name}')", "postgres")
    cluster: Cluster = Elsewhere(version=server.version)
    argv = commands.base_backup(
        cluster, directory=PurePosixPath(target), slot=name, packed=packed,
        conninfo=f"host=127.0.0.1 port={port} user=postgres",
    )  # fmt: skip
    begun = time.monotonic()
    subprocess.run(
        ["runuser", "-u", "postgres", "--", *argv], check=True, cwd="/", capture_output=True
    )
    took = time.monotonic() - begun
    if (tools() / "pg_verifybackup").exists() and packed:
        subprocess.run([str(tools() / "pg_verifybackup"), "-q", str(target)], check=True)
    server.sql(f"SELECT pg_drop_replication_slot('{name}')", "postgres")
    shutil.rmtree(target)
    return took


if __name__ == "__main__":
    sys.exit(main())
