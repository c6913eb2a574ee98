"""The one door by which events leave for the desk; at a terminal they reach nobody."""

from blocks.plain import plain
from tasks.run.desk import desk

PREFIX = "relevo."
RESOURCE = "relevo.instance."


def tell(instance: str, name: str, said: str, **facts: str) -> None:
    """Emit one event of one instance, with a sentence for whoever is told."""
    # A mail is HTML, and a chat makes links of what stands in these brackets.
    said, facts = _shown(said), {key: _shown(value) for key, value in facts.items()}
    full = name if name.startswith(PREFIX) else PREFIX + name
    desk().emit(
        full,
        resource={
            "prefect.resource.id": f"{RESOURCE}{instance}",
            "prefect.resource.name": instance,
            "relevo.instance": instance,
            "relevo.said": said,
        },
        payload={"instance": instance, "said": said, **facts},
    )


def _shown(text: str) -> str:
    r"""
    >>> _shown("<a href=x>\x1b[2J")
    '(a href=x>\\x1b[2J'
    """
    return plain(text).replace("<", "(")
