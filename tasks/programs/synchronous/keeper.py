"""The beats: measure once a second, and do one thing at most."""

from __future__ import annotations

import collections
import json
import time
from pathlib import Path
from typing import Any, Deque, Dict, Tuple

from ..acting import acting_as
from ..bounded import read_text
from ..durable import install
from ..journal import Journal, say
from .policy import LATE_SECONDS, choose, state
from .session import Session

BEAT_SECONDS = 1.0
RETRY_SECONDS = 60.0
LOOKS = 600
OWNER = "postgres"
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


class Keeper:
    """The waiting of one instance's commits."""

    def __init__(self, config: Facts) -> None:
        self.config = config
        self.conf, self.file = Path(config["conf"]), Path(config["state"])
        self.owner = str(config.get("owner", OWNER))
        self.journal = Journal()
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
                self.journal.complain(f"a beat has failed: {error!r:.300}")
            time.sleep(BEAT_SECONDS)

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
        if not self.let_go(seen, time.monotonic(), "an operator released them"):
            say("this has not worked: run it again")
            return 1
        say(
            "commits from now on are lost if the recovery host takes over before it follows again; "
            "it does not know of this release, so its plan may say that nothing is lost"
        )
        return 0


def stamp(at: float) -> str:
    """
    >>> stamp(0.0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
