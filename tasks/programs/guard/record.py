"""The newest receipt that is known here: written down, or heard and still to be written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..bounded import read_text, run
from ..journal import Journal, say
from .notes import keep
from .receipts import LINE_BYTES, newest, signers, unseal

SIGNATURE_BYTES = 4096  # a pipe holds as much; Relevo's take some 300
COMMAND_SECONDS = 30


class Record:
    """What one instance's origin knows of who may write."""

    def __init__(self, config: dict[str, Any], journal: Journal) -> None:
        self.config, self.journal = config, journal
        self.right = Path(config["right"])
        self.doubt = ""
        self.unwritten: dict[str, Any] | None = None
        self.line = ""

    def genuine(self, line: str) -> dict[str, Any] | None:
        """Read a sealed receipt; none when it is of somebody else's making or instance."""
        found = unseal(line)
        if found is None:
            return None
        receipt, text, signature = found
        return receipt if self.ours(receipt) and self.signed(text, signature) else None

    def ours(self, receipt: dict[str, Any]) -> bool:
        names = ("instance", "system_identifier")
        return all(receipt.get(name) == self.config[name] for name in names)

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Have ssh-keygen check a signature; it goes by a pipe, for a disk may be full."""
        if len(signature) > SIGNATURE_BYTES:
            return False
        try:
            named = read_text(self.config["signer"])
        except OSError as error:
            self.journal.complain(
                f"nobody is known whose signature counts: {error}. HINT: run replicate"
            )
            return False
        epoch = json.loads(text)["epoch"]
        return any(self.signed_by(who, text, signature) for who in signers(named, epoch))

    def signed_by(self, who: str, text: bytes, signature: bytes) -> bool:
        try:
            reading, writing = os.pipe()
            with open(reading, "rb"):
                with open(writing, "wb") as pipe:
                    pipe.write(signature)
                argv = [
                    "ssh-keygen", "-Y", "verify", "-f", self.config["signer"], "-I", who,
                    "-n", self.config["namespace"], "-s", f"/proc/self/fd/{reading}",
                ]  # fmt: skip
                done = run(argv, stdin=text, seconds=COMMAND_SECONDS, pass_fds=(reading,))
        except OSError as error:
            self.journal.complain(f"ssh-keygen cannot be run: {error}")
            return False
        return done.status == 0

    def own(self) -> dict[str, Any] | None:
        """Give the newest receipt that is known here, written down or not."""
        written = self.written()
        if newest(written, self.unwritten) is written:
            self.unwritten = None
        return newest(written, self.unwritten)

    def written(self) -> dict[str, Any] | None:
        """Read our own record; of one that is there and cannot be believed, the doubt is noted."""
        self.doubt = ""
        try:
            line = read_text(self.right, LINE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.doubt = self.disbelief(f"cannot be read: {error}")
            return None
        found = unseal(line)
        if found is not None and not self.ours(found[0]):
            return None
        if found is None or not self.signed(*found[1:]):
            self.doubt = self.disbelief("is not a receipt with a signature of Relevo")
            return None
        return found[0]

    def disbelief(self, why: str) -> str:
        return (
            f"{self.right} {why}, and nobody else says who has the write right. HINT: let the "
            "recovery host answer; if this server is the one to serve, move that file away"
        )

    def believe(self, line: str) -> dict[str, Any] | None:
        """Judge what the recovery host says; give what counts now. News is still to be written."""
        own = self.own()
        known = newest(own, self.genuine(line))
        if known is not None and known is not own:
            self.unwritten, self.line = known, line
            say("the recovery host says: epoch {epoch}, {taker} may write".format(**known))
        return known

    def write_down(self) -> None:
        """Keep what the recovery host has said; where there is no room, try again at every beat."""
        if self.unwritten is not None and keep(self.journal, self.right, self.line, 0o644):
            self.unwritten = None
