#!/usr/bin/python3
"""Hand one connection on to a cluster on loopback, if it comes from the origin.

Written by Relevo; systemd starts it for each connection, with that as its standard input.

    door ORIGIN PORT
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
import threading

CHUNK = 1 << 16
CONNECT_SECONDS = 10


def same(one: str, other: str) -> bool:
    """Tell whether two addresses are one, however they are written.

    >>> same("2001:db8::1", "2001:0db8:0::1"), same("10.0.0.1", "10.0.0.2")
    (True, False)
    """
    return ipaddress.ip_address(one.split("%", maxsplit=1)[0]) == ipaddress.ip_address(other)


def carry(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes, until either side has no more to say."""
    with contextlib.suppress(OSError):
        while part := source.recv(CHUNK):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def main(words: list[str]) -> int:
    origin, port = words
    guest = socket.socket(fileno=0)
    came = guest.getpeername()[0]
    if not same(came, origin):
        print(f"{came} is not the origin, {origin}: nothing was handed on", file=sys.stderr)
        return 1
    with socket.create_connection(("127.0.0.1", int(port)), CONNECT_SECONDS) as cluster:
        cluster.settimeout(None)
        for each in (guest, cluster):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        back = threading.Thread(target=carry, args=(cluster, guest), daemon=True)
        back.start()
        carry(guest, cluster)
        back.join()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
