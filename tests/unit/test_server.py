"""What `relevo apply` says of a Prefect server that is away, or says no."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.errors import Refused, Unreachable
from deployments import cli, server

ROOT = Path(__file__).parents[2]
Answer = Callable[[str], tuple[int, str]]


@contextmanager
def answering(answer: Answer, port: int = 0) -> Iterator[str]:
    """Run a real server that gives each path a status and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as httpd:
        thread = Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{httpd.server_address[1]}/api"
        try:
            with temporary_settings({PREFECT_API_URL: url}):
                yield url
        finally:
            httpd.shutdown()
            thread.join()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_server_that_is_not_there_is_waited_for_and_then_named() -> None:
    url, said = f"http://127.0.0.1:{free_port()}/api", list[str]()

    with (
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(Unreachable, match="does not answer") as error,
        server.reached(said.append, wait_seconds=3),
    ):
        pass

    assert said == [f"waiting for the Prefect server at {url}"]
    assert "HINT: run systemctl status relevo-server" in str(error.value)


def test_a_server_that_is_just_starting_is_taken() -> None:
    asked = list[str]()

    def late(path: str) -> tuple[int, str]:
        asked.append(path)
        return (502, "nginx: bad gateway") if len(asked) == 1 else (200, '"hello"')

    said = list[str]()
    with answering(late) as url, server.reached(said.append):
        assert said == [f"waiting for the Prefect server at {url}"]
    assert asked == ["/api/hello"] * 2


def test_apply_says_which_password_a_server_did_not_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text((ROOT / "inventory.example.yaml").read_text())

    with answering(lambda _: (401, '{"exception_message": "Unauthorized"}')):
        code = cli.main(["--inventory", str(path), "apply"])

    said = capsys.readouterr().err
    assert code == 3
    assert "answers 401 to GET /api/hello" in said
    assert "HINT: PREFECT_API_AUTH_STRING here must be PREFECT_SERVER_API_AUTH_STRING" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(404, "", "answers 404"), (200, "<html>", "is not Prefect's API")],
)
def test_what_is_no_api_of_prefect_is_refused_at_once(status: int, body: str, said: str) -> None:
    with (
        answering(lambda _: (status, body)),
        pytest.raises(Refused, match=said) as error,
        server.reached(print),
    ):
        pass

    assert "with /api at its end" in str(error.value)


def test_a_server_that_fails_later_is_said_without_what_it_was_told() -> None:
    def fails(path: str) -> tuple[int, str]:
        return (200, '"hello"') if path == "/api/hello" else (422, '{"detail": "hunter2"}')

    with (
        answering(fails),
        pytest.raises(Refused, match="answers 422 to GET /api/work_pools/relevo") as error,
        server.reached(print),
        get_client(sync_client=True) as client,
    ):
        client.read_work_pool("relevo")

    assert "hunter2" not in str(error.value)
