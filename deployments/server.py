"""Prefect's server, as `relevo apply` finds it: waited for, and its errors said in a sentence."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from httpx import (
    HTTPError,
    HTTPStatusError,
    NetworkError,
    RemoteProtocolError,
    TimeoutException,
)
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.deployments.runner import DeploymentApplyError
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_UI_URL,
    temporary_settings,
)

from blocks.errors import Refused, RelevoError, Unreachable
from tasks.run.tags import BOARD

WAIT_SECONDS = 60
BEAT_SECONDS = 1
SERVER_ERROR = 500
NOT_YET = (NetworkError, TimeoutException, RemoteProtocolError)
HINTS = {
    401: "PREFECT_API_AUTH_STRING here must be PREFECT_SERVER_API_AUTH_STRING of the server",
    404: "PREFECT_API_URL must be the server's, with /api at its end",
}
SILENT = (
    "run systemctl status relevo-server there; a server needs up to a minute to start. "
    "PREFECT_API_URL says where it is"
)


def named() -> str:
    """Where Prefect's settings say that the server is; the empty string where they say nothing."""
    return PREFECT_API_URL.value() or ""


def ui() -> str:
    """Where people find Prefect's pages."""
    return PREFECT_UI_URL.value() or named().removesuffix("/api")


def board() -> str:
    """Where people find the board."""
    return f"{ui()}{BOARD}"


@contextmanager
def reached(tell: Callable[[str], None], *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Wait until the server answers; say what goes wrong with it after that as our own errors."""
    try:
        _wait(tell, wait_seconds)
        yield
    except DeploymentApplyError as error:
        raise _ours(error.__cause__ or error) from None
    except HTTPError as error:
        raise _ours(error) from None


def _wait(tell: Callable[[str], None], wait_seconds: float) -> None:
    """Wait for a server that is about to start; one that says no is no server to wait for."""
    deadline, told = time.monotonic() + wait_seconds, False
    # Prefect's client would try again by itself, and say nothing for a minute.
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        while True:
            try:
                with get_client(sync_client=True) as client:
                    return _greet(client)
            except HTTPError as error:
                if not _is_starting(error) or time.monotonic() > deadline:
                    raise
            if not told:
                tell(f"waiting for the Prefect server at {PREFECT_API_URL.value()}")
                told = True
            time.sleep(BEAT_SECONDS)


def _greet(client: SyncPrefectClient) -> None:
    """Ask what only Prefect's API answers, and only if it lets us in."""
    try:
        client.hello().json()
    except ValueError:
        raise Refused(
            f"what answers at {PREFECT_API_URL.value()} is not Prefect's API", hint=HINTS[404]
        ) from None


def _is_starting(error: HTTPError) -> bool:
    if isinstance(error, HTTPStatusError):
        return error.response.status_code >= SERVER_ERROR  # nginx, in front of one that starts
    return isinstance(error, NOT_YET)


def _ours(error: BaseException) -> RelevoError:
    """Say status and place, and never what was sent: there are passwords in it."""
    server = f"the Prefect server at {PREFECT_API_URL.value()}"
    if isinstance(error, HTTPStatusError):
        status, asked = error.response.status_code, error.request
        return Refused(
            f"{server} answers {status} to {asked.method} {asked.url.path}",
            hint=HINTS.get(status, "run journalctl -u relevo-server there to see why"),
        )
    if isinstance(error, HTTPError):
        return Unreachable(f"{server} does not answer: {error}", hint=SILENT)
    return Refused(
        f"{server} did not accept a deployment",
        hint="run journalctl -u relevo-server there to see why",
    )
