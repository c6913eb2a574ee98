"""What each contender is asked to do, in the same five words."""

from contextlib import suppress
from typing import Protocol

from tests.lab.machine import Machine, wait_until
from tests.lab.trouble import LabError
from tests.oracles import Pair

FOLLOWS_SECONDS = 20


class Contender(Protocol):
    """Somebody with a method, who minds one origin and its recovery host."""

    name: str
    said: list[str]
    plays: tuple[str, ...]  # the accidents' names; none for all

    def install(self) -> None:
        """Make a replicated pair of two fresh hosts."""

    def ready(self) -> None:
        """Do what its schedules do within minutes of a boot."""

    def failover(self) -> None:
        """The origin is seen to be down: have the recovery host serve."""

    def move(self) -> None:
        """Both are well: move the customers to the recovery host."""

    def home(self) -> None:
        """Bring the customers back to the origin, and have it protected again."""

    def notices(self) -> bool:
        """Say whether its own check finds that the recovery host could not take over."""
        ...

    def repair(self) -> None:
        """Make the standby good again."""


def role(machine: Machine, port: int) -> str:
    """f for a primary, t for a standby, nothing for one that does not answer."""
    try:
        return machine.psql(port, "SELECT pg_is_in_recovery()")
    except LabError:
        return ""


def follows(machine: Machine, port: int, timeout_seconds: float = FOLLOWS_SECONDS) -> bool:
    """Say whether a cluster is a standby that streams, before the time is over."""

    def state() -> str:
        sql = (
            "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'primary' "
            "WHEN EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 'streams' ELSE '' END"
        )
        try:
            return machine.psql(port, sql)
        except LabError:
            return ""

    with suppress(TimeoutError):
        wait_until(state, "it is a primary, or streams", timeout_seconds)
    return state() == "streams"


def origin_role(pair: Pair) -> str:
    return role(pair.origin.machine, pair.origin.port)


def recovery_role(pair: Pair) -> str:
    return role(pair.recovery, pair.port)


def admit(guest: Machine, user: str, key: str, host: Machine, as_user: str) -> None:
    """Let a user of one host log in to another."""
    public = guest.run("sh", "-c", f"cat ~/.ssh/{key}.pub", user=user).stdout
    host.run("sed", "-i", rf"s#^\({as_user}:.*:\)[^:]*$#\1/bin/bash#", "/etc/passwd")
    host.run(
        "sh", "-ec", "mkdir -p -m 700 ~/.ssh; cat >>~/.ssh/authorized_keys", user=as_user,
        stdin=public,
    )  # fmt: skip
