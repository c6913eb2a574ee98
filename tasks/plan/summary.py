"""What somebody reads before saying yes to a plan: what was measured, and what will be done."""

from collections.abc import Iterator

from blocks.plain import markdown, plain
from tasks.authority.situation import Plan
from tasks.plan import words
from tasks.plan.doing import doing


def summary(plan: Plan) -> str:
    """Say what was measured, what a person does first, and what Relevo does then."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    seen = plan.situation
    yield f"# {plan.procedure} of {plan.instance}"
    yield from ("", "| | |", "|---|---|")
    yield from (
        f"| {markdown(name)} | {markdown(value)} |" for name, value in words.facts(plan).items()
    )
    yield from _listed("Refused as things are", seen.refusals)
    yield from _listed("Lacking (the move goes on without it)", seen.lacking)
    names = {key: plain(name) for key, name in plan.names.items()}
    said = doing(plan.procedure, plan.usual, names, wakes=seen.leader_is_down)
    yield from _listed("Before you approve, you ...", said.before)
    yield from ("", "## Relevo will then ...", "")
    if seen.refusals:
        yield from ("(if what it is refused for is mended)", "")
    yield from (f"{number}. {markdown(each)}" for number, each in enumerate(said.then, 1))


def _listed(title: str, sentences: tuple[str, ...]) -> Iterator[str]:
    if sentences:
        yield from ("", f"## {title}", "")
        yield from (f"- {markdown(' '.join(each.split()))}" for each in sentences)
