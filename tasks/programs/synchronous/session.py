"""Questions to PostgreSQL, all by one psql."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time

from ..bounded import FEW

ASK_SECONDS = 10.0
END = "relevo-end"


class Session:
    """One psql that stays, so that a question a second costs next to nothing."""

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.talk: subprocess.Popen[bytes] | None = None

    def ask(self, sql: str) -> str | None:
        """Give the answer; none when PostgreSQL does not answer or says no."""
        try:
            if self.talk is None:
                self.talk = subprocess.Popen(
                    self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )  # fmt: skip
            return self._converse(self.talk, sql + ";\n\\echo " + END + "\n")
        except OSError:
            self.close()
            return None

    @staticmethod
    def _converse(talk: subprocess.Popen[bytes], words: str) -> str:
        assert talk.stdin is not None, "it was asked for"
        assert talk.stdout is not None, "it was asked for"
        talk.stdin.write(words.encode())
        talk.stdin.flush()
        said, deadline = b"", time.monotonic() + ASK_SECONDS
        while not said.endswith(END.encode() + b"\n"):
            left = max(0.0, deadline - time.monotonic())
            part = b""
            if select.select([talk.stdout], [], [], left)[0]:
                part = os.read(talk.stdout.fileno(), 1 << 16)
            if not part:
                raise OSError("PostgreSQL does not answer")
            said += part
            if len(said) > FEW:
                raise OSError(f"PostgreSQL says more than {FEW} bytes")
        return said.decode(errors="replace")[: -len(END) - 1].strip()

    def close(self) -> None:
        if self.talk is not None:
            for pipe in (self.talk.stdin, self.talk.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
            self.talk.kill()
            self.talk.wait()
            self.talk = None
