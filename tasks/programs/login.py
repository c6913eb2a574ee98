#!/usr/bin/python3
"""Ask an Odoo on this host for a login to each of some databases; say what each answered.

Written by Relevo; python3.8 and the standard library are all that it needs.

    login PORT DATABASE...     one line of JSON: {database: "" or why not}

The login is refused, which is the point: Odoo had to load the database's registry and read its
users to say so (odoo/service/common.py, exp_authenticate).
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import xmlrpc.client

ANSWER_SECONDS = 60


def answer(port: int, database: str) -> str:
    proxy = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/xmlrpc/2/common")
    try:
        said = proxy.authenticate(database, "relevo-probe", "", {})
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return "" if said is False else f"unexpected answer {said!r}"


def main(argv: list[str]) -> int:
    socket.setdefaulttimeout(ANSWER_SECONDS)
    port, *databases = argv
    print(json.dumps({each: answer(int(port), each) for each in databases}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
