#!/usr/bin/python3
"""Keep this server from serving an instance whose write right another server has.

Written by Relevo; python3.8 and the standard library are all that it needs.

    guard CONFIG cluster   may PostgreSQL start? exit status 0 or 1, for ExecCondition=
    guard CONFIG odoo      may Odoo start?
    guard CONFIG watch     stay, and stop what may not run any more
    guard CONFIG ask       say who has the write right, and change nothing

The recovery host says, in one line, the newest receipt that it knows: who handed the write right
to whom, numbered by an epoch and signed. Nothing but such a line, genuine and newer than what is
known here, ever stops what runs: no answer, a lost record and an older one are no opinion. A
record of our own that is there and cannot be believed stops nothing either, but lets nothing start
before the recovery host has said who may write.

A disk that is full or read-only changes none of this: what has to stop is stopped first, and what
is to be remembered is written afterwards, where it can be.

Whoever answers without end, or not in time, has given no answer. Nothing that the recovery host can
say, and no fault of this program, ends like a no.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator  # Python 3.8

from .acting import acting_as, become
from .bounded import TooLong, TooMuch, lines, read_text, run

ASK_SECONDS = 5
BEAT_SECONDS = 1
ODOO_SECONDS = 3
CLUSTER_SECONDS = 60
BOOTING_SECONDS = 600
SIGNATURE_BYTES = 4096  # a pipe holds as much; Relevo's take some 300
LINE_BYTES = 1 << 16  # of a receipt; Relevo's take some 700
LINES = 1000  # of one conversation; the recovery host ends it after 300, one every other second
SILENCE_SECONDS = 30
PACE_SECONDS = 0.2
COMMAND_SECONDS = 30
STOP_SECONDS = 120
OWNER = "postgres"
RETIRED = "relevo-until-"


def newest(own: dict[str, Any] | None, told: dict[str, Any] | None) -> dict[str, Any] | None:
    """Give the receipt that counts: an equal or older one from outside is no news.

    >>> newest({"epoch": 3, "taker": "origin"}, {"epoch": 2, "taker": "recovery"})["taker"]
    'origin'
    """
    if told is None or (own is not None and told["epoch"] <= own["epoch"]):
        return own
    return told


def verdict(
    known: dict[str, Any] | None, *, place: str, answered: bool, unanswered: str, doubt: str = ""
) -> tuple[bool, str]:
    """May this place write? With the sentence that says why.

    A doubt says why a record that is there does not count.

    >>> verdict(None, place="origin", answered=True, unanswered="serve")
    (True, 'no receipt of this instance is known')
    >>> verdict({"epoch": 2, "taker": "recovery"}, place="origin", answered=False,
    ...     unanswered="serve")
    (False, 'epoch 2 gave the write right to recovery')
    >>> verdict({"epoch": 1, "taker": "origin"}, place="origin", answered=False,
    ...     unanswered="hold")[0]
    False
    >>> verdict(None, place="origin", answered=True, unanswered="serve", doubt="it is torn")
    (False, 'it is torn')
    """
    if known is not None and known["taker"] != place:
        return False, "epoch {epoch} gave the write right to {taker}".format(**known)
    if not answered and unanswered == "hold":
        return False, "nobody answers who has the write right, and the policy is to hold"
    if known is None and doubt:
        return False, doubt
    if known is None:
        return True, "no receipt of this instance is known"
    who = "" if answered else ", and nobody says otherwise"
    return True, "epoch {epoch} gave the write right to {taker}{0}".format(who, **known)


def signers(named: str, epoch: int) -> list[str]:
    """Name those whose signature counts under an epoch; a retired key signs nothing newer.

    >>> signers("relevo n k\\nrelevo-until-7 n k\\nrelevo-until-x n k\\n", 7)
    ['relevo', 'relevo-until-7']
    >>> signers("relevo n k\\nrelevo-until-7 n k\\n", 8)
    ['relevo']
    """
    names = {line.split()[0] for line in named.splitlines() if line.strip()}
    until = {who: who[len(RETIRED) :] for who in names if who.startswith(RETIRED)}
    kept = [who for who, last in until.items() if last.isdecimal() and epoch <= int(last)]
    return ["relevo", *sorted(kept)]


class Guard:
    """One instance at this server."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.right = Path(config["right"])
        self.held = Path(config["held"])
        self.waiting = Path(config["waiting"])
        self.heard = ""
        self.doubt = ""
        self.complaint = ""
        self.known: dict[str, Any] | None = None
        self.unwritten: dict[str, Any] | None = None
        self.line = ""
        self.read: tuple[int, dict[str, Any] | None] = (0, None)

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
            self.complain(f"nobody is known whose signature counts: {error}. HINT: run replicate")
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
            self.complain(f"ssh-keygen cannot be run: {error}")
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
            self.doubt = self.disbelief("is no receipt that Relevo is seen to have signed")
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
        if self.unwritten is not None and self.keep(self.right, self.line, 0o644):
            self.unwritten = None

    def keep(self, path: Path, text: str, mode: int) -> bool:
        """Write a file if that can be done; what depends on it has been done, or is done anyway."""
        try:
            install(path, text, mode)
        except OSError as error:
            self.complain(f"{path} cannot be written: {error}. HINT: see df and mount here")
            return False
        return True

    def complain(self, sentence: str) -> None:
        """Say what is wrong, once and not at every beat."""
        if sentence != self.complaint:
            self.complaint = sentence
            say(sentence)

    def ask(self, question: str) -> str | None:
        """Ask the recovery host; none when it does not answer.

        The question is "start" where the answer lets PostgreSQL write here, else "once".
        """
        argv = [*self.config["ssh"], question]
        try:
            done = run(argv, seconds=ASK_SECONDS, limit=LINE_BYTES)
        except TooLong:
            return None
        except TooMuch as error:
            self.complain(f"the recovery host is not understood, which is no answer: {error}")
            return None
        except OSError as error:
            self.complain(f"{argv[0]} cannot be run: {error}")
            return None
        if done.status != 0:
            return None
        # What the files of the login there print stands before the answer, which is one line.
        return (done.text.strip().splitlines() or [""])[-1]

    def may_serve(self, what: str) -> tuple[bool, str]:
        """Decide before a start; a boot waits a while for its network."""
        question = "start" if what == "cluster" else "once"
        patience = self.config["wait_seconds"] if uptime() < BOOTING_SECONDS else 0
        deadline = time.monotonic() + patience
        while (line := self.ask(question)) is None and time.monotonic() < deadline:
            time.sleep(BEAT_SECONDS)
        self.known = self.own() if line is None else self.believe(line)
        self.write_down()
        return self.judge(answered=line is not None)

    def judge(self, *, answered: bool) -> tuple[bool, str]:
        return verdict(
            self.known, place=self.config["place"], answered=answered,
            unanswered=self.config["unanswered"], doubt=self.doubt,
        )  # fmt: skip

    def on_our_own(self, error: Exception) -> tuple[bool, str]:
        """Decide as if nobody had answered: a fault of this program's is no opinion."""
        self.complain(f"the question has failed, which is no answer: {error!r:.300}")
        try:
            self.known = self.own()
        except Exception as more:  # noqa: BLE001  # whatever it is, it is no word of anybody's
            self.complain(f"{self.right} has not been read: {more!r:.300}")
        return self.judge(answered=False)

    def before(self, what: str) -> int:
        """Let a unit start, or not."""
        if what == "cluster" and self.is_standby():
            say("a standby may start")
            return 0
        try:
            may, why = self.may_serve(what)
        except Exception as error:  # noqa: BLE001  # a healthy server stays up, whatever it is
            may, why = self.on_our_own(error)
        say(f"{what} {'may start' if may else 'stays down'}: {why}")
        if not may:
            if self.known is None or self.known["taker"] == self.config["place"]:
                self.keep(self.waiting, why + "\n", 0o644)
            self.note(why)
        return 0 if may else 1

    def is_standby(self) -> bool:
        try:
            os.stat(os.path.join(self.config["data_directory"], "standby.signal"))
        except OSError:
            return False
        return True

    def accepts_writes(self) -> bool:
        """Ask PostgreSQL itself; one that starts or does not answer is judged by its files."""
        if not self.runs():
            return False
        argv = self.config["psql"]
        try:
            said = run(argv, stdin=b"SELECT pg_is_in_recovery()", seconds=ASK_SECONDS).text.strip()
        except OSError:
            said = ""
        if said in {"t", "f"}:
            return said == "f"
        return not self.is_standby()

    def runs(self) -> bool:
        """Tell whether a server process lives on the data directory.

        After a power cut the number in postmaster.pid may be that of another cluster's process.
        Where that file is a pipe, a link or nonsense, every process is asked.
        """
        directory = self.config["data_directory"]
        try:
            words = read_text(os.path.join(directory, "postmaster.pid")).split()
        except FileNotFoundError:
            return False
        except OSError:
            words = []
        told = words[:1] if words and words[0].isdecimal() else processes()
        return any(works_in(number, directory) for number in told)

    def hold(self, why: str) -> None:
        """Stop what may not run: Odoo first, then PostgreSQL; a standby goes on."""
        unit = self.config["odoo_unit"]
        if active(unit):
            say("holding Odoo: " + why)
            stop_odoo(unit)
            self.note(why)
        if self.accepts_writes():
            say("holding PostgreSQL: " + why)
            self.stop_cluster()
            self.leave_at_boot()
            self.note(why)

    def stop_cluster(self) -> None:
        version, name = self.config["cluster"]
        for mode, seconds in (("fast", CLUSTER_SECONDS), ("immediate", CLUSTER_SECONDS)):
            argv = [
                *become(self.config.get("owner", OWNER)),
                "pg_ctlcluster", "--skip-systemctl-redirect", version, name, "stop", "-m", mode,
            ]  # fmt: skip
            try:
                run(argv, seconds=seconds)
            except OSError as error:
                say(f"PostgreSQL has not stopped: {error}")
            if not self.runs():
                say("PostgreSQL is down")
                return

    def leave_at_boot(self) -> None:
        """Keep Debian from starting the cluster at boot; the file's owner and mode stay.

        It is written over, not emptied first: that takes no room where there is none.
        """
        path, flags = self.config["start_conf"], os.O_WRONLY | os.O_CREAT
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK  # its folder is not root's
        try:
            with acting_as(self.config.get("owner", OWNER)), open(
                os.open(path, flags, 0o644), "w"
            ) as file:
                file.write("manual\n")
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.complain(f"{path} cannot be written: {error}. HINT: see df and mount here")

    def note(self, why: str) -> None:
        if not self.held.exists():
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self.keep(self.held, json.dumps({"time": now, "why": why}) + "\n", 0o600)

    def forget(self, path: Path) -> bool:
        """Remove a file if that can be done; tell whether it has gone."""
        try:
            path.unlink()
        except OSError as error:
            self.complain(f"{path} cannot be removed: {error}. HINT: see mount here")
            return False
        return True

    def enforce(self, known: dict[str, Any] | None) -> None:
        """Stop what may not run, and start what has waited for a word; a doubt does neither."""
        if known is None and self.doubt:
            self.complain(self.doubt)
            return
        may, why = verdict(known, place=self.config["place"], answered=True, unanswered="serve")
        if not may:
            self.hold(why)
        elif self.waiting.exists() and self.forget(self.waiting):
            say("told at last: " + why)
            for unit in (self.config["cluster_unit"], self.config["odoo_unit"]):
                systemctl("start", "--no-block", unit)
        if may and self.held.exists() and not self.waiting.exists():
            self.forget(self.held)

    def watch(self) -> int:
        """Listen to the recovery host for ever; where it is silent, what is known here counts."""
        while True:
            argv = [*self.config["ssh"], "watch"]
            with subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as talk:
                try:
                    self.listen(talk)
                except TooLong:
                    pass  # it is silent
                except Exception as error:  # noqa: BLE001  # whatever it is, this has to go on
                    self.complain(f"the recovery host is not understood: {error!r:.300}")
                finally:
                    talk.kill()
            try:
                self.insist()
            except Exception as error:  # noqa: BLE001
                self.complain(f"a beat of the guard has failed: {error!r:.300}")
            time.sleep(BEAT_SECONDS)

    def listen(self, talk: subprocess.Popen[bytes]) -> None:
        """Hear line after line; one that comes faster than anybody asked for waits."""
        assert talk.stdout is not None, "it was asked for"
        for line in lines(
            talk.stdout.fileno(), limit=LINE_BYTES, seconds=SILENCE_SECONDS, count=LINES
        ):
            self.hear(line.decode(errors="replace"))
            time.sleep(PACE_SECONDS)

    def insist(self) -> None:
        """Hold what may not run by what is known here."""
        own = self.own()
        if own is not None and own["taker"] != self.config["place"]:
            self.enforce(own)
            self.write_down()

    def hear(self, line: str) -> None:
        """Act on what the recovery host says; the same words are judged once."""
        if line != self.heard or self.unwritten or self.doubt or not self.right.exists():
            self.known = self.believe(line)
            self.heard = line
        else:
            self.known = newest(self.own_quickly(), self.known)
        self.enforce(self.known)
        self.write_down()

    def own_quickly(self) -> dict[str, Any] | None:
        """Read our own record again only if somebody has written it since."""
        stamp = self.right.stat().st_mtime_ns
        if self.read[0] != stamp:
            self.read = (stamp, self.own())
        return self.read[1]


SIDES = ("origin", "recovery")


def unseal(line: str) -> tuple[dict[str, Any], bytes, bytes] | None:
    """Read a receipt with its text and its signature, which is still to be checked.

    >>> unseal("unknown") is None, unseal('{"text": "{}", "signature": "s"}') is None
    (True, True)
    """
    try:
        sealed = json.loads(line)
        text, signature = str(sealed["text"]), str(sealed["signature"])
        receipt: dict[str, Any] = json.loads(text)
        whole = isinstance(receipt["epoch"], int) and receipt["taker"] in SIDES
        return (receipt, text.encode(), signature.encode()) if whole else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def systemctl(*words: str) -> str:
    try:
        return run(["systemctl", *words], seconds=STOP_SECONDS).text.strip()
    except OSError as error:
        say(f"systemctl {' '.join(words)} has failed: {error}")
        return ""


def active(unit: str) -> bool:
    return systemctl("is-active", unit) in {"active", "activating", "deactivating", "reloading"}


def processes() -> Iterator[str]:
    return (name for name in os.listdir("/proc") if name.isdecimal())


def works_in(number: str, directory: str) -> bool:
    """Tell whether a process has its working directory there."""
    try:
        return os.path.samefile(f"/proc/{number}/cwd", directory)
    except OSError:
        return False


def stop_odoo(unit: str) -> None:
    """Stop a unit within seconds, whatever it is busy with."""
    systemctl("stop", "--no-block", unit)
    deadline = time.monotonic() + ODOO_SECONDS
    while active(unit) and time.monotonic() < deadline:
        time.sleep(0.1)
    if active(unit):
        systemctl("kill", "--signal=KILL", unit)
        systemctl("stop", unit)
    say(f"{unit} is {'still up' if active(unit) else 'down'}")


def uptime() -> float:
    return float(read_text("/proc/uptime").split()[0])


def install(path: Path, text: str, mode: int) -> None:
    """Write a file whole and durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):  # the first one says it
            beside.unlink()
        raise


def sync(folder: Path) -> None:
    """Have a folder's names survive a power cut."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def say(sentence: str) -> None:
    """Say it to the journal; one that does not listen keeps nobody from acting."""
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    path, verb = argv
    try:
        guard = Guard(json.loads(read_text(path)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(f"{path} cannot be read: {error}. HINT: run replicate, which writes it")
        return 1
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
