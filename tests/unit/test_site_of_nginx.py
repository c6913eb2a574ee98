"""The site that customers reach at the recovery host, asked through a real nginx."""

import http.client
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tasks.serving import nginx
from tasks.serving.nginx import Names
from tests import unpacked
from tests.unit.test_people import free_port, listening

CALLED = "shop.example.com"


class Odoo(BaseHTTPRequestHandler):
    """Answers with the headers that it was asked with."""

    def do_GET(self) -> None:
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of an nginx that shows an instance, and the folder for directives of its owner."""
    program, port = unpacked.find("nginx", ("nginx",)), free_port()
    odoo = HTTPServer(("127.0.0.1", 0), Odoo)
    threading.Thread(target=odoo.serve_forever, daemon=True).start()
    text = nginx.render(
        instance="vps_1", names=[Names((CALLED,))], http_port=odoo.server_port,
        longpolling_port=odoo.server_port, form="serving", ipv6=False,
    )  # fmt: skip
    (own := tmp_path / "own").mkdir()
    (own / "filter.conf").write_text("proxy_set_header X-Odoo-dbfilter ^shop\\Z;\n")
    text = text.replace("listen 80", f"listen 127.0.0.1:{port}")
    text = text.replace("/etc/nginx/relevo/vps_1/own", str(own))
    whole = tmp_path / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if Path("/root").owner() == "root" else ""
    whole.write_text(
        f"{user}daemon off;\nmaster_process off;\npid {tmp_path}/pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{text}}}\n"
    )
    process = subprocess.Popen([program, "-p", tmp_path, "-c", whole, "-e", tmp_path / "error.log"])
    try:
        listening(port)
        yield port, own
    finally:
        process.terminate()
        process.wait(timeout=10)
        odoo.shutdown()
        odoo.server_close()


def _asked(port: int, path: str, **headers: str) -> dict[str, str]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request("GET", path, headers={"Host": CALLED, **headers})
    said = json.loads(link.getresponse().read())
    link.close()
    return {str(name): str(value) for name, value in said.items()}


@pytest.mark.parametrize("path", ["/web/login", "/websocket", "/longpolling/poll"])
def test_odoo_is_told_who_was_asked_for_whatever_the_path(
    site: tuple[int, Path], path: str
) -> None:
    """Odoo chooses the database by this name; told another, it ends the customer's session."""
    said = _asked(site[0], path)

    assert said["Host"] == CALLED
    assert said["X-Forwarded-Host"] == CALLED
    assert said["X-Forwarded-Proto"] == "http"
    assert said["X-Real-IP"] == "127.0.0.1"
    assert "Upgrade" not in said


def test_a_connection_that_is_to_stay_is_handed_on_as_that(site: tuple[int, Path]) -> None:
    said = _asked(site[0], "/websocket", Upgrade="websocket", Connection="Upgrade")

    assert (said["Upgrade"], said["Connection"]) == ("websocket", "upgrade")


@pytest.mark.parametrize("path", ["/web/login", "/websocket"])
def test_what_the_owner_of_the_host_adds_is_in_force_for_every_path(
    site: tuple[int, Path], path: str
) -> None:
    assert _asked(site[0], path)["X-Odoo-dbfilter"] == r"^shop\Z"
