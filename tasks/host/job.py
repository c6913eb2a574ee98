"""Long commands on a host: each is a transient systemd unit with a name of its own.

A killed worker or a cut link does not stop them and cannot start them twice: who comes next finds
the unit by its name and waits for it. What they say goes to a file under /var/log/relevo.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from blocks.answers import understood
from blocks.errors import CommandFailed, Refused
from blocks.shell import Shell
from tasks.host import confine

LOGS = PurePosixPath("/var/log/relevo")
SPARING = (Path(__file__).parents[1] / "programs" / "sparing.py").read_text()
FULL = 28  # as SPARING ends where it has ended its command
# What is left of an earlier one of its name goes first.
START = """
unit=$1 path=$2
shift 2
systemctl stop "$unit" 2>/dev/null
systemctl reset-failed "$unit" 2>/dev/null
install -d -m 750 "$(dirname "$path")" && rm -f "$path" && exec "$@"
"""
# Of a long story the end: what was done is said there, and why it could not be done.
END = """
tail -c "$3" "$2"
systemctl stop "$1" 2>/dev/null
systemctl reset-failed "$1" 2>/dev/null
exit 0
"""
END_BYTES = 4 << 20
# All that is done for an instance in units of its own; a name of a unit is said in full, for what
# stands before and behind an instance's name may be another's.
ENGINE = ("pass", "reconcile", "restore", "verdict", "heal", "push")
STAGED = ("clone", "odoo", "postgres", "pack", "link", "table")
KINDS = (
    "filestore", "sources", "requirements", *map("engine-{}".format, ENGINE), "basebackup",
    "rewind", "quarantine", "divergence", *map("drill-{}".format, STAGED),
    *map("look-{}".format, (*STAGED, "door")),
)  # fmt: skip
# Of units that are not there systemctl knows nothing, and stops none of the others.
STOP = """
for unit in $(systemctl list-units --all --plain --no-legend "$@" | awk '{print $1}'); do
    systemctl stop "$unit" || exit
    systemctl reset-failed "$unit" 2>/dev/null
done
exit 0
"""
POLL_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5)
EXITS = {"success", "exit-code"}  # what systemd calls the result of one that ended by itself


@dataclass(frozen=True)
class Unit:
    """What systemctl show says of a unit."""

    active: str
    sub: str
    result: str
    status: int

    @property
    def running(self) -> bool:
        return self.sub not in {"exited", "failed", "dead"}

    @property
    def exit_status(self) -> int | None:
        """How it ended by itself; none where a signal has ended it, whose number `status` is.

        >>> Unit("failed", "failed", "exit-code", 12).exit_status
        12
        >>> Unit("failed", "failed", "signal", 12).exit_status
        """
        return self.status if self.result in EXITS else None


def show(shell: Shell, unit: str) -> Unit:
    """Ask systemd for the state of a unit."""
    properties = ("ActiveState", "SubState", "Result", "ExecMainStatus")
    argv = ("systemctl", "show", unit, *(f"--property={name}" for name in properties))
    output = shell.run(argv).stdout
    with understood(f"the state of {unit} on {shell.host}"):
        facts = dict(line.split("=", 1) for line in output.splitlines())
        active, sub, result, status = (facts[name] for name in properties)
        return Unit(active, sub, result, int(status))


def is_running(shell: Shell, name: str) -> bool:
    """Tell whether a long command is under way."""
    return show(shell, _unit(name)).running


def any_running(shell: Shell, names: Sequence[str]) -> bool:
    """Tell whether one of several long commands is under way, in one question."""
    argv = ("systemctl", "show", "--property=SubState", "--value", *map(_unit, names))
    said = shell.run(argv).stdout.split()
    return any(Unit("", each, "", 0).running for each in said)


def await_job(shell: Shell, name: str, *, timeout_seconds: float) -> None:
    """Wait for the end of a long command, if it is under way."""
    _wait(shell, _unit(name), LOGS / f"{name}.log", timeout_seconds, lambda _: None)


def run_job(
    shell: Shell,
    name: str,
    argv: Sequence[str],
    *,
    user: str,
    timeout_seconds: float,
    accept: Sequence[int] = (0,),
    spares: Sequence[PurePosixPath] = (),
    on_progress: Callable[[str], None] = lambda _: None,
) -> str:
    """Run a long command to its end, or wait for the one that is under way; return what it said.

    One that writes what another host says ends before it takes the last of the disks of the folders
    that it `spares`.
    """
    unit, path = _unit(name), LOGS / f"{name}.log"
    if not show(shell, unit).running:
        _start(shell, unit, path, sparing(argv, spares) if spares else argv, user)
    ended = _wait(shell, unit, path, timeout_seconds, on_progress)
    end = ("sh", "-c", END, "end", unit, str(path), str(END_BYTES))
    output = shell.run(end, timeout_seconds=120).stdout
    if ended.sub == "dead":
        raise CommandFailed(
            f"{unit} on {shell.host} was stopped before it finished, or the host was rebooted "
            "meanwhile",
            hint="retry this run",
        )
    if spares and ended.exit_status == FULL:
        why = output.strip().rpartition("ended: ")[2][:300]
        raise Refused(
            f"{argv[0]} on {shell.host} was ended: {why}",
            hint=f"see what the other host sends (a huge file?), or make room on {shell.host}, "
            "then run this again",
        )
    if ended.exit_status not in accept:
        tail = output.strip().splitlines()[-10:]
        raise CommandFailed(
            f"{argv[0]} failed on {shell.host} with status {ended.status} ({ended.result}):\n"
            + "\n".join(tail),
            hint=f"read its full output in {path} on {shell.host}",
            status=ended.exit_status,
            argv=argv,
            last_lines=tail,
        )
    return output


def sparing(argv: Sequence[str], folders: Sequence[PurePosixPath]) -> tuple[str, ...]:
    return ("python3", "-I", "-S", "-c", SPARING, *map(str, folders), "--", *argv)


def stop_job(shell: Shell, name: str) -> None:
    """End a long command, if it is under way, and wait until it has ended.

    One that cannot be ended (its disk is dead) keeps nothing from running: a failover least of all.
    """
    unit = _unit(name)
    shell.run(("systemctl", "stop", unit), check=False, timeout_seconds=120)
    shell.run(("systemctl", "reset-failed", unit), check=False)


def units(instance: str) -> list[str]:
    """Name the units of an instance's long commands, there or not.

    >>> units("vps_1")[0]
    'relevo-vps_1-filestore.service'
    """
    return [_unit(f"{instance}-{kind}") for kind in KINDS]


def stop_all(shell: Shell, instance: str, *, timeout_seconds: float) -> None:
    """End all long commands of an instance, and what is left of those that have ended."""
    argv = ("sh", "-c", STOP, "stop-units", *units(instance))
    shell.run(argv, timeout_seconds=timeout_seconds)


def _unit(name: str) -> str:
    return f"relevo-{name}.service"


def _start(shell: Shell, unit: str, path: PurePosixPath, argv: Sequence[str], user: str) -> None:
    confined = confine.options(confine.job()) if user != "root" else ()
    run = (
        "systemd-run", "--quiet", "--remain-after-exit", f"--unit={unit}", f"--uid={user}",
        *confined,
        "--property=WorkingDirectory=/", f"--property=StandardOutput=append:{path}",
        f"--property=StandardError=append:{path}", "--setenv=LC_ALL=C", "--", *argv,
    )  # fmt: skip
    shell.run(("sh", "-c", START, "start", unit, str(path), *run), timeout_seconds=120)


def _wait(
    shell: Shell,
    unit: str,
    path: PurePosixPath,
    timeout_seconds: float,
    on_progress: Callable[[str], None],
) -> Unit:
    deadline = time.monotonic() + timeout_seconds
    polls = 0
    while (state := show(shell, unit)).running:
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"{unit} on {shell.host} has not finished after {timeout_seconds:.0f} s",
                hint=f"read {path} there; running this again waits for it once more",
            )
        if polls >= len(POLL_SECONDS):
            on_progress(shell.run(("tail", "-c", "2000", str(path)), check=False).stdout)
        time.sleep(POLL_SECONDS[min(polls, len(POLL_SECONDS) - 1)])
        polls += 1
    return state
