"""Somebody at a terminal of a host, who types what a page says and answers what is asked."""

import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.lab.trouble import LabError

# What a login of root has, whatever else a lab's commands are given.
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A shell keeps for good what it was begun with, such as an interrupt that nohup or & has ignored.
SHELL = (
    "setsid", "--ctty", "env", "--default-signal", PATH,
    "bash", "--noprofile", "--norc", "--noediting", "-i",
)  # fmt: skip
SIZE = (24, 80)  # without one, psql shows a single line in a pager
PROMPT = re.compile(r"<typed (\d+)> ")
FIRST = "stty -echo; PS2= PS1='<typed $?> '"


class Terminal:
    """One interactive shell: its folder, its variables and its jobs stay from line to line.

    `inside` wraps a command so that it runs on the host, as `Machine.inside` does. `answers` says
    what is typed at a prompt that is recognised; \\1 is what the prompt itself has named.
    """

    def __init__(self, inside: Sequence[str], answers: Mapping[str, str] | None = None) -> None:
        self.answers = {re.compile(asked): said for asked, said in (answers or {}).items()}
        self.text = ""
        self._seen = 0
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, SIZE)
        self._process = subprocess.Popen(
            inside, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.type(FIRST)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, as whoever closes a window does: what the shell has started ends with it."""
        with suppress(OSError):
            os.close(self._master)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def paste(self, block: str, codes: Sequence[int] = (0,), *, seconds: float = 900) -> str:
        """Type each line of a block; every one of them has to end well."""
        lines = re.sub(r"\\\n\s*", "", block).splitlines()
        return "".join(self.type(line, codes, seconds=seconds) for line in lines if line.strip())

    def type(self, line: str, codes: Sequence[int] = (0,), *, seconds: float = 900) -> str:
        """Type one line, answer what it asks, and give what it has said when the shell is back."""
        begin = self._seen = len(self.text)
        os.write(self._master, f"{line}\n".encode())
        deadline = time.monotonic() + seconds
        while not (ended := PROMPT.search(self.text, self._seen)):
            if not self._read(deadline):
                raise LabError(f"{line}: not within {seconds:.0f} s:\n{self.text[begin:][-3000:]}")
            self._answer()
        self._seen = ended.end()
        said = self.text[begin : ended.start()].replace("\r", "")
        if int(ended[1]) not in codes:
            raise LabError(f"{line}: ended with {ended[1]}:\n{said[-5000:]}")
        return said

    def _read(self, deadline: float) -> bool:
        """Take what has come; tell whether there is still time and somebody there."""
        ready, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
        try:
            came = os.read(self._master, 65536) if ready else b""
        except OSError:  # the shell has ended
            came = b""
        self.text += came.decode(errors="replace")
        return bool(came)

    def _answer(self) -> None:
        """Answer a prompt once; what comes after it is looked at anew."""
        for asked, said in self.answers.items():
            if found := asked.search(self.text, self._seen):
                self._seen = found.end()
                os.write(self._master, f"{found.expand(said)}\n".encode())
