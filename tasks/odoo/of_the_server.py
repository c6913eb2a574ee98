"""What an odoo.conf says beside Odoo's own options that holds on one server alone.

Files that options name, and where the runner of OCA's queue_job calls: it is a process of its own,
which knows neither Odoo's port nor its cluster where somebody has written others down for it. On
the recovery host another customer's Odoo may sit at that port.
"""

import configparser
import re
from collections.abc import Callable
from pathlib import PurePosixPath

PathMap = Callable[[PurePosixPath], PurePosixPath]
RUNNER = "queue_job"
# Without these it calls the Odoo that has started it, and enters the databases as that does.
CALLS = ("scheme", "host", "port")
ITS_DATABASE = "jobrunner_db_"
OF_RUNNER = r"ODOO_QUEUE_JOB_(SCHEME|HOST|PORT|JOBRUNNER_DB_\w+)"  # the same in the environment
# By these names alone: another value that begins with a slash may be a password.
NAMES_A_FILE = re.compile(r"\w*(file|filename|path|dir|directory|folder|cert|certificate)")
MODULES = ("addons_path", "upgrade_path")
DECIDED = (*MODULES, "data_dir", "logfile", "pidfile", "pg_path")


def settle(parser: configparser.ConfigParser, copied: PathMap) -> None:
    """Let every option lead to the copies, and the runner of jobs to its own Odoo."""
    for section in parser.sections():
        theirs = parser[section]
        for name, said in theirs.items():
            if section == RUNNER and (name in CALLS or name.startswith(ITS_DATABASE)):
                parser.remove_option(section, name)
            elif (led := _led(said, copied)) != said and name not in MODULES:
                theirs[name] = led


def _led(said: str, copied: PathMap) -> str:
    """
    >>> _led("/opt/a/x.pem, /etc/b", lambda p: PurePosixPath("/r") if "opt" in str(p) else p)
    '/r, /etc/b'
    """
    parts = re.split(r"(\s*[,\n]\s*)", said)
    return "".join(_copy(each, copied) if each.startswith("/") else each for each in parts)


def _copy(said: str, copied: PathMap) -> str:
    path = PurePosixPath(said)
    return said if (to := copied(path)) == path else str(to)


def named(
    parser: configparser.ConfigParser, is_known: Callable[[PurePosixPath], bool]
) -> dict[str, str]:
    """Name the files that options ask for and nobody knows, each by its option."""
    found: dict[str, str] = {}
    for section in parser.sections():
        for name, said in parser[section].items():
            if name in DECIDED or not NAMES_A_FILE.fullmatch(name) or not said.startswith("/"):
                continue
            if said.isprintable() and not is_known(PurePosixPath(said)):
                found[said] = name if section == "options" else f"[{section}] {name}"
    return found
