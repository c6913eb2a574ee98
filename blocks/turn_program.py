"""Give a run its turn on a host, and end what is left of the runs before it: runs there as root.

Python 3.8, the standard library. /run/relevo/NAME.turn/ is root's alone, and holds a file for each
turn, named by its number: who has the highest acts. A command of a turn holds its file as long as
it runs (turn.py). Whoever takes a higher turn makes the file of that first, which bars all that
comes later of a lower one; then it waits for what is at work, ends what does not end, and removes
the lower file.

    take NAME PATIENCE           make a turn that is higher than all before, and print it
    enter NAME NUMBER PATIENCE   bring a turn that was taken elsewhere to this host
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

RUN, KEPT = Path("/run/relevo"), Path("/var/lib/relevo/.turns")
PROC = Path("/proc")
OVER, STUCK = 97, 98
KILL_SECONDS, GIVE_UP_SECONDS = 3, 6  # after the patience is at its end
LONGEST = 1 << 16
BEGAN = 19  # in /proc/PID/stat, behind the name


class Stuck(Exception):
    """A command of a run before cannot be ended."""


def turns(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.name.isdecimal())


def kept(name: str) -> int:
    """The last number that was given here, before a boot too."""
    said = head(KEPT / name).strip()
    return int(said) if said.isdigit() else 0


def keep(name: str, number: str) -> None:
    """Note a number for after a boot; a disk that is full stops no failover.

    Then the clock alone has to be ahead of the last number, and nearly always is.
    """
    fresh = KEPT / f"{name}.new"
    with contextlib.suppress(OSError):
        KEPT.mkdir(mode=0o700, parents=True, exist_ok=True)
        with fresh.open("w") as file:
            file.write(number)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(KEPT / name)


def head(path: Path) -> bytes:
    """The beginning of a file; nothing where there is none, or its process has ended."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(LONGEST)
    except OSError:
        return b""


class Process(NamedTuple):
    """One that has not ended: a number alone may soon be another's."""

    number: int
    began: bytes

    def tell(self, what: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.number, what)

    @property
    def words(self) -> list[bytes]:
        return head(PROC / f"{self.number}/cmdline").split(b"\0")

    def __str__(self) -> str:
        return f"{self.number} {self.words[0].decode(errors='replace')[:80]}"

    def holds(self, door: int) -> bool:
        wanted = os.fstat(door)
        with contextlib.suppress(OSError):
            for each in (PROC / f"{self.number}/fd").iterdir():
                with contextlib.suppress(OSError):
                    seen = each.stat()
                    if (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
                        return True
        return False


def processes() -> dict[Process, int]:
    """Every process that has not ended, and its parent's number."""
    found = {}
    for each in PROC.iterdir():
        if each.name.isdecimal():
            facts = head(each / "stat").rpartition(b")")[2].split()
            if len(facts) > BEGAN and facts[0] not in {b"Z", b"X"}:
                found[Process(int(each.name), facts[BEGAN])] = int(facts[1])
    return found


def below(parent: Process, there: dict[Process, int]) -> list[Process]:
    """Find what runs below a process, parents first."""
    found = [each for each, number in there.items() if number == parent.number]
    return [*found, *(deeper for each in found for deeper in below(each, there))]


def shells(door: int) -> list[Process]:
    """Find who holds the file of a turn."""
    return [each for each in processes() if each.number != os.getpid() and each.holds(door)]


def left_of(told: dict[Process, list[Process]]) -> list[Process]:
    """Find those that were told to end and have not."""
    there = processes() if told else {}
    return [each for ended in told.values() for each in ended if each in there]


def stays(shell: Process) -> bool:
    """Tell whether the command of a shell never ends by itself."""
    return shell.words[6:7] == [b"stays"]


def end(shell: Process) -> list[Process]:
    """Tell a command to end, and name its processes; none of them begins another meanwhile.

    A command is what runs below the shell that holds the file of its turn. The shell ends by
    itself then; where the command has not begun, it is told.
    """
    still: list[Process] = []
    there = processes()
    begun = bool(below(shell, there))
    if not begun:
        shell.tell(signal.SIGSTOP)
    while more := [each for each in below(shell, processes()) if each not in still]:
        for each in more:
            each.tell(signal.SIGSTOP)
        still += more
    told = still or [shell]
    for each in told:
        if not each.words[0].endswith(b"runuser"):  # it would kill what may need a moment to end
            each.tell(signal.SIGTERM)
    for each in reversed([shell, *still]):  # it stops itself where what it waits for stands still
        each.tell(signal.SIGCONT)
    if not begun and shell in there:
        for each in there:
            if each.number == there[shell] and each.words[0].endswith(b"sudo"):
                wake(each)
    return told


def wake(sudo: Process) -> None:
    """Let sudo go on, which stops itself where its command was stopped."""
    for _ in range(20):
        if head(PROC / f"{sudo.number}/stat").rpartition(b")")[2].split()[:1] == [b"T"]:
            sudo.tell(signal.SIGCONT)
            return
        time.sleep(0.02)


def clear(path: Path, patience: float) -> None:
    """Wait until no command of a turn is at work, end those that are, and forget the turn."""
    try:
        door = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    told: dict[Process, list[Process]] = {}  # by the shell
    begun = time.monotonic()
    try:
        while not held(door) or left_of(told):
            late = time.monotonic() - begun - patience
            if late > GIVE_UP_SECONDS:
                raise Stuck(", ".join(map(str, left_of(told))) or "nobody knows what")
            if late > KILL_SECONDS:
                for each in left_of(told):
                    each.tell(signal.SIGKILL)
            for shell in shells(door):
                if shell not in told and (late > 0 or stays(shell)):
                    told[shell] = end(shell)
            time.sleep(0.02)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    finally:
        os.close(door)


def held(door: int) -> bool:
    """Take the file of a turn for ourselves, if no command holds it."""
    try:
        fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def folder_of(name: str) -> Path:
    folder = RUN / f"{name}.turn"
    RUN.mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def enter(name: str, number: str, patience: float) -> int:
    folder = folder_of(name)
    if not any(each > number for each in turns(folder)):
        (folder / number).touch(mode=0o600)
        for each in turns(folder):
            if each < number:
                clear(folder / each, patience)
    if turns(folder)[-1] > number:
        sys.stderr.write("relevo-turn over\n")
        return OVER
    return 0


def take(name: str, patience: float) -> int:
    """Make a turn: by counting, and by the clock where what was counted is lost."""
    last = max([kept(name), *map(int, turns(folder_of(name)))])
    number = f"{max(last + 1, time.time_ns() // 1000):019d}"
    keep(name, number)
    done = enter(name, number, patience)
    sys.stdout.write(f"{number}\n")
    return done


def main(verb: str, name: str, *words: str) -> int:
    os.umask(0o022)
    try:
        if verb == "take":
            return take(name, float(words[0]))
        return enter(name, words[0], float(words[1]))
    except Stuck as stuck:
        sys.stdout.write(f"stuck {stuck}\n")
        return STUCK


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
