"""A mail server and a web hook on loopback, which keep what they are told."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """What arrived, whole, in the order in which it did."""

    port: int = 0
    messages: list[str] = field(default_factory=list)

    def about(self, *words: str) -> list[str]:
        return [each for each in self.messages if all(word in each for word in words)]


class Threading(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _mailbox(box: Received) -> type[socketserver.StreamRequestHandler]:
    class Smtp(socketserver.StreamRequestHandler):
        """As much of RFC 5321 as smtplib needs."""

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 receiver ESMTP")
            while line := self.rfile.readline().decode().strip().upper():
                if line.startswith("DATA"):
                    self.say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    box.messages.append(_plain(b"".join(lines)))
                if line.startswith("QUIT"):
                    self.say("221 bye")
                    return
                self.say("250 receiver" if line.startswith("EHLO") else "250 ok")

    return Smtp


def _plain(raw: bytes) -> str:
    """A mail as somebody reads it: the subject, and what its parts say."""
    mail = message_from_bytes(raw, policy=policy.default)
    parts = [each for each in mail.walk() if each.get_content_maintype() == "text"]
    return "\n".join([f"Subject: {mail['Subject']}", *(each.get_content() for each in parts)])


def _hook(box: Received) -> type[BaseHTTPRequestHandler]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            box.messages.append(self.rfile.read(length).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # its name there
            """Keep the terminal for the tests."""

    return Hook


@contextmanager
def mail() -> Iterator[Received]:
    yield from _serving(lambda box: Threading(("127.0.0.1", 0), _mailbox(box)))


@contextmanager
def web() -> Iterator[Received]:
    yield from _serving(lambda box: ThreadingHTTPServer(("127.0.0.1", 0), _hook(box)))


def _serving(make: Callable[[Received], socketserver.TCPServer]) -> Iterator[Received]:
    box = Received()
    with make(box) as server:
        box.port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield box
        finally:
            server.shutdown()
