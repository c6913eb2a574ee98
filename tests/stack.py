"""A real Prefect server on a private PostgreSQL, and a worker, for the demo and the drills."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.machine import wait_until
from tests.lab.trouble import LabError

ROOT = Path(__file__).parents[1]
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PASSWORD = "stack-basic-auth"
COMPLETE_SECONDS = 300


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Stack:
    """Started as an operator would have it: PostgreSQL below, basic auth in front."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
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

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Speak to the API as the UI does."""
        request = urllib.request.Request(self.api + path, method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Basic {_basic(f'relevo:{PASSWORD}')}")
        data = json.dumps(body).encode() if body is not None else None
        text = _answer(request, data)
        return json.loads(text) if text else None

    def run(self, *arguments: str) -> str:
        """Run the relevo command against this server."""
        done = subprocess.run(
            [sys.executable, "-m", "deployments.cli", *arguments],
            env=self.env, capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        if done.returncode != 0:
            raise LabError(f"relevo {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def press(self, deployment: str, **parameters: object) -> str:
        """Start a deployment as a script does, asking nobody; return the id of the run."""
        found = self.request("GET", f"/deployments/name/{deployment}")
        if "decide" in found["parameter_openapi_schema"]["properties"]:
            parameters = {"decide": "unattended", **parameters}
        run = self.request(
            "POST",
            f"/deployments/{found['id']}/create_flow_run",
            {"parameters": {**found["parameters"], **parameters}, "state": {"type": "SCHEDULED"}},
        )
        return str(run["id"])

    def retry(self, run: str) -> None:
        """Press Retry on a run, as the UI does."""
        state = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
        self.request("POST", f"/flow_runs/{run}/set_state", state)

    def cancel(self, run: str) -> None:
        """Press Cancel on a run, as the UI does."""
        state = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
        self.request("POST", f"/flow_runs/{run}/set_state", state)

    def resume(self, run: str, **said: object) -> str:
        """Say yes on a run that waits for one; give what the server makes of it."""
        answer = self.request("POST", f"/flow_runs/{run}/resume", {"run_input": said})
        return str(answer["status"])

    def state(self, run: str) -> dict[str, Any]:
        state: dict[str, Any] = self.request("GET", f"/flow_runs/{run}")["state"]
        return state

    def wait(self, run: str, timeout_seconds: float = 600) -> dict[str, Any]:
        """Wait for a run's end; return its state."""
        wait_until(lambda: self.state(run)["type"] in FINAL, f"run {run} ends", timeout_seconds)
        return self.state(run)

    def complete(self, deployment: str, **parameters: object) -> str:
        """Start a deployment and insist that it completes; return the id of the run.

        While a run by schedule is under way, another of its kind is cancelled; then press again.
        """
        deadline = time.monotonic() + COMPLETE_SECONDS
        while True:
            run = self.press(deployment, **parameters)
            state = self.wait(run)
            if state["type"] != "CANCELLED" or time.monotonic() > deadline:
                return self.require_complete(run)

    def require_complete(self, run: str) -> str:
        state = self.wait(run)
        assert state["type"] == "COMPLETED", f"{state['message']}\n{self.said(run)}"
        return run

    def runs(self, deployment: str) -> int:
        """How often a deployment was run, or is about to be."""
        found = self.request("GET", f"/deployments/name/{deployment}")
        wanted = {"deployments": {"id": {"any_": [found["id"]]}}}
        return int(self.request("POST", "/flow_runs/count", wanted))

    def schedules(self, instance: str) -> dict[str, bool]:
        """Which schedules of an instance are on."""
        wanted = {"deployments": {"tags": {"all_": [f"instance:{instance}", "scheduled"]}}}
        found = self.request("POST", "/deployments/filter", wanted)
        return {each["name"]: each["schedules"][0]["active"] for each in found}

    @contextmanager
    def unscheduled(self) -> Iterator[None]:
        """Start nothing by schedule for a while; what is pressed runs."""
        found = self.request("POST", "/deployments/filter", {"limit": 200})
        deployments = [each for each in found if not each["paused"]]
        for each in deployments:
            self.request("POST", f"/deployments/{each['id']}/pause_deployment")
        try:
            yield
        finally:
            there = self.request("POST", "/deployments/filter", {"limit": 200})
            for each in {each["id"] for each in deployments} & {each["id"] for each in there}:
                self.request("POST", f"/deployments/{each}/resume_deployment")

    def artifact(self, key: str) -> str:
        """The newest artifact under a key, as the UI shows it."""
        return str(self.request("GET", f"/artifacts/{key}/latest")["data"])

    def said(self, run: str) -> str:
        """The logs of a run."""
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200, "sort": "TIMESTAMP_ASC"}
        return "\n".join(line["message"] for line in self.request("POST", "/logs/filter", body))

    def tasks(self, run: str) -> list[tuple[str, str]]:
        """The steps of a run, in order, with their states."""
        body = {"flow_runs": {"id": {"any_": [run]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found = self.request("POST", "/task_runs/filter", body)
        return [(task["name"], task["state_type"]) for task in found]

    def first_step(self, run: str) -> str:
        """When the first step of a run began."""
        body = {"flow_runs": {"id": {"any_": [run]}}, "sort": "EXPECTED_START_TIME_ASC"}
        begun = [task["start_time"] for task in self.request("POST", "/task_runs/filter", body)]
        return str(min(each for each in begun if each))

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


def _answer(request: urllib.request.Request, data: bytes | None, tries: int = 5) -> bytes:
    """Ask again after a 503, as Prefect's own client does: a busy server has done nothing then."""
    for attempt in range(tries):
        try:
            with urllib.request.urlopen(request, data, timeout=30) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code != 503 or attempt == tries - 1:
                raise
            time.sleep(1 + attempt)
    raise AssertionError("the last try returns or raises")


def _basic(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()
