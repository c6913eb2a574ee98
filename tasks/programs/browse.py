#!/usr/bin/python3
"""Ask web servers on this host for a page as a browser does; say what each answered.

Written by Relevo; python3.8 and the standard library are all that it needs.

    browse PATH https://DOMAIN:443...     one line of JSON: {url: {status, said, leaf} or {error}}

The connection goes to this host's own loopback; the domain stands in the TLS handshake and in the
Host header. The certificate is not judged here, but handed on.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import sys
import threading
from urllib.parse import urlsplit

ANSWER_SECONDS = 20
ANSWER_BYTES = 4096


def page(url: str, path: str) -> dict[str, object]:
    """Ask one server; the leaf is the certificate that it showed."""
    where, leaf = urlsplit(url), ""
    domain, port = str(where.hostname), int(where.port or 80)
    with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as raw:
        shown = raw
        if where.scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            shown = context.wrap_socket(raw, server_hostname=domain)
            leaf = ssl.DER_cert_to_PEM_cert(shown.getpeercert(binary_form=True) or b"")
        connection = http.client.HTTPConnection(domain)
        connection.sock = shown
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read(ANSWER_BYTES).decode(errors="replace")
    return {"status": answer.status, "said": said, "leaf": leaf}


def pages(path: str, urls: list[str]) -> dict[str, dict[str, object]]:
    """Ask all of them at once; one that drips its answer holds up nobody for ever."""
    said: dict[str, dict[str, object]] = {}

    def ask(url: str) -> None:
        try:
            said[url] = page(url, path)
        except (OSError, http.client.HTTPException, ValueError) as error:
            said[url] = {"error": str(error)[:300] or type(error).__name__}

    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWER_SECONDS)
    late: dict[str, object] = {"error": f"no whole answer within {ANSWER_SECONDS} s"}
    return {url: said.get(url, late) for url in urls}


def main(argv: list[str]) -> int:
    path, *urls = argv
    print(json.dumps(pages(path, urls)), flush=True)
    os._exit(0)  # whatever still waits for an answer goes with it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
