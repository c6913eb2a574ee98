"""A kept page, read as a person reads it: by its headings, with the blocks to be pasted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.lab.machine import Machine

STEP = re.compile(r"### (?P<label>[A-Z]?\d+)\. (?P<where>[^:]+): (?P<title>.+)")
PART = re.compile(r"## (?:(?P<letter>[A-Z])\. )?.+")
BLOCK = re.compile(r"^```bash\n(.*?\n)```$", re.MULTILINE | re.DOTALL)
# A line that one block prints to be pasted before the next: the shell quotes what it prints.
TO_PASTE = re.compile(r"^(?:facts|stopped|passwords)=.+$", re.MULTILINE)
ASKS = re.compile(r"^printf '(\w+)=[?] ' >&2$", re.MULTILINE)
ONLY_IF = ("Only if", "Solo si")


@dataclass(frozen=True)
class Read:
    """One step of a page: its number, where it is done, what it says, and what is pasted."""

    way: str
    label: str
    where: str
    title: str
    text: str
    block: str

    @property
    def only(self) -> bool:
        """Whether it is for a case that is named, and skipped otherwise."""
        return self.title.startswith(ONLY_IF)


def steps(page: str) -> Iterator[Read]:
    """Read the steps in the order in which they stand; those without a way are for every way."""
    way = ""
    for section in re.split(r"^(?=##)", page, flags=re.MULTILINE):
        heading, _, rest = section.partition("\n")
        if part := PART.fullmatch(heading):
            way = part["letter"] or ""
        elif found := STEP.fullmatch(heading):
            block = BLOCK.search(rest)
            pasted = block[1] if block else ""
            yield Read(way, found["label"], found["where"], found["title"], rest, pasted)


class Follower:
    """Somebody who follows a page to the letter, on the hosts that it names."""

    def __init__(self, page: str, *hosts: Machine) -> None:
        self.steps = list(steps(page))
        self.hosts = {each.name: each for each in hosts}
        self.copied: dict[str, str] = {}

    def follow(self, way: str, *, first: str = "", last: str = "") -> None:
        """Do what is for every way and for this one, but for what begins with "only if".

        From the step `first` to the step `last`, both included; all where they are not named.
        """
        chosen = [each for each in self.steps if each.way in {"", way} and not each.only]
        labels = [each.label for each in chosen]
        begin = labels.index(first) if first else 0
        end = labels.index(last) if last else len(labels)
        for each in chosen[begin : end + 1]:
            self.do(each)

    def step(self, label: str) -> Read:
        return next(each for each in self.steps if each.label == label)

    def typed(self, block: str) -> str:
        """Give what is typed: the block, and the lines that it needs before or when it asks."""
        asked = ASKS.findall(block)
        before = [line for name, line in self.copied.items() if name == "passwords"]
        return "".join(
            (
                *(f"{line}\n" for line in before),
                block,
                *(f"{self.copied[name]}\n" for name in asked),
            )
        )

    def do(self, step: Read) -> str:
        """Paste a block into a shell of the host that the step names, as root; give what it says.

        What an earlier block has printed to be pasted is pasted first, or when the block asks. On a
        host that is off it is pasted in the rescue mode, in which its disk is mounted.
        """
        if not step.block:
            return ""
        host = self.hosts[step.where]
        typed = self.typed(step.block)
        if host.is_running:
            done = host.run("bash", stdin=typed, check=False)
            said, wrong = done.stdout, done.stderr
        else:
            said, wrong = host.offline("bash", stdin=typed), ""
        assert said.endswith(f"{step.label}: OK\n"), f"{step.label} {step.title}\n{said}\n{wrong}"
        for line in TO_PASTE.findall(said):
            self.copied[line.partition("=")[0]] = line
        return said.removesuffix(f"{step.label}: OK\n").strip()
