"""What nginx of the recovery host is told of an instance: while it stands by, and while it serves.

Both forms show the same names with the same certificates, and answer at a path that no other site
has: so by day everything can be tried that the night changes but one line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

Form: TypeAlias = Literal["standby", "serving"]

ALONE = """\
pid /run/relevo-nginx-alone.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    include {site};
}}
"""
# All headers stand together: a location that sets one of its own would have none of these, and Odoo
# be asked for a host that is no customer's.
PROXY = """\
    client_max_body_size 512m;
    proxy_read_timeout 900s;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection ${instance}_connection;
"""
# Who asks for a certificate on this host (certbot --webroot) finds its answers here.
ACME = """\
    location ^~ /.well-known/acme-challenge/ {
        root /var/www/html;
    }
"""
# Whoever still comes here by an old address is asked to come again.
AWAY = """\
    location / {
        add_header Retry-After 60 always;
        return 503;
    }
"""


@dataclass(frozen=True)
class Names:
    """Domains that are shown with one certificate (chain and key), or with none."""

    domains: tuple[str, ...]
    certificate: tuple[str, str] | None = None

    def __str__(self) -> str:
        return " ".join(self.domains)


def render(
    *,
    instance: str,
    names: Sequence[Names],
    http_port: int,
    longpolling_port: int,
    form: Form,
    ipv6: bool = True,
) -> str:
    """Serve these domains, over TLS where there is a certificate; or stand by for them."""
    mark = _mark(instance, form)
    proxy = PROXY.replace("{instance}", f"odoo_{instance}") + f"    include {own(instance)};\n"
    body = f"{proxy}\n{mark}{_to_odoo(instance)}" if form == "serving" else f"{mark}{AWAY}"
    parts = [_upstreams(instance, http_port, longpolling_port)] if form == "serving" else []
    plain = _listen("80", ipv6=ipv6)
    for each in names:
        if each.certificate:
            chain, key = each.certificate
            tls = f"    ssl_certificate {chain};\n    ssl_certificate_key {key};\n"
            parts.append(_server(each, plain, f"{ACME}{REDIRECT}"))
            parts.append(_server(each, _listen("443 ssl", ipv6=ipv6), f"{tls}{body}"))
        else:
            parts.append(_server(each, plain, f"{body}{ACME}"))
    return "\n".join(parts)


def own(instance: str) -> str:
    """Whose directives are put into the site that serves: the recovery host's owner writes them.

    >>> own("vps_1")
    '/etc/nginx/relevo/vps_1/own/*.conf'
    """
    return f"/etc/nginx/relevo/{instance}/own/*.conf"


def renamed(text: str, old: str, new: str) -> str:
    """Let directives that people wrote name the Odoo of another instance.

    >>> renamed("proxy_pass http://odoo_a; include /etc/nginx/relevo/a/own/x; # a", "a", "b")
    'proxy_pass http://odoo_b; include /etc/nginx/relevo/b/own/x; # a'
    >>> renamed("odoo_a_longpolling $odoo_a_connection odoo_ab odoo_a_b", "a", "b")
    'odoo_b_longpolling $odoo_b_connection odoo_ab odoo_a_b'
    """
    text = re.sub(rf"\bodoo_{old}(?=(_longpolling|_connection)?\b)", f"odoo_{new}", text)
    return text.replace(f"/etc/nginx/relevo/{old}/", f"/etc/nginx/relevo/{new}/")


def path(instance: str) -> str:
    """The path at which this site alone answers.

    >>> path("vps_1"), answer("vps_1", "standby")
    ('/.well-known/relevo/vps_1', 'vps_1 standby')
    """
    return f"/.well-known/relevo/{instance}"


def answer(instance: str, form: Form) -> str:
    """What it answers there."""
    return f"{instance} {form}"


def alone(site: PurePosixPath) -> str:
    """A whole configuration of nginx with this site and no other, to be tried."""
    return ALONE.format(site=site)


REDIRECT = """\
    location / {
        return 301 https://$host$request_uri;
    }
"""


def _listen(port: str, *, ipv6: bool) -> str:
    lines = [f"    listen {port};", *([f"    listen [::]:{port};"] if ipv6 else [])]
    return "\n".join(lines)


def _upstreams(instance: str, http_port: int, longpolling_port: int) -> str:
    return (
        f"upstream odoo_{instance} {{ server 127.0.0.1:{http_port}; }}\n"
        f"upstream odoo_{instance}_longpolling {{ server 127.0.0.1:{longpolling_port}; }}\n"
        f'map $http_upgrade $odoo_{instance}_connection {{ default upgrade; "" close; }}\n'
    )


def _server(names: Names, listen: str, body: str) -> str:
    return f"server {{\n{listen}\n    server_name {names};\n{body}}}\n"


def _mark(instance: str, form: Form) -> str:
    return f"""\
    location = {path(instance)} {{
        default_type text/plain;
        return 200 "{answer(instance, form)}";
    }}
"""


def _to_odoo(instance: str) -> str:
    return f"""\
    location ~ ^/(longpolling|websocket) {{
        proxy_http_version 1.1;
        proxy_pass http://odoo_{instance}_longpolling;
    }}
    location / {{
        proxy_pass http://odoo_{instance};
    }}
"""
