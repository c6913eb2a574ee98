"""The nginx site that shows an instance to its customers."""

from collections.abc import Sequence
from pathlib import PurePosixPath

ALONE = """\
pid /run/relevo-nginx-alone.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    include {site};
}}
"""
PROXY = """\
    client_max_body_size 512m;
    proxy_read_timeout 900s;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Real-IP $remote_addr;
"""


def render(
    *,
    instance: str,
    domains: Sequence[str],
    http_port: int,
    longpolling_port: int,
    certificate: tuple[str, str] | None,
    ipv6: bool = True,
) -> str:
    """Serve these domains, over TLS when there is a certificate (chain and key)."""
    names = " ".join(domains)
    parts = [_upstreams(instance, http_port, longpolling_port)]
    if certificate:
        chain, key = certificate
        tls = f"    ssl_certificate {chain};\n    ssl_certificate_key {key};\n"
        parts.append(_redirect(names, _listen("80", ipv6=ipv6)))
        parts.append(_server(instance, names, listen=_listen("443 ssl", ipv6=ipv6), extra=tls))
    else:
        parts.append(_server(instance, names, listen=_listen("80", ipv6=ipv6), extra=""))
    return "\n".join(parts)


def alone(site: PurePosixPath) -> str:
    """A whole configuration of nginx with this site and no other, to be tried."""
    return ALONE.format(site=site)


def _listen(port: str, *, ipv6: bool) -> str:
    lines = [f"    listen {port};", *([f"    listen [::]:{port};"] if ipv6 else [])]
    return "\n".join(lines)


def _upstreams(instance: str, http_port: int, longpolling_port: int) -> str:
    return (
        f"upstream odoo_{instance} {{ server 127.0.0.1:{http_port}; }}\n"
        f"upstream odoo_{instance}_longpolling {{ server 127.0.0.1:{longpolling_port}; }}\n"
    )


def _redirect(names: str, listen: str) -> str:
    return f"""\
server {{
{listen}
    server_name {names};
    return 301 https://$host$request_uri;
}}
"""


def _server(instance: str, names: str, *, listen: str, extra: str) -> str:
    return f"""\
server {{
{listen}
    server_name {names};
{extra}{PROXY}
    location ~ ^/(longpolling|websocket) {{
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_pass http://odoo_{instance}_longpolling;
    }}
    location / {{
        proxy_pass http://odoo_{instance};
    }}
}}
"""
