"""What of the way in which Odoo is started can be had on the recovery host, and in which form.

Odoo takes its command line over odoo.conf. The environment comes before the file from release 19
on, and only where the file is silent before; where both speak they have to agree.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from blocks.plain import plain
from tasks.odoo import odoo_conf, odoo_options, of_the_server
from tasks.odoo.started import Started

PathMap = Callable[[PurePosixPath], PurePosixPath]
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PLAIN = re.compile(r"(/[A-Za-z0-9._@+-]+)+")
WORD = re.compile(r"-{0,2}[A-Za-z0-9_-]{1,40}")
OF_THE_DATABASE = {
    "PGHOST": "db_host", "PGPORT": "db_port", "PGUSER": "db_user", "PGPASSWORD": "db_password",
}  # fmt: skip
# The recovery host's Odoo reaches its cluster by a socket, as one role, without a password.
NEEDLESS = re.compile(
    rf"PGPASSFILE|PGAPPNAME|PGSSL\w+|PGGSSENCMODE|PGCHANNELBINDING|{of_the_server.OF_RUNNER}"
)
CONFIG = ("ODOO_RC", "OPENERP_SERVER")
# What both hosts have from packages of theirs.
SYSTEM = (
    "/usr", "/bin", "/lib", "/etc/ssl", "/etc/ca-certificates", "/etc/fonts", "/etc/localtime",
    "/dev", "/tmp", "/var/tmp",  # noqa: S108
)  # fmt: skip
HOME_CONF = ".odoorc"


@dataclass(frozen=True)
class Start:
    """Odoo's settings as they are in force, and what else it is started with."""

    text: str
    environment: dict[str, str] = field(default_factory=dict)
    folder: PurePosixPath | None = None
    wrong: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    runs: bool = True


def options_of(started: Started, program: PurePosixPath) -> Sequence[str] | None:
    """Give the words behind the program; none where another one runs.

    >>> options_of(Started(("/usr/bin/python3", "/usr/bin/odoo", "-c", "/c")),
    ...     PurePosixPath("/usr/bin/odoo"))
    ('-c', '/c')
    >>> options_of(Started(("python3", "odoo-bin"), folder=PurePosixPath("/opt/odoo")),
    ...     PurePosixPath("/opt/odoo/odoo-bin"))
    ()
    """
    for at, word in enumerate(started.words):
        if _absolute(started, word) == program:
            return started.words[at + 1 :]
    return None


def _absolute(started: Started, word: str) -> PurePosixPath:
    return started.folder / word


def config_of(started: Started, line: odoo_options.Line) -> PurePosixPath | None:
    """Which odoo.conf is read; none where it is the one in the home of Odoo's user."""
    said = line.options.get("config", "")
    for name in CONFIG:
        said = said or started.environment.get(name, "")
    return _absolute(started, said) if said else None


def judge(  # what both sides say
    text: str,
    started: Started,
    line: odoo_options.Line,
    *,
    unit: str,
    user: str,
    python: PurePosixPath,
    copied: PathMap,
    sources: Sequence[PurePosixPath],
    rooms: Mapping[PurePosixPath, PurePosixPath],
) -> Start:
    """Put together what is in force; name what nobody could carry over.

    `rooms` are other folders of the origin's Odoo, and what the recovery host has in their place.
    """
    text, wrong = in_force(text, started, line, unit=unit)
    text = odoo_conf.absolute(text, started.folder)
    wrong += _of_the_line(line, unit)
    if started.user and started.user != user:
        wrong.append(f"{unit} runs as {started.user}, and the inventory says odoo.user: {user}")
    wrong += _of_the_interpreter(started, unit, python)
    environment, refused = _carried(started.environment, copied, sources)
    wrong += [f"{name} in the environment of {unit} {why}" for name, why in refused.items()]
    folder = rooms.get(started.folder) or _folder(started.folder, copied, sources)
    if folder is None and started.folder != PurePosixPath("/"):
        wrong.append(
            f"{unit} runs in {plain(str(started.folder))} (WorkingDirectory=), which is in none of "
            "odoo.sources"
        )
    remarks = []
    if started.settings:
        remarks.append(f"not carried over from {unit}: {plain(', '.join(started.settings))}")
    if odoo_conf.value(text, "max_cron_threads") == "0":
        remarks.append(
            "odoo.conf says max_cron_threads = 0: if another unit runs the scheduled actions, "
            "nobody would run them on the recovery host"
        )
    return Start(text, environment, folder, tuple(wrong), tuple(remarks))


def in_force(
    text: str, started: Started, line: odoo_options.Line, *, unit: str
) -> tuple[str, list[str]]:
    """Put command line and environment over an odoo.conf; say where it depends on the release."""
    options = {name: said for name, said in line.options.items() if name != "config"}
    wrong: list[str] = []
    for name, option in OF_THE_DATABASE.items():
        said, file = started.environment.get(name, ""), odoo_conf.value(text, option)
        if not said or option in options:
            continue
        if file and file != said:
            wrong.append(
                f"{name} in the environment of {unit} is another than {option} of odoo.conf"
            )
        options[option] = said
    return odoo_conf.overlay(text, options), wrong


def _of_the_line(line: odoo_options.Line, unit: str) -> Iterator[str]:
    for word in line.refused:
        shown = word if WORD.fullmatch(word) else "a word that is not an option"
        yield f"{unit} starts Odoo with {shown}, which odoo.conf on the recovery host cannot say"
    for name, said in line.options.items():
        if not said.isprintable():
            yield f"{unit} starts Odoo with control characters in {name}"


def _of_the_interpreter(started: Started, unit: str, python: PurePosixPath) -> Iterator[str]:
    """Say when another Python runs Odoo than the one whose packages are taken over."""
    said = PurePosixPath(started.words[0]) if started.words else PurePosixPath()
    runs_python = said.name.startswith("python") and said.is_absolute()
    if runs_python and _folder_of(said) != _folder_of(python):
        yield f"{unit} runs {plain(str(said))}, and the inventory says odoo.python: {python}"


def _folder_of(path: PurePosixPath) -> PurePosixPath:
    """
    >>> _folder_of(PurePosixPath("/bin/python3"))
    PurePosixPath('/usr/bin')
    """
    return PurePosixPath("/usr/bin") if path.parent == PurePosixPath("/bin") else path.parent


def _carried(
    environment: Mapping[str, str], copied: PathMap, sources: Sequence[PurePosixPath]
) -> tuple[dict[str, str], dict[str, str]]:
    """What of an environment goes along, and why the rest cannot.

    >>> at = PurePosixPath("/opt/odoo")
    >>> _carried({"STAGE": "a b", "PGPORT": "1", "PGSERVICE": "x", "ODOO_WORKERS": "3",
    ...     "PYTHONPATH": "/opt/odoo/lib:/opt/other"},
    ...     lambda p: p, [at])  # doctest: +NORMALIZE_WHITESPACE
    ({'STAGE': 'a b'}, {'PGSERVICE': "is read by PostgreSQL's library, not by odoo.conf",
    'ODOO_WORKERS': 'is an option of Odoo',
    'PYTHONPATH': 'names /opt/other, which is in none of odoo.sources'})
    """
    goes, stays = {}, {}
    for name, said in environment.items():
        if name in (*CONFIG, *OF_THE_DATABASE) or NEEDLESS.fullmatch(name):
            continue
        if name.startswith("PG"):
            stays[name] = "is read by PostgreSQL's library, not by odoo.conf"
        elif name.removeprefix("ODOO_").lower() in odoo_options.DESTS and name.startswith("ODOO_"):
            stays[name] = "is an option of Odoo"
        elif not NAME.fullmatch(name) or not said.isprintable():
            stays[plain(name, longest=60)] = "holds control characters, or has an odd name"
        else:
            paths = {each: _path(each, copied, sources) for each in said.split(":")}
            lost = next((each for each, path in paths.items() if path is None), None)
            if lost:
                where = plain(lost, longest=80)
                stays[name] = f"names {where}, which is in none of odoo.sources"
            else:
                goes[name] = ":".join(str(paths[each]) for each in said.split(":"))
    return goes, stays


def _path(word: str, copied: PathMap, sources: Sequence[PurePosixPath]) -> str | None:
    """Where a path is to be found on the recovery host; any other word stays as it is."""
    if not word.startswith("/") or word.startswith("//"):
        return word
    path = PurePosixPath(word)
    if any(path.is_relative_to(source) for source in sources):
        return str(copied(path))
    return word if is_system(path) else None


def _folder(
    folder: PurePosixPath, copied: PathMap, sources: Sequence[PurePosixPath]
) -> PurePosixPath | None:
    """Where the recovery host has the folder that Odoo runs in: a source, or one around it."""
    if not PLAIN.fullmatch(str(folder)) or ".." in folder.parts:
        return None
    for source in sources:
        if folder.is_relative_to(source):
            return copied(folder)
        if source.is_relative_to(folder) and folder != PurePosixPath("/"):
            inside = copied(source)
            return inside.parents[len(source.relative_to(folder).parts) - 1]
    return None


def is_system(path: PurePosixPath) -> bool:
    """Tell whether both hosts have a path from packages of theirs."""
    return any(path.is_relative_to(each) for each in SYSTEM)


def environment_file(environment: Mapping[str, str]) -> str:
    r"""Write variables as systemd.exec(5) reads them (EnvironmentFile=).

    >>> print(environment_file({"STAGE": 'a "b" $c \\'}), end="")
    # Written by Relevo: what the origin's Odoo has in its environment.
    STAGE="a \"b\" \$c \\"
    """
    lines = (f'{name}="{_quoted(said)}"\n' for name, said in sorted(environment.items()))
    head = "# Written by Relevo: what the origin's Odoo has in its environment.\n"
    return head + "".join(lines)


def variables(text: str) -> dict[str, str]:
    r"""Read the lines of such a file, each value as it is written there.

    >>> variables(environment_file({"STAGE": "a b", "X": "="}))
    {'STAGE': '"a b"', 'X': '"="'}
    """
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return dict(line.partition("=")[::2] for line in lines)


def _quoted(said: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", said)
