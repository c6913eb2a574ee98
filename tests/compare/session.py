"""Terminal sessions kept as text: who types what on which host, under the runbook's own headings.

[promote]
postgres@respaldo$ pg_ctlcluster $V vps_uno promote
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.lab import Lab

PROMPT = re.compile(r"(?P<user>\w+)@(?P<host>\w+)\$ (?P<text>.*)")
TYPED_SECONDS = 180


@dataclass(frozen=True)
class Line:
    """One command, as somebody types it."""

    user: str
    host: str
    text: str


def parse(text: str) -> dict[str, list[Line]]:
    r"""Read the headings with their commands; indented lines go on with the one above.

    >>> parse("# why\n[one]\nroot@uno$ cat <<END\n    x\n    END\n")
    {'one': [Line(user='root', host='uno', text='cat <<END\nx\nEND')]}
    """
    found: dict[str, list[Line]] = {}
    lines: list[Line] = []
    for each in text.splitlines():
        if each.startswith("["):
            lines = found.setdefault(each.strip("[]"), [])
        elif match := PROMPT.fullmatch(each):
            lines.append(Line(**match.groupdict()))
        elif each.startswith("    "):
            last = lines.pop()
            lines.append(Line(last.user, last.host, f"{last.text}\n{each[4:]}"))
    return found


class Session:
    """Somebody at the keyboards, who goes on after an error unless told to mind it."""

    def __init__(self, lab: Lab, path: Path, values: dict[str, str], said: list[str]) -> None:
        self.lab, self.values, self.said = lab, values, said
        self.sections = parse(path.read_text())

    def type(self, section: str, *, mind: bool = False) -> bool:
        """Type a section's commands; say whether all of them did well."""
        well = True
        for line in self.sections[section]:
            well = self._type(section, line) and well
            if mind and not well:
                break
        return well

    def _type(self, section: str, line: Line) -> bool:
        words = [f"{name}={value}" for name, value in self.values.items()]
        command = ("env", *words, "bash", "-c", f"cd; {line.text}")
        try:
            done = self.lab.machine(line.host).run(
                *command, user=line.user, check=False, timeout_seconds=TYPED_SECONDS
            )
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.said.append(f"[{section}] {line.host}: {str(error)[:300]}")
            return False
        if done.returncode != 0:
            words = (done.stderr + done.stdout).strip().splitlines()[-3:]
            first = line.text.splitlines()[0]
            self.said.append(f"[{section}] {line.user}@{line.host}$ {first[:90]}: {words}")
        return done.returncode == 0
