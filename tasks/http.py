"""Odoo asked over HTTP, as a customer's client asks it, through the ssh connection."""

import http.client
import io
import socket
import time
import xmlrpc.client
from pathlib import PurePosixPath
from typing import Any
from xml.parsers.expat import ExpatError

from blocks.answers import understood
from blocks.errors import CommandFailed, RelevoError
from blocks.instance import Place
from blocks.plain import plain
from blocks.shell import Shell

ANSWER_SECONDS = 20
ANSWER_BYTES = 1 << 20


class Listening:
    """A socket whose answers are bounded, as far as http.client needs one.

    As with Python's own, it stays open until what reads from it is closed too.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.holders = sock, 1
        self.sendall = sock.sendall

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  # it only reads
        self.holders += 1
        return io.BufferedReader(Heard(self))

    def close(self) -> None:
        self.holders -= 1
        if not self.holders:
            self.sock.close()


class Heard(io.RawIOBase):
    """What comes out of a socket, as much and as long as is listened to."""

    def __init__(self, listening: Listening) -> None:
        super().__init__()
        self.listening, self.left = listening, ANSWER_BYTES
        self.deadline = time.monotonic() + ANSWER_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError(f"no whole answer within {ANSWER_SECONDS} s")
        if self.left <= 0:
            raise OSError(f"an answer of more than {ANSWER_BYTES} bytes")
        self.listening.sock.settimeout(seconds)
        view = memoryview(buffer)
        part = self.listening.sock.recv(min(len(view), self.left))
        view[: len(part)] = part
        self.left -= len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self.listening.close()


class Tunnelled(http.client.HTTPConnection):
    """A connection to a port on the host's own loopback."""

    def __init__(self, shell: Shell, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self.shell = shell

    def connect(self) -> None:
        dialled = self.shell.dial(self.port)
        dialled.settimeout(ANSWER_SECONDS)
        self.sock = Listening(dialled)  # it has the verbs that are used


class Transport(xmlrpc.client.Transport):
    """XML-RPC over a tunnelled connection."""

    def __init__(self, shell: Shell, port: int) -> None:
        super().__init__()
        self.shell, self.port = shell, port

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002
        return Tunnelled(self.shell, self.port)

    def parse_response(self, response: http.client.HTTPResponse) -> Any:
        """Read what is said as it is: what is packed could unpack to anything."""
        parser, unmarshaller = self.getparser()
        parser.feed(response.read(ANSWER_BYTES))
        parser.close()
        return unmarshaller.close()


# Asks nginx as a browser does, with the domain's name in the TLS handshake too.
BROWSE = """
import http.client, re, socket, ssl, sys
domain, path, chain = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with socket.create_connection(("127.0.0.1", 443), 20) as raw:
    with context.wrap_socket(raw, server_hostname=domain) as shown:
        connection = http.client.HTTPConnection(domain)
        connection.sock = shown
        connection.request("GET", path)
        status = connection.getresponse().status
        leaf = shown.getpeercert(binary_form=True)
first = re.search("-----BEGIN.*?END CERTIFICATE-----", open(chain).read(1 << 20), re.DOTALL)
print(status, "same" if first and ssl.PEM_cert_to_DER_cert(first[0]) == leaf else "other")
"""
REFUSALS = (
    OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError, RelevoError,
    ValueError, LookupError, TypeError, RecursionError,  # what is no XML-RPC
)  # fmt: skip


def _last_line(error: Exception) -> str:
    last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return plain(last, longest=300)


def answers(place: Place, database: str) -> str:
    """Ask Odoo for a login to one database; return "" when the database was asked, else why not.

    The login is refused, which is the point: Odoo had to load the database's registry and read
    its users to say so (odoo/service/common.py, exp_authenticate).
    """
    transport = Transport(place.host.shell(), place.odoo.http_port)
    proxy = xmlrpc.client.ServerProxy(
        f"http://127.0.0.1:{place.odoo.http_port}/xmlrpc/2/common", transport=transport
    )
    try:
        said = proxy.authenticate(database, "relevo-probe", "", {})
    except REFUSALS as error:
        return f"{database}: {_last_line(error)}"
    return "" if said is False else f"{database}: unexpected answer {said!r:.300}"


def status(place: Place, port: int, *, host: str, path: str = "/web/login") -> int:
    """The status with which a port answers a browser's request for a domain."""
    connection = Tunnelled(place.host.shell(), port)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise CommandFailed(
            f"port {port} on {place} does not answer for {host}: {error}"
        ) from error
    finally:
        connection.close()


def secure_status(
    place: Place, *, host: str, chain: PurePosixPath, path: str = "/web/login"
) -> int:
    """The status with which port 443 answers for a domain, with the certificate that it should."""
    argv = ("python3", "-c", BROWSE, host, path, str(chain))
    done = place.host.shell().run(argv, check=False, timeout_seconds=2 * ANSWER_SECONDS)
    if done.status != 0:
        raise CommandFailed(f"port 443 on {place} does not answer for {host}: {done.tail}")
    with understood(f"what port 443 on {place} answers for {host}"):
        status, shown = done.stdout.split()
        number = int(status)
    if shown != "same":
        raise CommandFailed(f"nginx on {place} shows {host} with another certificate than {chain}")
    return number
