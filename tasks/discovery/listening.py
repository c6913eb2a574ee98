"""Who listens on a server: sockets as `ss` names them, and the processes behind them."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.odoo.started import argv

PROGRAM = re.compile(r"(odoo|openerp)([-_.]?(bin|server|gevent|py))*\d{0,2}(\.py)?")
PIDS = re.compile(r"pid=(\d+)")
LIVE_CHAT = {"gevent", "evented"}  # the command of its process; the second up to release 15
FIRST_WORDS = 6  # python and its options, then the program


@dataclass(frozen=True)
class Listener:
    """A socket that waits for connections, and the processes that have it open."""

    address: str
    port: int
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Process:
    """A process: its words, and the last part of its control group."""

    pid: int
    group: str
    words: tuple[str, ...]

    @property
    def unit(self) -> str:
        """The service of systemd's that it belongs to; none for a login, a container or a user.

        >>> Process(1, "0::/system.slice/system-odoo.slice/odoo@uno.service", ()).unit
        'odoo@uno.service'
        >>> Process(1, "0::/user.slice/user-1000.slice/session-3.scope", ()).unit
        ''
        """
        path = self.group.rpartition(":")[2]
        parts = [part for part in path.split("/") if part.endswith(".service")]
        return "" if any(part.startswith("user@") for part in parts) or not parts else parts[-1]

    @property
    def is_odoo(self) -> bool:
        return program_at(self.words) is not None


@dataclass(frozen=True)
class Running:
    """An Odoo that runs: its unit, the ports at which it listens, and that of its live chat."""

    unit: str
    ports: tuple[int, ...]
    gevent_ports: tuple[int, ...] = ()
    group: str = ""


def program_at(words: Sequence[str]) -> int | None:
    """Find Odoo's program among the first words of a command line.

    >>> program_at(["/usr/bin/python3", "/usr/bin/odoo", "-c", "/etc/odoo.conf"])
    1
    >>> program_at(["/venv/bin/python", "-u", "odoo-bin"]), program_at(["/usr/bin/odoo14"])
    (2, 0)
    >>> program_at(["postgres", "-D", "/srv/odoo"]), program_at(["odoo: WorkerHTTP 7"])
    (None, None)
    """
    for at, word in enumerate(words[:FIRST_WORDS]):
        if PROGRAM.fullmatch(PurePosixPath(word).name):
            before = words[:at]
            if all(_is_python(each) or each.startswith("-") for each in before):
                return at
    return None


def _is_python(word: str) -> bool:
    return PurePosixPath(word).name.startswith("python")


def sockets(text: str) -> list[Listener]:
    """Read `ss -Hltnp`.

    >>> sockets('LISTEN 0 128 127.0.0.1:8069 0.0.0.0:* users:(("odoo",pid=7,fd=4),("odoo",pid=9,'
    ...     'fd=4))')
    [Listener(address='127.0.0.1', port=8069, pids=(7, 9))]
    >>> sockets("LISTEN 0 4096 [::]:443 [::]:*")[0].address
    '::'
    """
    found = []
    for line in text.splitlines():
        words = line.split(maxsplit=5)
        if len(words) > 3 and words[0] == "LISTEN":  # noqa: PLR2004
            host, _, port = words[3].rpartition(":")
            pids = tuple(map(int, PIDS.findall(line)))
            found.append(Listener(host.strip("[]").partition("%")[0], int(port), pids))
    return found


def processes(text: str) -> list[Process]:
    """Read what the script LISTENERS (server.py) says of each process."""
    return [_process(part) for part in text.split("process=")[1:]]


def _process(text: str) -> Process:
    pid, *lines = text.splitlines()
    facts = dict(line.partition("=")[::2] for line in lines)
    words = base64.b64decode(facts.get("words", "")).decode(errors="replace")
    return Process(int(pid), facts.get("cgroup", ""), tuple(words.removesuffix("\0").split("\0")))


def odoos(found: Sequence[Listener], running: Sequence[Process]) -> list[Running]:
    """Find each Odoo by the unit of its process, with all ports of that unit."""
    units = dict.fromkeys((each.unit or each.group) for each in running if each.is_odoo)
    return [_odoo(name, found, running) for name in units]


def _odoo(name: str, found: Sequence[Listener], running: Sequence[Process]) -> Running:
    mine = [each for each in running if (each.unit or each.group) == name]
    pids = {each.pid for each in mine}
    gevent = {each.pid for each in mine if each.is_odoo and LIVE_CHAT & {*each.words}}
    return Running(
        unit=mine[0].unit, group=mine[0].group,
        ports=_ports(found, pids - gevent), gevent_ports=_ports(found, gevent),
    )  # fmt: skip


def _ports(found: Sequence[Listener], pids: set[int]) -> tuple[int, ...]:
    return tuple(sorted({each.port for each in found if pids & {*each.pids}}))


def planned(text: str) -> Iterator[str]:
    """Name the units that would run Odoo, as `systemctl show` of all services tells.

    >>> list(planned("Id=odoo.service\\nExecStart={ path=/usr/bin/odoo ; argv[]=/usr/bin/odoo -c x"
    ...     " ; }\\n\\nId=cron.service\\nExecStart={ path=/c ; argv[]=/c -f ; }\\n"))
    ['odoo.service']
    """
    for block in text.split("\n\n"):
        facts = dict(line.partition("=")[::2] for line in block.splitlines())
        words = argv(facts.get("ExecStart", "")).split()
        of_a_script = bool(words) and re.fullmatch(r"/etc/init\.d/\S*odoo\S*", words[0])
        if program_at(words) is not None or of_a_script:
            yield facts.get("Id", "")
