"""odoo.conf for the recovery host, made from the origin's own."""

import configparser
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.plain import plain
from tasks.odoo import of_the_server
from tasks.odoo.dialect import Dialect, Lines, NoOption

PathMap = Callable[[PurePosixPath], PurePosixPath]
# What Odoo takes for nothing: no other spelling of False (odoo/tools/config.py).
UNSET = ("False", "false", "None", "")
SOCKETS = ("/var/run/postgresql", "/run/postgresql")  # where Debian's libpq looks
LOOPBACK = ("localhost", "127.0.0.1", "::1")
POSTGRES_PORT, HTTP_PORT = 5432, 8069
FOLDERS = ("addons_path", "upgrade_path")
FORMER_NAMES = {
    "http_port": ("xmlrpc_port",),
    "http_interface": ("xmlrpc_interface",),
    "http_enable": ("xmlrpc",),
}
ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
KEYWORDS = {"postgres", "all", "replication", "sameuser", "samerole", "samegroup"}


def parse(text: str) -> dict[str, str]:
    """Read the options of an odoo.conf."""
    parser = parsed(text)
    return dict(parser["options"]) if parser.has_section("options") else {}


def parsed(text: str) -> configparser.ConfigParser:
    """Parse; of what is no odoo.conf, name the line alone: a password may stand there."""
    parser, lines = Dialect(interpolation=None, strict=False), Lines(text)
    try:
        parser.read_file(lines)
    except (configparser.Error, NoOption):
        raise _spoiled(lines.number) from None
    return parser


def _spoiled(line: int) -> Refused:
    return Refused(
        f"odoo.conf cannot be read: its line {line} is neither [options] nor an option",
        hint="correct that line: Odoo itself would not start with it",
    )


def value(text: str, name: str) -> str:
    r"""Read one option; nothing where Odoo takes it for nothing.

    >>> value("[options]\ndb_user = false\n", "db_user"), value("[options]\na = FALSE\n", "a")
    ('', 'FALSE')
    """
    said = parse(text).get(name, "")
    return "" if said in UNSET else said


def database_role(text: str, *, default: str) -> str:
    r"""
    >>> database_role("[options]\ndb_user = False\n", default="odoo")
    'odoo'
    """
    role = value(text, "db_user")
    return _plain_role(role) if role else default


def overlay(text: str, options: Mapping[str, str]) -> str:
    r"""Put options over those of an odoo.conf, as Odoo puts its command line over it.

    >>> print(overlay("[options]\nworkers = 2\nlog_handler = a:INFO\n",
    ...     {"workers": "4", "log_handler": "b:DEBUG"}), end="")
    [options]
    workers = 4
    log_handler = a:INFO,b:DEBUG
    <BLANKLINE>
    """
    if not options:
        return text
    parser = parsed(text)
    if not parser.has_section("options"):
        parser.add_section("options")
    theirs = parser["options"]
    for name, said in options.items():
        for former in FORMER_NAMES.get(name, ()):
            theirs.pop(former, None)
        adds = name == "log_handler" and theirs.get(name)  # it adds to those of the file
        theirs[name] = f"{theirs[name]},{said}" if adds else said
    out = io.StringIO()
    parser.write(out)
    return out.getvalue()


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
        f"odoo.conf names the role {plain(role, longest=80)} (db_user), which Relevo does not "
        "allow for Odoo on the recovery host",
        hint="give Odoo a role of its own: letters, digits, underscores and dashes, not postgres",
    )


def workers(text: str) -> int:
    """Say how many workers Odoo is told to start; none is its default.

    >>> workers("[options]\\nworkers = 4\\n"), workers("[options]\\n"), workers("")
    (4, 0, 0)
    """
    said = parse(text).get("workers", "0")
    return int(said) if said.isdecimal() else 0


def absolute(text: str, folder: PurePosixPath) -> str:
    r"""Name folders of modules in full, which Odoo takes from the folder that it runs in.

    >>> at = PurePosixPath("/opt/odoo")
    >>> value(absolute("[options]\naddons_path = addons,/usr/a\n", at), "addons_path")
    '/opt/odoo/addons,/usr/a'
    """
    said = {name: value(text, name) for name in FOLDERS}
    full = {
        name: ",".join(str(path if str(path).startswith("~") else folder / path) for path in paths)
        for name, paths in ((name, folders(each)) for name, each in said.items())
    }
    return overlay(text, {name: paths for name, paths in full.items() if paths != said[name]})


def database_host(text: str) -> str:
    r"""Say which host an odoo.conf asks for its databases; nothing where that is this very server.

    >>> database_host("[options]\ndb_host = 10.0.0.9\n"), database_host("[options]\n")
    ('10.0.0.9', '')
    >>> database_host("[options]\ndb_host = /run/postgresql/\n")
    ''
    """
    host = value(text, "db_host")
    return "" if host in LOOPBACK or host.rstrip("/") in SOCKETS else host


def differences(
    text: str, *, data_dir: PurePosixPath, http_port: int, db_port: int
) -> Iterator[str]:
    r"""Say where an odoo.conf and the inventory disagree; what it leaves out may stand elsewhere.

    >>> conf = "[options]\ndata_dir = /b/\nxmlrpc_port = 8069\nhttp_interface = 10.0.0.1\n"
    >>> for each in differences(conf + "db_port = 5440\n", data_dir=PurePosixPath("/a"),
    ...     http_port=8069, db_port=5432): print(each)
    says db_port = 5440, and the inventory postgres.port: 5432
    says data_dir = /b, and the inventory odoo.data_dir: /a
    lets Odoo listen on 10.0.0.1 alone, and it is asked on 127.0.0.1 (see http_interface)
    >>> for each in differences("", data_dir=PurePosixPath("/a"), http_port=8069, db_port=5544):
    ...     print(each)
    leaves db_port out, which means 5432, and the inventory postgres.port: 5544
    """
    options = parse(text)
    asked = value(text, "db_port")
    if (asked or str(POSTGRES_PORT)) != str(db_port):
        says = (
            f"says db_port = {asked}"
            if asked
            else f"leaves db_port out, which means {POSTGRES_PORT}"
        )
        yield f"{says}, and the inventory postgres.port: {db_port}"
    theirs = options.get("data_dir", "")
    if theirs not in UNSET and PurePosixPath(theirs) != data_dir:
        says = f"says data_dir = {PurePosixPath(theirs)}"
        yield f"{says}, and the inventory odoo.data_dir: {data_dir}"
    port = options.get("http_port", options.get("xmlrpc_port", ""))
    port = str(HTTP_PORT) if port in UNSET else port
    if port != str(http_port):
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
    parser = parsed(text)
    if not parser.has_section("options"):
        parser.add_section("options")
    theirs = parser["options"]
    for former in ("xmlrpc_port", "xmlrpcs_port", "db_replica_host", "db_replica_port"):
        theirs.pop(former, None)
    if "x_sendfile" in theirs:  # Odoo would leave files to a place of the origin's nginx
        theirs["x_sendfile"] = "False"
    for name in FOLDERS:
        if theirs.get(name, "") not in UNSET:
            theirs[name] = addons_path(theirs[name], copied)
    of_the_server.settle(parser, copied)
    theirs.update({name: str(value) for name, value in options.items()})
    out = io.StringIO()
    parser.write(out)
    return out.getvalue()


def addons_path(text: str, copied: PathMap) -> str:
    return ",".join(str(copied(path)) for path in folders(text))


def folders(text: str) -> list[PurePosixPath]:
    """
    >>> folders("/usr/a, /opt/b,")
    [PurePosixPath('/usr/a'), PurePosixPath('/opt/b')]
    """
    paths = (each.strip() for each in text.replace("\n", "").split(","))
    return [PurePosixPath(path) for path in paths if path]
