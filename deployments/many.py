"""relevo replicate: several set-ups at a time, each a process of its own: `relevo run replicate`.

A set-up that fails, hangs or is killed takes no other with it, and each keeps its own log.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TextIO

from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from blocks.plain import plain
from deployments import chosen, exit_codes, machine, machine_setup
from deployments.break_glass import say
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.doctor import examine
from tasks.language.catalogue import spoken
from tasks.language.reader import read_in, reading, shown
from tasks.run import terminal

OURS = "relevo: "
SIGNAL = 128  # and its number: how a shell says that one was killed
STAMP = re.compile(r"(?:\d\d:){2}\d\d ")
BACK = "\x1b[A\x1b[2K"


@dataclass(frozen=True)
class Ended:
    """How the set-up of an instance ended, and what it said of that."""

    instance: str
    code: int
    said: str = ""
    ran: bool = True


class Table:
    """What runs now, a line each: drawn anew in a terminal, said once elsewhere."""

    def __init__(self, to: TextIO) -> None:
        self.to, self.live = to, to.isatty()
        self.now, self.lock, self.drawn = dict[str, str](), Lock(), 0

    def tell(self, instance: str, step: str) -> None:
        """Show the step that an instance is at."""
        step = _shown(step)
        with self.lock:
            self.now[instance] = step
            if self.live:
                self._draw()
            else:
                self._say(f"{instance}: {step}")
            self.to.flush()

    def end(self, instance: str, sentence: str) -> None:
        """Say how one ended; that line stays."""
        with self.lock:
            self.now.pop(instance, None)
            self._clear()
            self._say(f"{instance}: {shown(sentence)}")
            self._draw()

    def _say(self, text: str) -> None:
        print(plain(text, lines=True), file=self.to)

    def _clear(self) -> None:
        if self.live:
            self.to.write(BACK * self.drawn)
        self.drawn = 0

    def _draw(self) -> None:
        self._clear()
        if self.live:
            for instance, step in self.now.items():
                self._say(f"  {instance:<24} {step}"[:78])
            self.drawn = len(self.now)


def _shown(line: str) -> str:
    """Say a line of a log to whoever reads; the time before it stays."""
    stamp = STAMP.match(line)
    at = stamp.end() if stamp else 0
    return line[:at] + shown(line[at:])


def command(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Replicate those that were named, or all that have no replica yet."""
    del secrets
    if bool(given.instance) == given.all:
        raise Refused("no instance is named", hint="name instances, or give --all")
    if given.at_most < 1:
        raise Refused("--at-most must be 1 or more", hint="leave it out: the default is 2")
    asked = [chosen.named(each, instances) for each in dict.fromkeys(given.instance)] or instances
    language = reading()
    options = ("--inventory", str(settings.inventory_path()), "--language", language)
    table = Table(sys.stderr if given.json else sys.stdout)

    def one(instance: OdooInstance) -> Ended:
        with read_in(language):  # a thread of the pool knows no reader
            return _one(instance, table, options, only_new=given.all)

    with ThreadPoolExecutor(max_workers=given.at_most) as pool:
        ended = list(pool.map(one, asked))
    if given.json:
        machine.say(document(ended))
    for line in () if given.json else summary(ended):
        say(line)
    codes = {each.code for each in ended if each.code}
    return codes.pop() if len(codes) == 1 else int(bool(codes))


def _one(instance: OdooInstance, table: Table, options: Sequence[str], *, only_new: bool) -> Ended:
    name = instance.name
    if only_new:
        try:
            with terminal.without_server():
                there = examine.has_replica(instance)
        except RelevoError as error:
            table.end(name, "failed")
            return Ended(name, exit_codes.of(error), spoken(error, reading()))
        if there:
            table.end(name, "has its replica")
            return Ended(name, 0, ran=False)
    # Without -P a folder `deployments` where this was called would be run, as root.
    ours = (sys.executable, "-P", "-m", "deployments")
    argv = (*ours, *options, "run", "replicate", name)
    found = follow(name, argv, table.tell)
    table.end(name, "failed" if found.code else "done")
    return found


def follow(name: str, argv: Sequence[str], tell: Callable[[str, str], None]) -> Ended:
    """Run a command to its end; tell each line, and keep what it says of its failure."""
    said: list[str] = []
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    ) as child:  # fmt: skip
        assert child.stdout is not None, "it is a pipe"
        for line in child.stdout:
            text = line.rstrip()
            if said or text.startswith(OURS):
                said.append(text)
            else:
                tell(name, text)
        status = child.wait()
    code = status if status >= 0 else SIGNAL - status
    return Ended(name, code, "\n".join(said).removeprefix(OURS))


def document(ended: Sequence[Ended]) -> machine_setup.ReplicateDocument:
    """How each ended, as fields."""
    return machine_setup.ReplicateDocument(
        instances=tuple(
            machine_setup.SetUp(
                instance=each.instance,
                outcome="failed" if each.code else "done" if each.ran else "there",
                code=each.code,
                said=each.said or None,
            )
            for each in ended
        )
    )


def summary(ended: Sequence[Ended]) -> Iterator[str]:
    """
    >>> print(*summary([Ended("a", 0), Ended("b", 3, "b is new")]), sep="\\n")
    1 of 2 instances are well, 1 failed
    b: b is new
    HINT: fix this (relevo doctor b), then run relevo replicate b
    """
    failed = [each for each in ended if each.code]
    yield f"{len(ended) - len(failed)} of {len(ended)} instances are well, {len(failed)} failed"
    for each in failed:
        yield f"{each.instance}: {each.said or f'it ended with status {each.code}'}"
        name = each.instance
        yield f"HINT: fix this (relevo doctor {name}), then run relevo replicate {name}"
