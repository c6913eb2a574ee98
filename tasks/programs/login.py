#!/usr/bin/python3
"""Ask an Odoo on this host for a login to each of some databases; say what each answered.

Written by Relevo; python3.8 and the standard library are all that it needs.

    login PORT DATABASE...     one line of JSON: {database: "" or why not}

The login is refused, which is the point: Odoo had to load the database's registry and read its
users to say so (odoo/service/common.py, exp_authenticate). From release 19 on XML-RPC is a module,
which an Odoo started with --load=base,web has not: that one is asked as its own login page asks.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import socket
import sys
import threading
import time
import xmlrpc.client

ANSWER_SECONDS = 20
ANSWER_BYTES = 1 << 20
AT_ONCE = 8
NOT_FOUND = 404
WEB = "/web/session/authenticate"
USER, DENIED = "relevo-probe", "odoo.exceptions.AccessDenied"


class Transport(xmlrpc.client.Transport):
    """XML-RPC whose answers are bounded: they are those of a customer's code."""

    def __init__(self) -> None:
        super().__init__()
        self.accept_gzip_encoding = False  # what is packed could unpack to anything

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
        said = proxy.authenticate(database, USER, "", {})
    except xmlrpc.client.ProtocolError as error:
        if error.errcode == NOT_FOUND:
            return by_web(port, database)
        return str(error)[:300]
    except Exception as error:  # noqa: BLE001  # whatever a customer's code answers
        return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
    return "" if said is False else f"unexpected answer {said!r:.300}"


def by_web(port: int, database: str) -> str:
    """Ask as a browser that logs in, under the database's own name: dbfilter may demand it."""
    params = {"db": database, "login": USER, "password": ""}
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params})
    headers = {"Content-Type": "application/json"}
    if re.fullmatch("[A-Za-z0-9._-]+", database):
        headers["Host"] = database
    link = http.client.HTTPConnection("127.0.0.1", port)
    try:
        link.request("POST", WEB, body.encode(), headers)
        said = json.loads(link.getresponse().read(ANSWER_BYTES))
        refused = said["error"]["data"]
        name, why = str(refused["name"]), str(refused.get("message", ""))
    except Exception as error:  # noqa: BLE001  # whatever a customer's code answers
        return f"{WEB} has no answer: {type(error).__name__} {error}"[:300]
    finally:
        link.close()
    return "" if name == DENIED else f"{name}: {why}"[:300]


def answers(port: int, databases: list[str]) -> dict[str, str]:
    """Ask some at a time; one that drips its answer, or never ends it, holds up nobody for ever."""
    late = f"no whole answer within {ANSWER_SECONDS} s"
    said: dict[str, str] = {}
    left: queue.SimpleQueue[str] = queue.SimpleQueue()
    for each in databases:
        left.put(each)

    def ask() -> None:
        while True:
            try:
                database = left.get_nowait()
            except queue.Empty:
                return
            said[database] = answer(port, database)

    threads = [threading.Thread(target=ask, daemon=True) for _ in databases[:AT_ONCE]]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ANSWER_SECONDS * (1 + len(databases) // AT_ONCE)
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return {each: said.get(each, late) for each in databases}


def main(argv: list[str]) -> int:
    socket.setdefaulttimeout(ANSWER_SECONDS)
    port, *databases = argv
    print(json.dumps(answers(int(port), databases)), flush=True)
    os._exit(0)  # whatever still waits for an answer goes with it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
