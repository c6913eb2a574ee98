#!/usr/bin/python3
"""Let commits at this origin wait for the recovery host, as the stated policy says.

Written by Relevo; python3.8 and the standard library are all that it needs.

    synchronous CONFIG watch     stay, measure once a second, act
    synchronous CONFIG release   let commits go on alone now, whatever the policy; by hand

PostgreSQL never stops waiting by itself, so somebody at the origin has to, who lives when the
runner does not. What is done is said in three places: the journal, a file of state, and a comment
on the role that streams. The comment travels in the WAL, and so the recovery host knows what was
true at the point up to which it has the WAL. It is therefore written *before* commits stop waiting
and *after* they are seen to wait, never the other way round.

The folder of PostgreSQL's settings belongs to the cluster's owner, and so it is the owner who
writes there. What psql says is bounded, and a beat that fails is followed by another.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Deque, Dict, Tuple

from .acting import acting_as
from .bounded import FEW, read_text

BEAT_SECONDS = 1.0
ASK_SECONDS = 10.0
STEADY_SECONDS = 5.0
LATE_SECONDS = 3.0
RETRY_SECONDS = 60.0
LOOKS = 600
OWNER = "postgres"
END = "relevo-end"
STRONG = "'^(on|true|yes|1|remote_apply)$'"
# Whether commits wait is decided by what the checkpointer has read: it reads its settings when it
# is at rest, and between two pages of a checkpoint that is spread over time.
LOOK = """
SELECT json_build_object(
    'leads', NOT pg_is_in_recovery(),
    'names', current_setting('synchronous_standby_names'),
    'now', extract(epoch FROM clock_timestamp()),
    'written', CASE WHEN NOT pg_is_in_recovery()
        THEN pg_current_wal_flush_lsn() - '0/0'::pg_lsn END,
    'timeline', CASE WHEN NOT pg_is_in_recovery()
        THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
    'has', (SELECT max(flush_lsn - '0/0'::pg_lsn) FROM pg_stat_replication
        WHERE application_name = '{instance}' AND state = 'streaming'),
    'sync', (SELECT coalesce(bool_or(sync_state = 'sync'), false) FROM pg_stat_replication
        WHERE application_name = '{instance}' AND state = 'streaming'),
    'idle', (SELECT coalesce(bool_or(wait_event IN ('CheckpointerMain', 'CheckpointWriteDelay')),
        false) FROM pg_stat_activity WHERE backend_type = 'checkpointer'),
    'weak', (SELECT count(*) FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
        WHERE c LIKE 'synchronous_commit=%' AND split_part(c, '=', 2) !~* {strong})
        + (SELECT count(*) FROM (SELECT setting FROM pg_file_settings
            WHERE name = 'synchronous_commit' AND error IS NULL ORDER BY seqno DESC LIMIT 1) AS f
        WHERE setting !~* {strong}),
    'word', (SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{role}'))
"""

Facts = Dict[str, Any]


def choose(
    *,
    on: bool,
    strong: bool,
    claimed: bool,
    ready: bool,
    away: float,
    steady: float,
    go_on: float | None,
) -> str:
    """What to do at a primary; `go_on` are the seconds of the policy, none where it is to wait.

    >>> usual = {"on": True, "strong": True, "claimed": True, "ready": True, "away": 0.0,
    ...     "steady": 9.0}
    >>> choose(**usual, go_on=5.0), choose(**{**usual, "claimed": False}, go_on=None)
    ('', 'claim')
    >>> choose(**{**usual, "away": 5.0}, go_on=5.0), choose(**{**usual, "away": 9e9}, go_on=None)
    ('go on', '')
    >>> gone = {**usual, "on": False, "claimed": False}
    >>> choose(**gone, go_on=5.0), choose(**{**gone, "steady": 1.0}, go_on=5.0)
    ('wait', '')
    >>> choose(**{**usual, "on": False}, go_on=None)
    'withdraw'
    """
    if claimed and not (on and strong):
        return "withdraw"
    if on and go_on is not None and away >= go_on:
        return "go on"
    if on:
        return "claim" if ready and not claimed else ""
    return "wait" if steady >= STEADY_SECONDS else ""


def state(*, on: bool, claimed: bool, gone: bool, away: float) -> str:
    """How things are, in the words of the file of state.

    >>> state(on=True, claimed=True, gone=False, away=0), state(on=True, claimed=True, gone=False,
    ...     away=9), state(on=False, claimed=False, gone=True, away=9)
    ('synchronous', 'waiting', 'gone on')
    """
    if on and away >= LATE_SECONDS:
        return "waiting"
    if on:
        return "synchronous" if claimed else "beginning"
    return "gone on" if gone else "asynchronous"


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


class Keeper:
    """The waiting of one instance's commits."""

    def __init__(self, config: Facts) -> None:
        self.config = config
        self.conf, self.file = Path(config["conf"]), Path(config["state"])
        self.owner = str(config.get("owner", OWNER))
        self.complaint = ""
        self.session = Session(config["psql"])
        self.look = LOOK.format(instance=config["instance"], role=config["role"], strong=STRONG)
        self.go_on = float(config["seconds"]) if config["policy"] == "go_on" else None
        now = time.monotonic()
        self.looks: Deque[Tuple[float, float, int]] = collections.deque(maxlen=LOOKS)
        self.covered, self.covered_at, self.steady_since = now, 0.0, now
        self.changed_at, self.tried_at, self.said_at = now, -RETRY_SECONDS, -RETRY_SECONDS

    def watch(self) -> int:
        while True:
            now = time.monotonic()  # before the question: what it finds out is no older
            try:
                self.beat(self.seen(), now)
            except Exception as error:  # noqa: BLE001  # whatever it is, this has to go on
                self.complain(f"a beat has failed: {error!r:.300}")
            time.sleep(BEAT_SECONDS)

    def complain(self, sentence: str) -> None:
        """Say what is wrong, once and not at every beat."""
        if sentence != self.complaint:
            self.complaint = sentence
            say(sentence)

    def seen(self) -> Facts | None:
        said = self.session.ask(self.look)
        try:
            facts: Facts | None = json.loads(said) if said else None
        except (ValueError, RecursionError):
            facts = None
        return facts if isinstance(facts, dict) else None

    def beat(self, seen: Facts | None, now: float) -> None:
        """Measure, and do one thing at most."""
        if seen is None:
            self.steady_since = now
            return
        if not seen["leads"]:
            self.rest(now)
            return
        self.measure(seen, now)
        word = self.word(seen)
        claimed, on = bool(word and word["waits"]), seen["names"] == self.config["names"]
        away = now - self.covered
        settled = now - self.changed_at >= BEAT_SECONDS
        what = choose(
            on=on, strong=not seen["weak"], claimed=claimed,
            ready=self.ready(seen, away) and settled, away=away,
            steady=now - self.steady_since, go_on=self.go_on,
        )  # fmt: skip
        gone = bool(word) and not claimed
        self.note(seen, state(on=on, claimed=claimed, gone=gone, away=away))
        self.act(what, seen, now)
        if on and claimed and not what and self.go_on is not None and away < LATE_SECONDS:
            self.repeat(seen, word or {}, now)

    def measure(self, seen: Facts, now: float) -> None:
        """Find the last moment of whose WAL the recovery host has said that it is on its disk."""
        self.looks.append((now, seen["now"], seen["written"]))
        while self.looks and seen["has"] is not None and self.looks[0][2] <= seen["has"]:
            self.covered, self.covered_at, _ = self.looks.popleft()
        if now - self.covered > LATE_SECONDS or seen["has"] is None:
            self.steady_since = now

    def ready(self, seen: Facts, away: float) -> bool:
        """Tell whether commits are seen to wait: every process has read its settings."""
        seen_to_wait = seen["sync"] and seen["idle"] and not seen["weak"]
        return bool(seen_to_wait and self.covered_at and away < LATE_SECONDS)

    def word(self, seen: Facts) -> Facts | None:
        """What the comment says, if it is of this policy and of this timeline."""
        try:
            word: Facts = json.loads(seen["word"])
            ours = (self.config["policy"], self.config["seconds"], int(seen["timeline"], 16))
            return word if (word["policy"], word["seconds"], word["timeline"]) == ours else None
        except (ValueError, TypeError, KeyError):
            return None

    def act(self, what: str, seen: Facts, now: float) -> None:
        if what == "wait" and now - self.tried_at >= RETRY_SECONDS:
            self.tried_at = self.changed_at = now
            with acting_as(self.owner):
                install(self.conf, self.config["text"], 0o644)
            self.reload("the recovery host follows: commits are to wait for it")
        elif what == "claim" and self.say_word(seen, now, waits=True):
            say("every commit waits for the recovery host from now on")
        elif what == "withdraw" and self.say_word(seen, now, waits=False):
            say("commits do not wait, and somebody else has made it so")
        elif what == "go on":
            self.let_go(seen, now, f"the recovery host has been away for {self.go_on:g} s")

    def let_go(self, seen: Facts, now: float, why: str) -> bool:
        """Let commits go on without the recovery host; write it down first, or do not do it."""
        self.note(seen, "gone on")
        if not self.say_word(seen, now, waits=False):
            say("this cannot be written down, and so commits go on waiting: " + why)
            return False
        self.remove_conf()
        self.changed_at, self.tried_at, self.steady_since = now, -RETRY_SECONDS, now
        return self.reload("commits go on without the recovery host: " + why)

    def rest(self, now: float) -> None:
        """As a standby, wait for nobody: it may be promoted, and nobody will follow it then."""
        self.looks.clear()
        self.covered, self.covered_at, self.steady_since = now, 0.0, now
        self.tried_at = -RETRY_SECONDS
        if self.remove_conf():
            self.reload("a standby waits for nobody, also when it is promoted")
        self.keep("standby", time.time(), "")

    def remove_conf(self) -> bool:
        """Take our setting away; tell whether it was there."""
        with acting_as(self.owner):
            try:
                self.conf.unlink()
            except FileNotFoundError:
                return False
        return True

    def reload(self, why: str) -> bool:
        say(why)
        return self.session.ask("SELECT pg_reload_conf()") is not None

    def repeat(self, seen: Facts, word: Facts, now: float) -> None:
        """Say again up to when all is there: the recovery host adds the seconds of the policy."""
        if self.go_on is not None and now - self.said_at >= self.go_on / 3:
            self.say_word(seen, now, waits=True, since=word.get("since"))

    def say_word(self, seen: Facts, now: float, *, waits: bool, since: float | None = None) -> bool:
        """Put the comment into the WAL; it never waits for anybody itself."""
        word = {
            "policy": self.config["policy"],
            "seconds": self.config["seconds"],
            "waits": waits,
            "since": since or round(seen["now"], 3),
            "covered": round(self.covered_at, 3),
            "timeline": int(seen["timeline"], 16),
        }
        text = json.dumps(word).replace("'", "''")
        done = self.session.ask(f"COMMENT ON ROLE {self.config['role']} IS '{text}'") is not None
        if done:
            self.said_at = now
        return done

    def note(self, seen: Facts, what: str) -> None:
        self.keep(what, seen["now"], stamp(self.covered_at) if self.covered_at else "")

    def keep(self, what: str, at: float, covered: str) -> None:
        """Write the state down when it changes, with the time and the one before."""
        try:
            before: Facts = json.loads(read_text(self.file))
        except (OSError, ValueError):
            before = {}
        if before.get("state") == what:
            return
        facts = {"state": what, "since": stamp(at), "covered": covered}
        begun = before.get("alone_since") or (stamp(at) if what == "gone on" else "")
        if begun and what != "synchronous":
            facts["alone_since"] = begun
        elif begun:
            facts["alone"] = f"from {begun} to {stamp(at)}"
        elif "alone" in before:
            facts["alone"] = before["alone"]
        install(self.file, json.dumps(facts, indent=2, sort_keys=True) + "\n", 0o600)
        say(f"{what} since {facts['since']}")

    def release(self) -> int:
        seen = self.seen()
        if seen is None or not seen["leads"] or seen["names"] != self.config["names"]:
            say("no commit waits here")
            return 1
        self.measure(seen, time.monotonic())
        if not self.let_go(seen, time.monotonic(), "somebody says so"):
            say("this has not worked: run it again")
            return 1
        say(
            "what is committed from now on is lost if the recovery host takes over before it "
            "follows again, and it does not know of this: its plan may say that nothing is lost"
        )
        return 0


def stamp(at: float) -> str:
    """
    >>> stamp(0.0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def install(path: Path, text: str, mode: int) -> None:
    """Write a file whole and durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):  # of a process that died
        beside.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(beside, flags, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), mode)
    beside.replace(path)
    folder = os.open(str(path.parent), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    path, verb = argv
    keeper = Keeper(json.loads(read_text(path)))
    return keeper.release() if verb == "release" else keeper.watch()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
