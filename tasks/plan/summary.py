"""What somebody reads before saying yes to a plan: what was measured, and what will be done."""

from collections.abc import Iterator

from blocks.plain import markdown, plain
from tasks.authority.situation import BACK, FORWARD, Plan, Situation
from tasks.plan.doing import doing
from tasks.records import loss
from tasks.run.moments import Clock, moment_of, size, span

UNKNOWN = "not known"
# What has no meaning where the recovery host serves.
OUT = (*FORWARD, "switchover")


def summary(plan: Plan) -> str:
    """Say what was measured, what a person does first, and what Relevo does then."""
    return "\n".join(_lines(plan))


def facts(plan: Plan) -> dict[str, str]:
    """Say what was measured, as rows of a table; what has no meaning here is left out."""
    situation, there = plan.situation, plan.names["recovery"]
    clock = Clock(plan.timezone, moment_of(situation.at))
    drilled = clock.when(situation.last_drill) if situation.last_drill else "never"
    rows = {
        "measured at": Clock(plan.timezone, dated=True).at(situation.at),
        f"{plan.names['origin']} (origin)": situation.shut_out or situation.origin,
        f"{there} (recovery)": situation.recovery,
        "what would be lost": "" if plan.procedure in BACK else _loss(plan, clock),
        f"commits wait for {there}": _waits(plan, clock),
        **_lag(plan),
        "documents whose file is missing": _documents(situation),
        "not copied, or not known": "; ".join(situation.not_copied),
        f"how {plan.names['origin']} rejoins": f"{situation.way}: {situation.why}"
        if situation.way
        else "",
        "last drill or move": drilled,
        "expected time until Odoo answers": _expected(plan),
    }
    known = [name for name, value in rows.items() if value]
    if plan.procedure == "recovery is gone":
        known = known[:2]  # it is asked nothing
    return {name: rows[name] for name in known}


def _loss(plan: Plan, clock: Clock) -> str:
    return loss.sentence(plan.situation.exposure, clock, before="this plan")


def _waits(plan: Plan, clock: Clock) -> str:
    notice = plan.situation.notice
    if notice is None or plan.procedure not in OUT:
        return ""
    since = clock.when(notice.since)
    if not notice.waits:
        return f"no: {plan.names['origin']} commits alone since {since}"
    if notice.policy == "wait":
        return f"always, since {since}"
    return f"since {since}; after {span(notice.seconds)} without it they go on"


def _lag(plan: Plan) -> dict[str, str]:
    """How far the standby is behind an origin that serves; of another one nobody knows.

    What it has received, and not replayed yet, it replays before it is promoted.
    """
    situation = plan.situation
    if plan.procedure not in OUT:
        return {}
    if situation.origin != "primary":
        return (
            {"received, and not replayed yet": size(situation.lag_bytes)}
            if situation.lag_bytes
            else {}
        )
    if situation.lag_bytes is None:
        return {"behind the origin": UNKNOWN}
    seconds = f", {span(situation.lag_seconds)}" if situation.lag_seconds else ""
    return {"behind the origin": f"{size(situation.lag_bytes)}{seconds}"}


def _documents(situation: Situation) -> str:
    return UNKNOWN if situation.documents is None else str(situation.documents)


def _expected(plan: Plan) -> str:
    if plan.procedure not in ("failover", "switchover"):
        return ""
    seconds = plan.situation.predicted_seconds
    return UNKNOWN if seconds is None else f"about {span(seconds)}"


def _lines(plan: Plan) -> Iterator[str]:
    situation = plan.situation
    yield f"# {plan.procedure} of {plan.instance}"
    yield from ("", "| | |", "|---|---|")
    yield from (f"| {markdown(name)} | {markdown(value)} |" for name, value in facts(plan).items())
    yield from listed("Refused as things are", situation.refusals)
    yield from listed("Lacking (the move goes on without it)", situation.lacking)
    names = {key: plain(name) for key, name in plan.names.items()}
    steps = doing(plan.procedure, plan.usual, names, wakes=situation.leader_is_down)
    yield from listed("Before you approve, you ...", steps.before)
    yield from ("", "## Relevo will then ...", "")
    if situation.refusals:
        yield from ("(after the reasons for the refusal are fixed)", "")
    yield from (f"{number}. {markdown(each)}" for number, each in enumerate(steps.then, 1))


def listed(title: str, sentences: tuple[str, ...]) -> Iterator[str]:
    if sentences:
        yield from ("", f"## {title}", "")
        yield from (f"- {markdown(' '.join(each.split()))}" for each in sentences)
