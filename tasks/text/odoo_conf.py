"""odoo.conf for the recovery host, made from the origin's own."""

import configparser
import io
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

PathMap = Callable[[PurePosixPath], PurePosixPath]


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
    return default if role in {"False", "None", ""} else role


def render(
    text: str,
    *,
    copied: PathMap,
    data_dir: PurePosixPath,
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
        "db_host": "False",
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
    for former in ("xmlrpc_port", "xmlrpcs_port"):
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
