"""One Odoo as it runs on a server: its program, its settings in force, its folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from blocks import answers
from blocks.answers import understood
from blocks.errors import CommandFailed
from blocks.shell import Shell
from tasks.discovery import listening, sources
from tasks.discovery.listening import Running
from tasks.host import files
from tasks.odoo import odoo_conf, odoo_options, odoo_settings, odoo_start
from tasks.odoo import started as reading
from tasks.odoo.started import Started

PACKAGE = (Path(__file__).parents[1] / "programs" / "odoo_package.py").read_text()
ASK_SECONDS = 30
LONGEST = 1 << 18
HTTP_PORT, GEVENT_PORT = 8069, 8072
RENAMED_IN = 16  # longpolling_port became gevent_port
DATA_DIR = ".local/share/Odoo"
# Arguments: a unit and a word. Says which program a word is by the PATH of the unit's process.
BY_PATH = """
pid=$(systemctl show "$1" --property=MainPID --value)
[ "${pid:-0}" -gt 0 ] || exit 0
path=$(tr '\\0' '\\n' <"/proc/$pid/environ" | sed -n 's/^PATH=//p' | head -n 1)
(PATH=${path:-$PATH}; command -v "$2")
"""
# Argument: a program. Says by which interpreter its first line has it run.
SHEBANG = 'head -n 1 "$1" | head -c 300'


@dataclass(frozen=True)
class Package:
    """Odoo as its Python finds it: its folder, its release, what is installed in place."""

    folder: PurePosixPath | None = None
    release: str = ""
    editable: tuple[PurePosixPath, ...] = ()

    @property
    def major(self) -> int:
        head = self.release.partition(".")[0]
        return int(head) if head.isdecimal() else 0


@dataclass(frozen=True)
class Program:
    """An Odoo: how it was started, and the odoo.conf that would say the same."""

    unit: str
    started: Started
    user: str
    home: PurePosixPath
    program: PurePosixPath | None
    python: PurePosixPath | None
    config: PurePosixPath
    there: bool
    text: str
    package: Package

    def value(self, *names: str) -> str:
        """The first of some options that is set."""
        return next((said for name in names if (said := odoo_conf.value(self.text, name))), "")

    def port(self, *names: str, usual: int) -> int:
        said = self.value(*names)
        return int(said) if said.isdecimal() else usual

    @property
    def http_port(self) -> int:
        return self.port("http_port", "xmlrpc_port", usual=HTTP_PORT)

    @property
    def gevent_port(self) -> int:
        """The port of the live chat, under the name that this release knows."""
        old, new = "longpolling_port", "gevent_port"
        if self.package.major and self.package.major < RENAMED_IN:
            return self.port(old, usual=GEVENT_PORT)
        return self.port(new, old, usual=GEVENT_PORT)

    @property
    def workers(self) -> int:
        return odoo_conf.workers(self.text)

    @property
    def data_dir(self) -> PurePosixPath:
        said = self.value("data_dir")
        return self.path(said) if said else self.home / DATA_DIR

    @property
    def addons(self) -> list[PurePosixPath]:
        return [self.path(str(each)) for each in odoo_conf.folders(self.value("addons_path"))]

    def path(self, said: str) -> PurePosixPath:
        """Name a path in full, as Odoo takes it from its home and the folder that it runs in."""
        if said == "~" or said.startswith("~/"):
            return self.home / said[2:]
        return self.started.folder / said


def observe(shell: Shell, running: Running) -> Program:
    """Ask with what an Odoo runs, or would; raise Refused when its odoo.conf cannot be read."""
    started = _started(shell, running)
    at = listening.program_at(started.words)
    user = started.user or "root"
    home = files.home(shell, user)
    program = started.folder / started.words[at] if at is not None else None
    line = odoo_options.read(started.words[at + 1 :] if at is not None else ())
    config = odoo_start.config_of(started, line) or home / odoo_start.HOME_CONF
    file = files.read(shell, config)
    text, _ = odoo_start.in_force(file, started, line, unit=running.unit)
    python = _python(shell, running.unit, started.words[:at], program, user) if program else None
    package = _package(shell, python, program, user) if python and program else Package()
    return Program(
        running.unit, started, user, home, program, python, config, bool(file), text, package
    )


def _started(shell: Shell, running: Running) -> Started:
    port = running.ports[0] if running.ports else HTTP_PORT
    argv = ("sh", "-c", odoo_settings.STARTED, "started", running.unit, str(port))
    output = shell.run(argv, timeout_seconds=ASK_SECONDS, limit_bytes=LONGEST).stdout
    with understood(f"how {running.unit} on {shell.host} is started"):
        return reading.read(output)


def _python(
    shell: Shell, unit: str, before: Sequence[str], program: PurePosixPath, user: str
) -> PurePosixPath | None:
    """Find the interpreter: it was named, or the first line of the program names it."""
    word = next((each for each in before if not each.startswith("-")), "")
    if not word:
        first = ("sh", "-c", SHEBANG, "shebang", str(program))
        word = interpreter(shell.run(first, user=user, check=False, limit_bytes=LONGEST).stdout)
    if word and not word.startswith("/"):
        named = ("sh", "-c", BY_PATH, "by-path", unit, word)
        word = shell.run(named, check=False, limit_bytes=LONGEST).stdout.strip()
    path = PurePosixPath(word)
    if not path.is_absolute():
        return None
    return PurePosixPath("/usr", *path.parts[1:]) if path.parts[1] == "bin" else path


def interpreter(line: str) -> str:
    """Read the first line of a script.

    >>> interpreter("#!/opt/venv/bin/python3 -s"), interpreter("#!/usr/bin/env python3\\n")
    ('/opt/venv/bin/python3', 'python3')
    >>> interpreter("import odoo")
    ''
    """
    words = line.removeprefix("#!").split() if line.startswith("#!") else []
    if words and PurePosixPath(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else ""


def _package(
    shell: Shell, python: PurePosixPath, program: PurePosixPath, user: str
) -> Package:  # fmt: skip
    argv = (str(python), "-B", "-c", PACKAGE, str(program.parent))
    done = shell.run(argv, user=user, check=False, timeout_seconds=ASK_SECONDS, limit_bytes=LONGEST)
    if done.status:
        raise CommandFailed(
            f"{python} on {shell.host} does not say where it has Odoo: {done.tail}",
            hint=f"run {python} -c 'import odoo' there as {user}",
        )
    what = f"where {python} on {shell.host} has Odoo"
    facts = answers.facts(done.stdout, what)
    with understood(what):
        folder = str(facts["package"])
        return Package(
            PurePosixPath(folder) if folder else None, str(facts["release"]),
            tuple(PurePosixPath(str(each)) for each in facts["editable"]),
        )  # fmt: skip


def folders(shell: Shell, found: Program) -> list[PurePosixPath]:
    """Name the folders that have to be copied, less what packages own."""
    every = sources.candidates(found.addons, found.package.folder, found.package.editable)
    lacking = files.missing(shell, *every) if every else []
    every = [each for each in every if str(each) not in lacking]
    if not every:
        return []
    done = shell.run(
        ("dpkg-query", "-S", *map(str, every)), user=found.user, check=False, limit_bytes=LONGEST
    )
    owned = sources.owned(done.stdout)
    return sources.outermost([each for each in every if each not in owned], found.data_dir)
