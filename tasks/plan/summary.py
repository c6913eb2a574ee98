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
    seen, there = plan.situation, plan.names["recovery"]
    clock = Clock(plan.timezone, moment_of(seen.at))
    drilled = clock.said(seen.last_drill) if seen.last_drill else "never"
    rows = {
        "measured at": Clock(plan.timezone, dated=True).at(seen.at),
        f"{plan.names['origin']} (origin)": seen.shut_out or seen.origin,
        f"{there} (recovery)": seen.recovery,
        "what would be lost": "" if plan.procedure in BACK else _loss(plan, clock),
        f"commits wait for {there}": _waits(plan, clock),
        **_lag(plan),
        "documents whose file is missing": _documents(seen),
        "not copied, or not known": "; ".join(seen.not_copied),
        f"how {plan.names['origin']} rejoins": f"{seen.way}: {seen.why}" if seen.way else "",
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
    since = clock.said(notice.since)
    if not notice.waits:
        return f"no: {plan.names['origin']} commits alone since {since}"
    if notice.policy == "wait":
        return f"always, since {since}"
    return f"since {since}; after {span(notice.seconds)} without it they go on"


def _lag(plan: Plan) -> dict[str, str]:
    """How far the standby is behind an origin that serves; of another one nobody knows.

    What it has received, and not replayed yet, it replays before it is promoted.
    """
    seen = plan.situation
    if plan.procedure not in OUT:
        return {}
    if seen.origin != "primary":
        return {"received, and not replayed yet": size(seen.lag_bytes)} if seen.lag_bytes else {}
    if seen.lag_bytes is None:
        return {"behind the origin": UNKNOWN}
    seconds = f", {span(seen.lag_seconds)}" if seen.lag_seconds else ""
    return {"behind the origin": f"{size(seen.lag_bytes)}{seconds}"}


def _documents(seen: Situation) -> str:
    return UNKNOWN if seen.documents is None else str(seen.documents)


def _expected(plan: Plan) -> str:
    if plan.procedure not in ("failover", "switchover"):
        return ""
    seconds = plan.situation.predicted_seconds
    return UNKNOWN if seconds is None else f"about {span(seconds)}"


def _lines(plan: Plan) -> Iterator[str]:
    seen = plan.situation
    yield f"# {plan.procedure} of {plan.instance}"
    yield from ("", "| | |", "|---|---|")
    yield from (f"| {markdown(name)} | {markdown(value)} |" for name, value in facts(plan).items())
    yield from _listed("Refused as things are", seen.refusals)
    yield from _listed("Lacking (the move goes on without it)", seen.lacking)
    names = {key: plain(name) for key, name in plan.names.items()}
    said = doing(plan.procedure, plan.usual, names, wakes=seen.leader_is_down)
    yield from _listed("Before you approve, you ...", said.before)
    yield from ("", "## Relevo will then ...", "")
    if seen.refusals:
        yield from ("(when what it is refused for is fixed)", "")
    yield from (f"{number}. {markdown(each)}" for number, each in enumerate(said.then, 1))


def _listed(title: str, sentences: tuple[str, ...]) -> Iterator[str]:
    if sentences:
        yield from ("", f"## {title}", "")
        yield from (f"- {markdown(' '.join(each.split()))}" for each in sentences)
