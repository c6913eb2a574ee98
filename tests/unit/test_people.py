"""docs/server/nginx-people.conf: a name that may look reads no secret and presses no button."""

import base64
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests import unpacked

CONF = Path(__file__).parents[2] / "docs" / "server" / "nginx-people.conf"
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
READS = {
    "filter", "count", "history", "paginate", "lateness", "count-deployments", "next-runs",
    "count-task-runs", "counts",
}  # fmt: skip
SECRET = ("block_documents", "admin/settings", "admin/storage")


def looks(asked: str) -> bool:
    """Tell whether the configuration takes a request for one that only looks."""
    block = CONF.read_text().partition("$relevo_looks {")[2].partition("}\n")[0]
    return any(re.search(each, asked) for each in re.findall(r'"~(.+)" 1;', block))


@pytest.fixture(scope="module")
def routes() -> list[tuple[str, str]]:
    """Every question that Prefect's own server takes."""
    from prefect.server.api.server import create_api_app  # noqa: PLC0415  # takes seconds

    paths = create_api_app().openapi()["paths"]
    return [(verb.upper(), path) for path, verbs in paths.items() for verb in verbs]


def test_looking_changes_nothing_and_sees_no_secret(routes: list[tuple[str, str]]) -> None:
    let_in = [
        (verb, path) for verb, path in routes if looks(f"{verb} /api{re.sub(r'{[^}]+}', ID, path)}")
    ]
    assert len(let_in) > 60
    for verb, path in let_in:
        last = path.rstrip("/").rsplit("/", 1)[-1]
        assert verb == "GET" or (verb == "POST" and (last in READS or "count-by" in path)), path
        assert not any(secret in path for secret in SECRET), path


def test_what_the_pages_ask_for_is_let_in(routes: list[tuple[str, str]]) -> None:
    for path in ("/flow_runs/filter", "/deployments/paginate", "/logs/filter", "/events/filter",
                 "/artifacts/latest/filter", "/ui/flows/next-runs"):  # fmt: skip
        assert ("POST", path) in routes
        assert looks(f"POST /api{path}")
    assert looks(f"GET /api/flow_runs/{ID}")
    assert looks("GET /api/admin/version")


@pytest.mark.parametrize(
    "asked",
    [
        f"POST /api/deployments/{ID}/create_flow_run", f"POST /api/flow_runs/{ID}/resume",
        f"POST /api/flow_runs/{ID}/set_state", "POST /api/block_documents/filter",
        "GET /api/block_types/slug/odoo-instance/block_documents?include_secrets=true",
        "GET /api/%62lock_documents/x", "GET /api/x/../block_documents/x",
        "GET /api/admin/settings", "GET /api/events/in", f"DELETE /api/flow_runs/{ID}",
        f"PATCH /api/deployments/{ID}", "POST /api/flow_runs/%2e%2e/filter",
        f"POST /api/deployments/{ID}/create_flow_run?/filter",
    ],
)  # fmt: skip
def test_no_spelling_gets_past(asked: str) -> None:
    assert not looks(asked)


class Upstream(BaseHTTPRequestHandler):
    """Stands for Prefect, and says with which password it was asked."""

    def answer(self) -> None:
        said = (self.headers.get("Authorization") or "nobody").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = answer  # noqa: N815  # the library's names

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """A real nginx with this configuration, but for TLS, in front of a stand-in of Prefect."""
    program = unpacked.find("nginx", ("nginx",))
    upstream = HTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port = free_port()
    whole = tmp_path / "nginx.conf"
    whole.write_text(configuration(tmp_path, port, upstream.server_port))
    process = subprocess.Popen([program, "-p", tmp_path, "-c", whole, "-e", tmp_path / "error.log"])
    try:
        yield listening(port)
    finally:
        process.terminate()
        process.wait(timeout=10)
        upstream.shutdown()
        upstream.server_close()


def configuration(folder: Path, port: int, upstream: int) -> str:
    password = subprocess.run(
        ["openssl", "passwd", "-apr1", "night"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (folder / "htpasswd").write_text(f"ana:{password}\neva:{password}\n")
    (folder / "secret").write_text('proxy_set_header Authorization "Basic OURS";\n')
    text = re.sub(r"    ssl_.*\n", "", CONF.read_text()).replace("443 ssl", f"127.0.0.1:{port}")
    text = text.replace("127.0.0.1:4200", f"127.0.0.1:{upstream}")
    for path, name in (("/etc/nginx/relevo.htpasswd", "htpasswd"), ("/etc/nginx/relevo.secret",
                       "secret"), ("/var/log/nginx/relevo-people.log", "people.log")):  # fmt: skip
        text = text.replace(path, str(folder / name))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if Path("/root").owner() == "root" else ""
    return (
        f"{user}daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{text}}}\n"
    )


def listening(port: int) -> str:
    for _ in range(100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return f"http://127.0.0.1:{port}"
        time.sleep(0.05)
    pytest.fail("nginx does not listen")


def ask(url: str, *, name: str = "", password: str = "night", post: bool = False) -> str:
    asked = urllib.request.Request(url, data=b"{}" if post else None)
    if name:
        said = base64.b64encode(f"{name}:{password}".encode()).decode()
        asked.add_header("Authorization", f"Basic {said}")
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.code)


def test_a_real_nginx_tells_people_apart(nginx: str, tmp_path: Path) -> None:
    press, look = f"{nginx}/api/deployments/{ID}/create_flow_run", f"{nginx}/api/flows/filter"

    assert ask(look, post=True) == "401"
    assert ask(look, name="ana", password="wrong", post=True) == "401"
    assert ask(press, name="ana", password="wrong", post=True) == "401"
    assert ask(press, post=True) == "403"
    assert ask(press, name="eva", post=True) == "403"
    assert ask(look, name="eva", post=True) == "Basic OURS"
    assert ask(press, name="ana", post=True) == "Basic OURS"
    assert ask(f"{nginx}/api/block_documents/x", name="eva") == "403"
    assert ask(f"{nginx}/api/block_documents/x", name="ana") == "Basic OURS"
    assert ask(f"{nginx}/v2/artifacts/key/board") == "nobody"
    assert ask(f"{nginx}/api/health") == "nobody"

    log = (tmp_path / "people.log").read_text()
    assert f' ana 127.0.0.1 "POST /api/deployments/{ID}/create_flow_run HTTP/1.1" 200' in log
    assert "/api/flows/filter" not in log
