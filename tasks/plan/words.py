"""A plan in words, whole, for whoever works by hand."""

from collections.abc import Iterator, Mapping

from blocks.names import Language
from blocks.plain import markdown, plain
from tasks.authority.situation import Plan, Procedure
from tasks.byhand.by_hand import COMMANDS
from tasks.byhand.by_hand import page as of_procedure
from tasks.byhand.by_hand_page import draw
from tasks.language import catalogue
from tasks.plan import summary


def page(plan: Plan, language: Language) -> str:
    """What was measured, and the page that somebody follows when nothing else is there."""
    measured = catalogue.page("\n".join(_measured(plan)), language)
    return f"{measured}\n\n{by_hand(plan.procedure, plan.names, language)}"


def by_hand(procedure: Procedure, names: Mapping[str, str], language: Language) -> str:
    """The page that is kept: with all ways of a procedure, and nothing that was measured."""
    harmless = {key: plain(name, lines=True) for key, name in names.items()}
    command = COMMANDS.get(procedure, procedure)
    return draw(of_procedure(procedure, names), harmless, language, command=command)


def _measured(plan: Plan) -> Iterator[str]:
    """Say it as whoever approves the plan reads it."""
    if plan.procedure == "recovery is gone":
        yield f"# {plan.instance}: {plan.names['recovery']} is gone"
    else:
        yield f"# {plan.procedure} of {plan.instance}"
    yield from ("", "| | |", "|---|---|")
    facts = summary.facts(plan).items()
    yield from (f"| {markdown(name)} | {markdown(value)} |" for name, value in facts)
    yield from summary.listed("Refused as things are", plan.situation.refusals)
    if plan.situation.refusals:
        yield from ("", "When that is fixed, the procedure is:")
    yield from summary.listed("Lacking (the move goes on without it)", plan.situation.lacking)
