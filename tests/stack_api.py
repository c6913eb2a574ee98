"""Prefect's API as the UI and a script use it: buttons, runs and what they say."""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.lab.machine import wait_until

UNDER_WAY = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}}
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PASSWORD = "stack-basic-auth"
COMPLETE_SECONDS = 300


class Api:
    """What an operator can press and see."""

    def __init__(self, api: str) -> None:
        self.api = api

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Speak to the API as the UI does."""
        request = urllib.request.Request(self.api + path, method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Basic {_basic(f'relevo:{PASSWORD}')}")
        data = json.dumps(body).encode() if body is not None else None
        text = _answer(request, data)
        return json.loads(text) if text else None

    def press(self, deployment: str, **parameters: object) -> str:
        """Start a deployment as a script does, asking nobody; return the id of the run."""
        found = self.request("GET", f"/deployments/name/{deployment}")
        wanted: dict[str, object] = {"state": {"type": "SCHEDULED"}}
        if "decide" in found["parameter_openapi_schema"]["properties"]:
            parameters = {"decide": "unattended", **parameters}
            wanted["enforce_parameter_schema"] = False  # a form does not offer "unattended"
        wanted["parameters"] = {**found["parameters"], **parameters}
        run = self.request("POST", f"/deployments/{found['id']}/create_flow_run", wanted)
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

    def end_all(self) -> None:
        """Cancel all that runs, or is about to, and wait until it has ended."""
        for run in self.request("POST", "/flow_runs/filter", UNDER_WAY):
            self.cancel(run["id"])
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait until nothing runs, or is about to."""
        idle = "all that runs has ended"
        wait_until(lambda: not self.request("POST", "/flow_runs/count", UNDER_WAY), idle, 300)

    def deployments(self) -> list[dict[str, Any]]:
        """All of them, however many pages that takes."""
        found: list[dict[str, Any]] = []
        asked = {"limit": 200, "sort": "CREATED_DESC"}
        while page := self.request("POST", "/deployments/filter", {**asked, "offset": len(found)}):
            found += page
        return found

    @contextmanager
    def unscheduled(self) -> Iterator[None]:
        """Start nothing by schedule for a while; what is pressed runs."""
        deployments = [each for each in self.deployments() if not each["paused"]]
        for each in deployments:
            self.request("POST", f"/deployments/{each['id']}/pause_deployment")
        try:
            yield
        finally:
            there = self.deployments()
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
