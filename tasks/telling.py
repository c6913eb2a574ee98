"""The one door to Prefect's events, which is shut where there is no server.

An event that is emitted without one makes Prefect start a server of its own, in the middle of a
procedure and for several seconds.
"""

from prefect.events import emit_event

from blocks.plain import plain
from tasks import bare

PREFIX = "relevo."
RESOURCE = "relevo.instance."


def tell(instance: str, name: str, said: str, **facts: str) -> None:
    """Emit one event of one instance, with a sentence for whoever is told."""
    if bare.alone():
        return
    # A mail is HTML, and a chat makes links of what stands in these brackets.
    said, facts = _shown(said), {key: _shown(value) for key, value in facts.items()}
    full = name if name.startswith(PREFIX) else PREFIX + name
    emit_event(
        event=full,
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
