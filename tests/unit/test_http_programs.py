"""What runs on a host to ask its web servers, against servers that are a customer's code."""

import http.server
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.odoo import http as asked
from tasks.programs import browse, login

REFUSED = (
    b"<?xml version='1.0'?><methodResponse><params><param><value><boolean>0</boolean></value>"
    b"</param></params></methodResponse>"
)


@contextmanager
def serving(say: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that says what a test wants, to each who asks."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_talk, args=(peer, say), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def _talk(peer: socket.socket, say: Callable[[socket.socket], None]) -> None:
    with peer:
        try:
            peer.recv(1 << 16)
            say(peer)
        except OSError:
            pass


def _drip(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.sendall(b"X: y\r\n")
        time.sleep(0.05)


def _silent(peer: socket.socket) -> None:
    time.sleep(60)


def _endless(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        peer.sendall(bytes(1 << 16))


def _page(body: bytes, status: bytes = b"200 OK") -> Callable[[socket.socket], None]:
    head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return lambda peer: peer.sendall(head + body)


def _run(program: str, *argv: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *argv],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in (login, browse):
        monkeypatch.setattr(program, "ANSWER_SECONDS", 1)


def test_odoo_is_asked_for_each_database_and_what_it_says_is_kept() -> None:
    with serving(_page(REFUSED)) as port:
        assert _run(asked.LOGIN, str(port), "cliente1", "cliente 2") == {
            "cliente1": "", "cliente 2": "",
        }  # fmt: skip
    with serving(_page(b"<html>", b"502 Bad Gateway")) as port:
        assert "502" in _run(asked.LOGIN, str(port), "cliente1")["cliente1"]
    assert "refused" in _run(asked.LOGIN, "1", "cliente1")["cliente1"]


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("AccessDenied", ""), ("AccessError", "odoo.exceptions.AccessError: Database not found.")],
)
def test_an_odoo_without_xmlrpc_is_asked_as_its_login_page_asks(name: str, verdict: str) -> None:
    """Odoo 19 that was started with --load=base,web, as guides for earlier releases have it."""
    heard: list[tuple[str, str, str]] = []
    data = {"name": f"odoo.exceptions.{name}", "message": "Database not found."}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != login.WEB:
                self.send_error(404)
                return
            params = json.loads(body)["params"]
            heard.append((self.headers["Host"], params["db"], params["login"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"error": {"data": data}}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answered = login.answers(server.server_port, ["shop.example.com"])
        server.shutdown()

    assert answered == {"shop.example.com": verdict}
    assert heard == [("shop.example.com", "shop.example.com", login.USER)]


@pytest.mark.parametrize("say", [_drip, _endless, _silent])
def test_an_answer_without_end_ends_in_time(say: Callable[[socket.socket], None]) -> None:
    with serving(say) as port:
        begun = time.monotonic()
        assert login.answers(port, ["cliente1"])["cliente1"]
        page = browse.pages("/", [f"http://shop.example.com:{port}"])
        assert time.monotonic() - begun < 10
    (found,) = page.values()
    assert "error" in found or len(str(found["said"])) <= browse.ANSWER_BYTES


def test_what_is_packed_is_not_unpacked() -> None:
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
    with serving(lambda peer: peer.sendall(packed)) as port:
        assert login.answers(port, ["cliente1"])["cliente1"]


def test_a_browser_asks_by_name_in_the_handshake_and_in_the_request(tmp_path: Path) -> None:
    pair = tmp_path / "pair.pem"
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=shop")
    subprocess.run(
        [*made, "-keyout", str(pair), "-out", str(tmp_path / "chain.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    pair.write_text(pair.read_text() + (tmp_path / "chain.pem").read_text())
    named: list[str | None] = []
    hosts: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(503)
            self.end_headers()
            self.wfile.write(b"vps_1 standby")

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    context.sni_callback = lambda _, name, __: named.append(name)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.handle_request, daemon=True).start()
    url = f"https://shop.example.com:{server.server_port}"
    found = _run(asked.BROWSE, "/.well-known/relevo/vps_1", url)[url]
    server.server_close()

    assert (found["status"], found["said"]) == (503, "vps_1 standby")
    assert found["leaf"].strip() == (tmp_path / "chain.pem").read_text().strip()
    assert (named, hosts) == (["shop.example.com"], ["shop.example.com"])


def test_a_port_where_nobody_listens_is_an_error_in_words() -> None:
    assert "refused" in _run(asked.BROWSE, "/", "http://shop.example.com:1").popitem()[1]["error"]
