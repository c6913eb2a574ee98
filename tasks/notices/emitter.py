"""The one door by which events leave for the desk; at a terminal they reach nobody."""

from blocks.plain import plain
from tasks.language import reader
from tasks.run.desk import desk
from tasks.run.moments import Clock

PREFIX = "relevo."
RESOURCE = "relevo.instance."


def emit(
    instance: str, name: str, sentence: str, *, timezone: str = "", apart: bool = False,
    **facts: str,
) -> None:  # fmt: skip
    """Emit one event of one instance, with a sentence for whoever is told.

    With a time zone it says when it was, for a mail that is sent because nothing followed. What is
    told often leaves `apart` from the run that tells it.
    """
    # A mail is HTML, and a chat makes links of what stands in these brackets.
    sentence, facts = _shown(sentence), {key: _shown(value) for key, value in facts.items()}
    full = name if name.startswith(PREFIX) else PREFIX + name
    desk().emit(
        full,
        resource={
            "prefect.resource.id": f"{RESOURCE}{instance}",
            "prefect.resource.name": instance,
            "relevo.instance": instance,
            "relevo.said": reader.translated(sentence),
            **({"relevo.at": _now(timezone)} if timezone else {}),
        },
        payload={"instance": instance, "said": sentence, **facts},
        apart=apart,
    )


def _now(timezone: str) -> str:
    clock = Clock(timezone, dated=True)
    return clock.at(clock.now)


def _shown(text: str) -> str:
    r"""
    >>> _shown("<a href=x>\x1b[2J")
    '(a href=x>\\x1b[2J'
    """
    return plain(text).replace("<", "(")
