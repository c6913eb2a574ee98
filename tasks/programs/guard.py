#!/usr/bin/python3
"""Keep this server from serving an instance whose write right another server has.

Written by Relevo; python3.8 and the standard library are all that it needs.

    guard CONFIG cluster   may PostgreSQL start? exit status 0 or 1, for ExecCondition=
    guard CONFIG odoo      may Odoo start?
    guard CONFIG watch     stay, and stop what may not run any more
    guard CONFIG ask       say who has the write right, and change nothing

The recovery host says, in one line, the newest receipt that it knows: who handed the write right
to whom, numbered by an epoch and signed. Nothing but such a line, genuine and newer than what is
known here, ever holds this server: no answer, a lost record and an older one are no opinion.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ASK_SECONDS = 5
BEAT_SECONDS = 1
ODOO_SECONDS = 3
CLUSTER_SECONDS = 60
BOOTING_SECONDS = 600
FAST_SECONDS = 4


def newest(own: dict[str, Any] | None, told: dict[str, Any] | None) -> dict[str, Any] | None:
    """Give the receipt that counts: an equal or older one from outside is no news.

    >>> newest({"epoch": 3, "taker": "origin"}, {"epoch": 2, "taker": "recovery"})["taker"]
    'origin'
    """
    if told is None or (own is not None and told["epoch"] <= own["epoch"]):
        return own
    return told


def verdict(
    known: dict[str, Any] | None, *, place: str, answered: bool, unanswered: str
) -> tuple[bool, str]:
    """May this place write? With the sentence that says why.

    >>> verdict(None, place="origin", answered=True, unanswered="serve")
    (True, 'no receipt of this instance is known')
    >>> verdict({"epoch": 2, "taker": "recovery"}, place="origin", answered=False,
    ...     unanswered="serve")
    (False, 'epoch 2 gave the write right to recovery')
    >>> verdict({"epoch": 1, "taker": "origin"}, place="origin", answered=False,
    ...     unanswered="hold")[0]
    False
    """
    if known is not None and known["taker"] != place:
        return False, "epoch {epoch} gave the write right to {taker}".format(**known)
    if not answered and unanswered == "hold":
        return False, "nobody answers who has the write right, and the policy is to hold"
    if known is None:
        return True, "no receipt of this instance is known"
    who = "" if answered else ", and nobody says otherwise"
    return True, "epoch {epoch} gave the write right to {taker}{0}".format(who, **known)


class Guard:
    """One instance at this server."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.right = Path(config["right"])
        self.held = Path(config["held"])
        self.waiting = Path(config["waiting"])
        self.heard = ""
        self.known: dict[str, Any] | None = None
        self.read: tuple[int, dict[str, Any] | None] = (0, None)

    def genuine(self, line: str) -> dict[str, Any] | None:
        """Read a sealed receipt; none when it is of somebody else's making or instance."""
        try:
            sealed = json.loads(line)
            text, signature = str(sealed["text"]), str(sealed["signature"])
            receipt: dict[str, Any] = json.loads(text)
            ours = ("instance", "system_identifier")
            if any(receipt[name] != self.config[name] for name in ours):
                return None
            if not isinstance(receipt["epoch"], int) or receipt["taker"] not in SIDES:
                return None
        except (ValueError, KeyError, TypeError):
            return None
        return receipt if self.signed(text, signature) else None

    def signed(self, text: str, signature: str) -> bool:
        with tempfile.NamedTemporaryFile("w", suffix=".sig") as file:
            file.write(signature)
            file.flush()
            argv = [
                "ssh-keygen", "-Y", "verify", "-f", self.config["signer"], "-I", "relevo",
                "-n", self.config["namespace"], "-s", file.name,
            ]  # fmt: skip
            done = subprocess.run(argv, input=text.encode(), capture_output=True, check=False)
        return done.returncode == 0

    def own(self) -> dict[str, Any] | None:
        try:
            return self.genuine(self.right.read_text())
        except OSError:
            return None

    def believe(self, line: str) -> dict[str, Any] | None:
        """Note what the recovery host says, if it is news; give what counts now."""
        own = self.own()
        known = newest(own, self.genuine(line))
        if known is not own and known is not None:
            install(self.right, line, 0o644)
            say("the recovery host says: epoch {epoch}, {taker} may write".format(**known))
        return known

    def ask(self, question: str) -> str | None:
        """Ask the recovery host; none when it does not answer.

        The question is "start" where the answer lets PostgreSQL write here, else "once".
        """
        argv = [*self.config["ssh"], question]
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
        # What the files of the login there print stands before the answer, which is one line.
        return (done.stdout.decode(errors="replace").strip().splitlines() or [""])[-1]

    def may_serve(self, what: str) -> tuple[bool, str]:
        """Decide before a start; a boot waits a while for its network."""
        question = "start" if what == "cluster" else "once"
        patience = self.config["wait_seconds"] if uptime() < BOOTING_SECONDS else 0
        deadline = time.monotonic() + patience
        while (line := self.ask(question)) is None and time.monotonic() < deadline:
            time.sleep(BEAT_SECONDS)
        known = self.own() if line is None else self.believe(line)
        return verdict(
            known, place=self.config["place"], answered=line is not None,
            unanswered=self.config["unanswered"],
        )  # fmt: skip

    def before(self, what: str) -> int:
        """Let a unit start, or not."""
        if what == "cluster" and self.is_standby():
            say("a standby may start")
            return 0
        may, why = self.may_serve(what)
        say(f"{what} {'may start' if may else 'stays down'}: {why}")
        if not may:
            self.note(why)
            own = self.own()
            if own is None or own["taker"] == self.config["place"]:
                install(self.waiting, why + "\n", 0o644)
        return 0 if may else 1

    def is_standby(self) -> bool:
        signal = Path(self.config["data_directory"], "standby.signal")
        return signal.exists()

    def accepts_writes(self) -> bool:
        """Ask PostgreSQL itself; one that starts or does not answer is judged by its files."""
        if not self.runs():
            return False
        argv = self.config["psql"]
        try:
            done = subprocess.run(
                argv, input=b"SELECT pg_is_in_recovery()", capture_output=True, timeout=ASK_SECONDS,
                check=False,
            )  # fmt: skip
            said = done.stdout.decode(errors="replace").strip()
        except subprocess.TimeoutExpired:
            said = ""
        if said in {"t", "f"}:
            return said == "f"
        return not self.is_standby()

    def runs(self) -> bool:
        """Tell whether a server process lives on the data directory."""
        try:
            pid = Path(self.config["data_directory"], "postmaster.pid").read_text().split()[0]
            return "postgres" in Path("/proc", pid, "comm").read_text()
        except (OSError, IndexError):
            return False

    def hold(self, why: str) -> None:
        """Stop what may not run: Odoo first, then PostgreSQL; a standby goes on."""
        unit = self.config["odoo_unit"]
        if active(unit):
            say("holding Odoo: " + why)
            self.note(why)
            stop_odoo(unit)
        if self.accepts_writes():
            say("holding PostgreSQL: " + why)
            self.note(why)
            Path(self.config["start_conf"]).write_text("manual\n")  # its owner and mode stay
            self.stop_cluster()

    def stop_cluster(self) -> None:
        version, name = self.config["cluster"]
        for mode, seconds in (("fast", CLUSTER_SECONDS), ("immediate", CLUSTER_SECONDS)):
            argv = [
                "pg_ctlcluster", "--skip-systemctl-redirect", version, name, "stop", "-m", mode,
            ]  # fmt: skip
            try:
                subprocess.run(argv, capture_output=True, timeout=seconds, check=False)
            except subprocess.TimeoutExpired:
                say(f"PostgreSQL has not stopped after {seconds} s")
            if not self.runs():
                say("PostgreSQL is down")
                return

    def note(self, why: str) -> None:
        if not self.held.exists():
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            install(self.held, json.dumps({"time": now, "why": why}) + "\n", 0o600)

    def enforce(self, known: dict[str, Any] | None) -> None:
        may, why = verdict(known, place=self.config["place"], answered=True, unanswered="serve")
        if not may:
            self.hold(why)
        elif self.waiting.exists():
            self.waiting.unlink()
            say("told at last: " + why)
            for unit in (self.config["cluster_unit"], self.config["odoo_unit"]):
                subprocess.run(["systemctl", "start", "--no-block", unit], check=False)
        if may and self.held.exists() and not self.waiting.exists():
            self.held.unlink()

    def watch(self) -> int:
        """Listen to the recovery host for ever; where it is silent, what is known here counts."""
        while True:
            argv = [*self.config["ssh"], "watch"]
            with subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as talk:
                assert talk.stdout is not None, "it was asked for"
                for line in talk.stdout:
                    self.hear(line.decode(errors="replace"))
            own = self.own()
            if own is not None and own["taker"] != self.config["place"]:
                self.enforce(own)
            time.sleep(BEAT_SECONDS)

    def hear(self, line: str) -> None:
        """Act on what the recovery host says; the same words are judged once."""
        if line != self.heard or not self.right.exists():
            self.known = self.believe(line)
            self.heard = line
        else:
            self.known = newest(self.own_quickly(), self.known)
        self.enforce(self.known)

    def own_quickly(self) -> dict[str, Any] | None:
        """Read our own record again only if somebody has written it since."""
        stamp = self.right.stat().st_mtime_ns
        if self.read[0] != stamp:
            self.read = (stamp, self.own())
        return self.read[1]


SIDES = ("origin", "recovery")


def active(unit: str) -> bool:
    argv = ["systemctl", "is-active", unit]
    said = subprocess.run(argv, capture_output=True, check=False).stdout.decode().strip()
    return said in {"active", "activating", "deactivating", "reloading"}


def stop_odoo(unit: str) -> None:
    """Stop a unit within seconds, whatever it is busy with."""
    subprocess.run(["systemctl", "stop", "--no-block", unit], check=False)
    deadline = time.monotonic() + ODOO_SECONDS
    while active(unit) and time.monotonic() < deadline:
        time.sleep(0.1)
    if active(unit):
        subprocess.run(["systemctl", "kill", "--signal=KILL", unit], check=False)
        subprocess.run(["systemctl", "stop", unit], check=False)
    say(f"{unit} is {'still up' if active(unit) else 'down'}")


def uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def install(path: Path, text: str, mode: int) -> None:
    """Write a file whole and durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(mode)
    beside.replace(path)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    path, verb = argv
    guard = Guard(json.loads(Path(path).read_text()))
    if verb == "watch":
        return guard.watch()
    if verb == "ask":
        line = guard.ask("once")
        known = newest(guard.own(), None if line is None else guard.genuine(line))
        print(json.dumps({"answered": line is not None, "known": known}))
        return 0
    return guard.before(verb)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
