"""Odoo asked over HTTP, as a customer's client asks it, through the ssh connection."""

import http.client
import xmlrpc.client
from pathlib import PurePosixPath
from typing import Any
from xml.parsers.expat import ExpatError

from blocks.errors import CommandFailed, RelevoError
from blocks.instance import Place
from blocks.plain import plain
from blocks.shell import Shell

ANSWER_SECONDS = 20


class Tunnelled(http.client.HTTPConnection):
    """A connection to a port on the host's own loopback."""

    def __init__(self, shell: Shell, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self.shell = shell

    def connect(self) -> None:
        self.sock = self.shell.dial(self.port)
        self.sock.settimeout(ANSWER_SECONDS)


class Transport(xmlrpc.client.Transport):
    """XML-RPC over a tunnelled connection."""

    def __init__(self, shell: Shell, port: int) -> None:
        super().__init__()
        self.shell, self.port = shell, port

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002
        return Tunnelled(self.shell, self.port)


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
first = re.search("-----BEGIN.*?END CERTIFICATE-----", open(chain).read(), re.DOTALL)
print(status, "same" if first and ssl.PEM_cert_to_DER_cert(first[0]) == leaf else "other")
"""
REFUSALS = (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError, RelevoError)


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
    return "" if said is False else f"{database}: unexpected answer {said!r}"


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


def secure_status(place: Place, *, host: str, chain: PurePosixPath) -> int:
    """The status with which port 443 answers for a domain, with the certificate that it should."""
    argv = ("python3", "-c", BROWSE, host, "/web/login", str(chain))
    done = place.host.shell().run(argv, check=False, timeout_seconds=2 * ANSWER_SECONDS)
    if done.status != 0:
        raise CommandFailed(f"port 443 on {place} does not answer for {host}: {done.tail}")
    status, shown = done.stdout.split()
    if shown != "same":
        raise CommandFailed(f"nginx on {place} shows {host} with another certificate than {chain}")
    return int(status)
