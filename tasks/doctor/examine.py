"""All that a set-up and a move need, asked of an instance and changed nowhere.

The questions are those of readiness: what a set-up is refused for, and what a move needs. What
tries by a change is left to the check.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance, Place
from tasks.doctor.findings import Examined, Finding, State, settled
from tasks.postgres.observe import ClusterState, observe_if_there
from tasks.readiness import ahead, at_home, failed_over, preflight
from tasks.readiness.probes import ROLES, Ends, Need
from tasks.records import records
from tasks.records.kinds import SetUp
from tasks.recovery import users
from tasks.run import terminal

AT_ONCE = 8
ESSENTIAL = [each.name for each in preflight.THERE]
SET_UP = (*preflight.NEEDS, *ahead.NEEDS)
BLOCKED: tuple[State, ...] = ("replicate", "failover", "failback")
Server = tuple[str, str, int, str]


def examine(
    instances: Sequence[OdooInstance], known: Mapping[str, Sequence[Finding]] | None = None
) -> Iterator[Examined]:
    """Examine instances side by side, in their order; change nothing.

    `known` is what was found of each here. A server that does not answer is asked once for all.
    """
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        servers = {_server(p): p for each in instances for p in (each.origin, each.recovery)}
        mute = dict(zip(servers, pool.map(_objection, servers.values()), strict=True))
        told = known or {}
        yield from pool.map(lambda each: _examined(each, mute, told.get(each.name, ())), instances)


def has_replica(instance: OdooInstance) -> bool:
    """Tell whether a set-up has come to its end; earlier releases did not note that."""
    if ahead.is_new(instance):
        return False
    return records.last_success(instance.recovery, instance, SetUp) is not None


def _server(place: Place) -> Server:
    host = place.host
    return host.name, host.address, host.port, host.user


def _objection(place: Place) -> RelevoError | None:
    try:
        place.host.shell().run(("true",))
    except RelevoError as error:
        return error
    return None


def _examined(
    instance: OdooInstance, mute: Mapping[Server, RelevoError | None], known: Sequence[Finding]
) -> Examined:
    way = f"{instance.origin} -> {instance.recovery}"
    found = list(known)
    silent = {}
    for place in (instance.recovery, instance.origin):
        if error := mute[_server(place)]:
            silent[place.kind] = error
            found.append(_not_asked(f"ssh to the {place.kind}", error))
    if "recovery" in silent:
        return Examined(instance.name, way, found)
    with terminal.without_server():
        try:
            with understood(f"a host's answer about {instance.name}"):
                for each in _findings(instance, origin_answers="origin" not in silent):
                    found += each
        except RelevoError as error:  # without it nothing more can be asked
            found.append(_not_asked("all other checks", error))
    return Examined(instance.name, way, settled(found, ESSENTIAL))


def _not_asked(check: str, error: RelevoError) -> Finding:
    return Finding(check, "not asked", error.message, error.hint)


def _findings(instance: OdooInstance, *, origin_answers: bool) -> Iterator[list[Finding]]:
    """Give what each check finds; one whose host falls silent ends it."""
    instance = users.as_found(instance)
    is_new = ahead.is_new(instance)
    if is_new:
        hint = f"run relevo replicate {instance.name} when nothing blocks it"
        yield [Finding("replica", "next", "there is none yet", hint)]
    recovery, objection = _look(instance.recovery)
    origin = _look(instance.origin)[0] if origin_answers else None
    ends = Ends(origin, recovery or _unseen(instance.recovery))
    if objection and not is_new:  # of a new one the check of its port says so
        yield [Finding("PostgreSQL of the recovery", "failover", objection.message, objection.hint)]
    elif not is_new and (origin or ends.recovery.is_primary):
        yield [_roles(instance, ends)]
    for need in _needs(ends, is_new=is_new, origin_answers=origin_answers):
        yield _taken(need, instance)


def _look(place: Place) -> tuple[ClusterState | None, Refused | None]:
    """Look at a cluster; where that is refused, why: a check of the set-up is refused as well."""
    try:
        return observe_if_there(place), None
    except Refused as error:
        return None, error


def _unseen(place: Place) -> ClusterState:
    return ClusterState(
        place, PurePosixPath("/"), online=False, answers=False, in_recovery=False, control=None
    )


def _needs(ends: Ends, *, is_new: bool, origin_answers: bool) -> list[Need]:
    """The checks that make sense now, each once."""
    if ends.recovery.is_primary:
        return [each for each in failed_over.NEEDS if each.when(ends) and not each.acts]
    first = [each for each in SET_UP if origin_answers or each.hosts == "recovery"]
    asked = [
        each
        for each in (*first, *at_home.NEEDS)
        if each.when(ends) and not each.acts and (each.before or not is_new)
    ]
    return list({each.name: each for each in asked}.values())


def _roles(instance: OdooInstance, ends: Ends) -> Finding:
    away = ends.recovery.is_primary
    state: State = "now" if ends.served == "both" else "failback" if away else "failover"
    try:
        said = (failed_over if away else at_home).roles(instance, ends)
    except Unreachable:
        raise
    except RelevoError as error:
        hint = f"run failback {instance.name} when the origin is whole" if away else ""
        return Finding(ROLES, state, error.message, error.hint or hint)
    return Finding(ROLES, "well", said)


def _taken(need: Need, instance: OdooInstance) -> list[Finding]:
    """Ask one check; what it remarks on is amber."""
    try:
        with understood(f"a host's answer ({need.name})"):
            said = need.ask(instance)
    except Unreachable:
        raise
    except RelevoError as error:
        state = next((each for each in BLOCKED if each in need.moves), BLOCKED[-1])
        hint, fell = error.hint or need.remedy, isinstance(error, CommandFailed)
        return [Finding(need.name, state, error.message, hint, stumbled=fell)]
    fact, *remarks = [said] if isinstance(said, str) else said
    if remarks:
        return [Finding(need.name, "amber", "; ".join(remarks))]
    return [Finding(need.name, "well", fact)]
