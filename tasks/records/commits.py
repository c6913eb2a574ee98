"""Whether commits at the origin waited for the recovery host: what it said of itself, judged."""

import json
from dataclasses import dataclass
from typing import Any, Literal

Policy = Literal["wait", "go_on"]
STATES = {
    "synchronous": "commits have waited for {recovery} since {since}",
    "waiting": "{recovery} does not confirm; commits have been blocked since {since}",
    "gone on": "{origin} has committed without {recovery} since {since}",
    "beginning": "commits have begun to wait for {recovery}, since {since}",
    "asynchronous": "commits do not wait for {recovery} yet (since {since})",
    "standby": "{origin} has been a standby since {since}",
}


@dataclass(frozen=True)
class CommitNotice:
    """What the origin said in its WAL, at the point up to which somebody has it.

    It was written after commits were seen to wait, and is taken back before they stop. `covered`
    is a time of which the origin knew that the recovery host had everything.
    """

    policy: Policy
    seconds: float
    waits: bool
    since: float
    covered: float
    timeline: int


def parse(comment: str) -> CommitNotice | None:
    """Read the comment of the role that streams; none when it is somebody else's or absent.

    >>> parse('{"policy": "wait", "seconds": 30, "waits": true, "since": 1.5, "covered": 2.5,'
    ...     ' "timeline": 3}')
    CommitNotice(policy='wait', seconds=30.0, waits=True, since=1.5, covered=2.5, timeline=3)
    >>> parse(""), parse("the role of the standby"), parse("[]"), parse('{"policy": "x"}')
    (None, None, None, None)
    """
    try:
        facts: dict[str, Any] = json.loads(comment)
        if facts["policy"] not in {"wait", "go_on"}:
            return None
        return CommitNotice(
            policy=facts["policy"],
            seconds=float(facts["seconds"]),
            waits=facts["waits"] is True,
            since=float(facts["since"]),
            covered=float(facts["covered"]),
            timeline=int(facts["timeline"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def in_force(comment: str, *, timeline: int, replayed: bool) -> CommitNotice | None:
    """The notice that holds for all that a standby lacks; none where there is none.

    A notice of an older timeline is of a time before somebody else was promoted. While WAL that has
    been received is not replayed, a later notice may be in it.

    >>> said = '{"policy": "wait", "seconds": 30, "waits": true, "since": 1, "covered": 2,' \
        ' "timeline": 3}'
    >>> in_force(said, timeline=3, replayed=True).policy
    'wait'
    >>> in_force(said, timeline=5, replayed=True), in_force(said, timeline=3, replayed=False)
    (None, None)
    """
    notice = parse(comment)
    if notice is None or not notice.waits or not replayed or notice.timeline < timeline:
        return None
    return notice


def sentence(state: dict[str, str], *, origin: str, recovery: str) -> str:
    """Say the state that the origin's program wrote down.

    >>> sentence({"state": "gone on", "since": "03:00Z", "covered": "02:59Z"}, origin="uno",
    ...     recovery="due")
    'uno has committed without due since 03:00Z (due had everything at 02:59Z)'
    >>> sentence({"state": "synchronous", "since": "04:00Z", "alone": "from 03:00Z to 04:00Z"},
    ...     origin="uno", recovery="due")
    'commits have waited for due since 04:00Z (uno committed alone from 03:00Z to 04:00Z)'
    """
    what = state.get("state", "")
    if what not in STATES:
        return f"{origin} does not say whether commits wait for {recovery}"
    said = STATES[what].format(origin=origin, recovery=recovery, since=state.get("since", "?"))
    if what in {"waiting", "gone on"} and state.get("covered"):
        return f"{said} ({recovery} had everything at {state['covered']})"
    if what == "synchronous" and state.get("alone"):
        return f"{said} ({origin} committed alone {state['alone']})"
    return said
