"""A round over the instances of a recovery host: several at a time, and each for itself.

As plain functions in threads: a run, or a task, for each instance would cost the server more than
the copying.
"""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context

from blocks.answers import understood
from blocks.errors import Busy, CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.patience import patience
from tasks.host import lock
from tasks.language.reader import translated
from tasks.notices import events
from tasks.records import records
from tasks.records.kinds import Synced
from tasks.recovery import users
from tasks.rounds import words
from tasks.rounds.words import Pass
from tasks.run import terminal
from tasks.run.desk import desk
from tasks.run.report import Report, publish
from tasks.run.step import log

Copy = Callable[[OdooInstance], None]

# All share a connection to the recovery host, on which sshd bears ten channels: one each for what
# is being asked, and one for each of the relays to PostgreSQL (blocks/relay.py).
AT_ONCE = 4
SHARE = 0.8  # of the time between two rounds, which all have together
LEAST_SECONDS = 30.0  # for each
COMMAND_SECONDS = 10.0  # for a command that has begun
OFF = "its schedule is off"


class Slow(Exception):
    """There is more to copy than a round has time for."""


def every(instances: Sequence[OdooInstance]) -> int:
    """How often a round is due: as often as the most impatient of the instances wants."""
    return min((each.schedules.filestore_seconds for each in instances), default=0)


def bound(count: int, seconds: float) -> float:
    """How long one of so many instances may take, so that the round ends before the next one.

    >>> bound(2, 300), bound(30, 300), bound(300, 300)
    (240.0, 32.0, 30.0)
    """
    turns = max(1.0, count / AT_ONCE)
    return max(LEAST_SECONDS, SHARE * seconds / turns)


def copy_all(instances: Sequence[OdooInstance], copy: Copy, *, off: Collection[str]) -> list[Pass]:
    """Copy the files of each instance, whatever becomes of the others; tell how each ended.

    `off` names those whose schedule is off: somebody, or a failover, has paused their copies.
    """
    often, going = every(instances), [each for each in instances if each.name not in off]
    seconds = bound(len(going), often)

    def take(instance: OdooInstance, context: Context) -> Pass:
        return context.run(_one, instance, copy, seconds, often)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        went = list(pool.map(take, going, [copy_context() for _ in going]))
    alone = [Pass(each.name, "alone", said=OFF) for each in instances if each.name in off]
    return sorted((*went, *alone), key=lambda each: each.instance)


def unread(name: str, why: RelevoError) -> Pass:
    """Tell of an instance that cannot be read, and so was not copied."""
    return Pass(name, "failed", said=why.message, hint=why.hint, refused=True)


def _one(instance: OdooInstance, copy: Copy, seconds: float, often: int) -> Pass:
    name, begun = instance.name, time.monotonic()
    with terminal.without_server():
        try:
            with understood(f"a host's answer about {name}"):
                if said := _within(users.as_found(instance), copy, seconds, often):
                    return Pass(name, "alone", said=said)
        except Slow:
            return Pass(name, "slow", time.monotonic() - begun)
        except Busy as error:
            return Pass(name, "alone", said=error.message)
        except RelevoError as error:
            log().warning("%s: %s", name, error)
            took, refused = time.monotonic() - begun, isinstance(error, Refused)
            return Pass(name, "failed", took, error.message, error.hint, refused=refused)
        return Pass(name, "copied", time.monotonic() - begun)


def _within(instance: OdooInstance, copy: Copy, seconds: float, often: int) -> str:
    """Copy under the instance's lock, within its time; say why not where it is not due yet.

    What is slow is ended with the lock still held: nothing writes that no lock speaks of.
    """
    if instance.schedules.filestore_seconds > often and not _is_due(instance, often):
        return "it is not due yet"
    with lock.held(instance, "rsync-filestore", wait_seconds=0):
        ends = time.monotonic() + seconds
        try:
            with patience(seconds, least=COMMAND_SECONDS):
                copy(instance)
        except Unreachable:
            if time.monotonic() < ends:
                raise
            if lock.is_at_work(instance):  # which a host that is silent does not say
                lock.end_jobs(instance)
            raise Slow from None
    return ""


def _is_due(instance: OdooInstance, often: int) -> bool:
    """Tell whether an instance that is copied less often than others is due in this round."""
    last = records.last_success(instance.recovery, instance, Synced)
    wanted = instance.schedules.filestore_seconds - often / 2
    return last is None or not 0 <= time.time() - last < wanted


def tell(instances: Sequence[OdooInstance], passes: Sequence[Pass], *, before: str) -> None:
    """Reset the dead man's switch of each that was copied; tell of each that newly refuses.

    `before` is what the round before ended with.
    """
    ended = {each.instance: each for each in passes}
    for instance in instances if desk().emits else ():
        went = ended[instance.name]
        if went.ended == "copied":
            events.tell_copied(instance, apart=True)
        elif went.refused and not _was_told(went, before):
            events.tell_refusal(instance, went.said)


def _was_told(went: Pass, before: str) -> bool:
    said = (went.said, translated(went.said))
    return any(words.is_known(went.instance, each, before) for each in said)


def hand_in(recovery: str, passes: Sequence[Pass]) -> Report:
    """Show how it went with each; fail where one could not be copied."""
    report = Report(words.title(recovery, passes), {each.instance: str(each) for each in passes})
    publish(report, key=f"copies-{recovery}")
    if said := words.failure(recovery, passes):
        raise CommandFailed(
            said,
            hint="do what its report says of each; the next round tries again, and "
            "rsync-filestore of an instance does it at once",
        )
    return report
