#!/usr/bin/python3
"""Ask an Odoo on this host for a login to each of some databases; say what each answered.

Written by Relevo; python3.8 and the standard library are all that it needs.

    login PORT DATABASE...     one line of JSON: {database: "" or why not}

The login is refused, which is the point: Odoo had to load the database's registry and read its
users to say so (odoo/service/common.py, exp_authenticate).
"""

from __future__ import annotations

import json
import socket
import sys
import xmlrpc.client

ANSWER_SECONDS = 60
ANSWER_BYTES = 1 << 20


class Transport(xmlrpc.client.Transport):
    """XML-RPC whose answers are bounded: they are those of a customer's code."""

    def parse_response(self, response):  # type: ignore[no-untyped-def]
        parser, unmarshaller = self.getparser()
        parser.feed(response.read(ANSWER_BYTES))
        parser.close()
        return unmarshaller.close()


def answer(port: int, database: str) -> str:
    proxy = xmlrpc.client.ServerProxy(
        f"http://127.0.0.1:{port}/xmlrpc/2/common", transport=Transport()
    )
    try:
        said = proxy.authenticate(database, "relevo-probe", "", {})
    except Exception as error:  # noqa: BLE001  # whatever a customer's code answers
        return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
    return "" if said is False else f"unexpected answer {said!r:.300}"


def main(argv: list[str]) -> int:
    socket.setdefaulttimeout(ANSWER_SECONDS)
    port, *databases = argv
    print(json.dumps({each: answer(int(port), each) for each in databases}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
