"""odoo.conf for the recovery host, made from the origin's own."""

import configparser
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.plain import plain

PathMap = Callable[[PurePosixPath], PurePosixPath]
UNSET = ("False", "None", "")
ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
KEYWORDS = {"postgres", "all", "replication", "sameuser", "samerole", "samegroup"}


def parse(text: str) -> dict[str, str]:
    """Read the options of an odoo.conf."""
    parser = _parser()
    parser.read_string(text)
    return dict(parser["options"]) if parser.has_section("options") else {}


def database_role(text: str, *, default: str) -> str:
    """
    >>> database_role("[options]\\ndb_user = False\\n", default="odoo")
    'odoo'
    """
    role = parse(text).get("db_user", "False")
    return default if role in UNSET else _plain_role(role)


def _plain_role(role: str) -> str:
    """Refuse a role that pg_hba.conf or pg_ident.conf would take for more than one, or another.

    >>> _plain_role("odoo-14"), _plain_role("Odoo")
    ('odoo-14', 'Odoo')
    >>> for role in ("a\\nhost all all all trust", "postgres", "all", "+staff", "/.*", "@f", "a,b"):
    ...     try: print(_plain_role(role))
    ...     except Refused: pass
    """
    if ROLE.fullmatch(role) and role.lower() not in KEYWORDS and not role.startswith("pg_"):
        return role
    raise Refused(
        f"odoo.conf names the role {plain(role, longest=80)} (db_user), which is none that Relevo "
        "lets Odoo be on the recovery host",
        hint="give Odoo a role of its own: letters, digits, underscores and dashes, not postgres",
    )


def workers(text: str) -> int:
    """Say how many workers Odoo is told to start; none is its default.

    >>> workers("[options]\\nworkers = 4\\n"), workers("[options]\\n"), workers("")
    (4, 0, 0)
    """
    said = parse(text).get("workers", "0")
    return int(said) if said.isdecimal() else 0


def differences(text: str, *, data_dir: PurePosixPath, http_port: int) -> Iterator[str]:
    r"""Say where an odoo.conf and the inventory disagree; what it leaves out may stand elsewhere.

    >>> conf = "[options]\ndata_dir = /b/\nxmlrpc_port = 8069\nhttp_interface = 10.0.0.1\n"
    >>> for each in differences(conf, data_dir=PurePosixPath("/a"), http_port=8069): print(each)
    says data_dir = /b, and the inventory odoo.data_dir: /a
    lets Odoo listen on 10.0.0.1 alone, and it is asked on 127.0.0.1 (see http_interface)
    """
    options = parse(text)
    theirs = options.get("data_dir", "")
    if theirs not in UNSET and PurePosixPath(theirs) != data_dir:
        says = f"says data_dir = {PurePosixPath(theirs)}"
        yield f"{says}, and the inventory odoo.data_dir: {data_dir}"
    port = options.get("http_port", options.get("xmlrpc_port", ""))
    if port not in UNSET and port != str(http_port):
        yield f"says http_port = {port}, and the inventory odoo.http_port: {http_port}"
    interface = options.get("http_interface", options.get("xmlrpc_interface", ""))
    if interface not in (*UNSET, "0.0.0.0", "::", "127.0.0.1", "localhost"):  # noqa: S104
        yield (
            f"lets Odoo listen on {interface} alone, and it is asked on 127.0.0.1 "
            "(see http_interface)"
        )


def render(
    text: str,
    *,
    copied: PathMap,
    data_dir: PurePosixPath,
    db_host: str = "False",
    db_port: int,
    db_user: str,
    http_port: int,
    longpolling_port: int,
) -> str:
    r"""Keep the origin's options but for paths, ports and the way to the database.

    >>> conf = "[options]\naddons_path = /usr/a,/opt/src\nworkers = 4\ndb_password = secret\n"
    >>> print(render(conf, copied=lambda p: PurePosixPath("/r" + str(p)) if "src" in str(p) else p,
    ...     data_dir=PurePosixPath("/r/data"), db_port=5433, db_user="odoo", http_port=8169,
    ...     longpolling_port=8172), end="")
    [options]
    addons_path = /usr/a,/r/opt/src
    workers = 4
    db_password = False
    data_dir = /r/data
    db_host = False
    db_port = 5433
    db_user = odoo
    gevent_port = 8172
    http_port = 8169
    longpolling_port = 8172
    logfile = False
    pidfile = False
    <BLANKLINE>
    """
    options: Mapping[str, str | int] = {
        "data_dir": str(data_dir),
        "db_host": db_host,
        "db_password": "False",
        "db_port": db_port,
        "db_user": db_user,
        "gevent_port": longpolling_port,
        "http_port": http_port,
        "longpolling_port": longpolling_port,
        "logfile": "False",
        "pidfile": "False",
    }
    parser = _parser()
    parser.read_string(text)
    if not parser.has_section("options"):
        parser.add_section("options")
    theirs = parser["options"]
    for former in ("xmlrpc_port", "xmlrpcs_port", "db_replica_host", "db_replica_port"):
        theirs.pop(former, None)
    if "addons_path" in theirs:
        theirs["addons_path"] = addons_path(theirs["addons_path"], copied)
    theirs.update({name: str(value) for name, value in options.items()})
    out = io.StringIO()
    parser.write(out)
    return out.getvalue()


def addons_path(text: str, copied: PathMap) -> str:
    paths = (each.strip() for each in text.replace("\n", "").split(","))
    return ",".join(str(copied(PurePosixPath(path))) for path in paths if path)


def _parser() -> configparser.ConfigParser:
    """A parser for the dialect of Odoo: no interpolation, repeated options taken as they come."""
    return configparser.ConfigParser(interpolation=None, strict=False)
