"""A real Prefect server on a private PostgreSQL, and a worker, for the demo and the drills."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.lab.machine import wait_until
from tests.lab.trouble import LabError
from tests.stack_api import PASSWORD, Api

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Stack(Api):
    """Started as an operator would have it: PostgreSQL below, basic auth in front."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}/api")
        self.env = self._environment()
        self._server: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    def _environment(self) -> dict[str, str]:
        database = f"postgresql+asyncpg://postgres@/prefect?host={self.folder / 'socket'}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return {
            **kept,
            "PREFECT_HOME": str(self.folder / "home"),
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": f"relevo:{PASSWORD}",
            "PREFECT_SERVER_API_AUTH_STRING": f"relevo:{PASSWORD}",
            "PREFECT_API_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                "prefect.server.concurrency.lease_storage.filesystem"
            ),
            # Its own clock ends a pause as well: let it be quick, so that we meet it.
            "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "0.5",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_LOGGING_LEVEL": "INFO",
            "PYTHONPATH": str(ROOT),
        }

    def start(self) -> "Stack":
        for name in ("home", "socket", "database"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._start_database()
        self.start_server()
        return self

    def start_server(self) -> None:
        self._server = self._spawn(
            "server", "-m", "prefect", "server", "start", "--port", str(self.port)
        )
        wait_until(self._healthy, "the Prefect server answers", 120)

    def kill_server(self) -> None:
        """SIGKILL the server; its PostgreSQL lives on, as on a machine of its own."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def _start_database(self) -> None:
        tools, data = self.tools, self.folder / "database"
        for path in (self.folder, data, self.folder / "socket"):
            shutil.chown(path, "postgres", "postgres")
        self._as_postgres(tools / "initdb", "-A", "trust", "-U", "postgres", "-D", data)
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder / 'socket'}"
        log = self.folder / "socket" / "log"
        self._as_postgres(tools / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
        self._as_postgres(tools / "createdb", "-h", self.folder / "socket", "prefect")

    @property
    def tools(self) -> Path:
        """PostgreSQL's programs on this machine, the newest."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        if not found:
            raise LabError("PostgreSQL is not installed\nHINT: run `make setup` as root")
        return found[-1]

    def _as_postgres(self, *command: object) -> str:
        done = subprocess.run(
            ["runuser", "-u", "postgres", "--", *map(str, command)],
            check=False, capture_output=True, text=True, cwd="/",
        )  # fmt: skip
        if done.returncode != 0:
            raise LabError(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def _spawn(self, log: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{log}.log").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, *arguments], env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, cwd=ROOT, start_new_session=True,
            )  # fmt: skip

    def _healthy(self) -> bool:
        try:
            return bool(self.request("GET", "/health"))
        except OSError:
            return False

    def start_worker(self) -> None:
        self._worker = self._spawn(
            "worker", "-m", "prefect", "worker", "start", "--pool", "relevo", "--name", "relevo"
        )

    def kill_worker(self) -> None:
        """SIGKILL the worker and every run that it has started."""
        if self._worker is not None:
            os.killpg(self._worker.pid, signal.SIGKILL)
            self._worker.wait()
            self._worker = None
        for engine in self.engines():
            os.kill(engine, signal.SIGKILL)

    def engines(self) -> list[int]:
        """The processes in which this stack's flows run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                mine = self.api.encode() in (process / "environ").read_bytes()
            except OSError:
                continue
            if mine and b"prefect.engine" in words:
                found.append(int(process.name))
        return found

    def run(self, *arguments: str) -> str:
        """Run the relevo command against this server."""
        done = subprocess.run(
            [sys.executable, "-m", "deployments", *arguments],
            env=self.env, capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        if done.returncode != 0:
            raise LabError(f"relevo {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def everything_stored(self) -> str:
        """All that Prefect keeps: its database but for the encrypted blocks, and its files."""
        dump = self._as_postgres(
            self.tools / "pg_dump", "-h", self.folder / "socket", "--data-only",
            "--exclude-table-data=block_document", "--exclude-table-data=configuration", "prefect",
        )  # fmt: skip
        files = [path for path in (self.folder / "home").rglob("*") if path.is_file()]
        files += list(self.folder.glob("*.log"))
        return dump + "".join(path.read_text(errors="replace") for path in files)

    def stop(self) -> None:
        """End every process and forget everything."""
        self.kill_worker()
        self.kill_server()
        database = self.folder / "database"
        if (database / "postmaster.pid").exists():
            self._as_postgres(self.tools / "pg_ctl", "-D", database, "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)
