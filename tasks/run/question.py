"""The yes to a plan, wherever somebody says it: the instance's name, a reason and who says so."""

from dataclasses import dataclass

from blocks.errors import Refused
from tasks.run import act
from tasks.run.desk import desk
from tasks.run.step import log


@dataclass(frozen=True)
class Question:
    """What somebody is asked about a plan; what the call has said already is not asked again."""

    procedure: str
    instance: str
    origin: str = ""
    asks_whether_down: bool = False
    shut_out: str = ""
    summary: str = ""
    reason: str = ""
    approved_by: str = ""

    @property
    def doubt(self) -> str:
        """Say what speaks against a yes: the origin may be alive."""
        return f"The state of {self.origin} is {self.shut_out}." if self.shut_out else ""


@dataclass(frozen=True)
class Yes:
    """A yes that nobody says by mistake."""

    instance_name: str
    reason: str
    approved_by: str
    origin_is_down: bool = False


def ask(question: Question, *, minutes: float = 0) -> Yes:
    """Wait for a yes; one that does not fit is told why, and may be said again on a page."""
    at, wrong = desk(), ""
    for attempt in range(1, at.tries + 1):
        yes = at.ask(question, attempt=attempt, wrong=wrong, minutes=minutes)
        if not (wrong := objection(question, yes)):
            log().info("%s approved this: %s", yes.approved_by, yes.reason)
            act.decided(reason=yes.reason, person=yes.approved_by)
            return yes
        if attempt < at.tries:
            log().warning("%s; nothing was changed", wrong)
    raise Refused(f"{wrong}; nothing was changed", hint=at.again)


def objection(question: Question, yes: Yes) -> str:
    """Say what is wrong with a yes; the empty string when it holds.

    >>> asked = Question("failover", "vps_1", origin="uno", asks_whether_down=True)
    >>> objection(asked, Yes("vps_2", "fire", "Ana", origin_is_down=True))
    "'vps_2' was typed, and this plan is about vps_1: type vps_1"
    >>> objection(asked, Yes("VPS-1", "fire", "Ana", origin_is_down=True))
    ''
    >>> objection(asked, Yes("vps_1", "fire", " ", origin_is_down=True))
    'a reason and a name are needed'
    >>> objection(asked, Yes("vps_1", "fire", "Ana"))[:45]
    'nobody has confirmed that uno is down and sta'
    >>> objection(asked, Yes("vps_1", "fire", "Ana", origin_is_down=True))
    ''
    """
    name = question.instance
    if not is_named(name, yes.instance_name):
        return f"{yes.instance_name!r} was typed, and this plan is about {name}: type {name}"
    if not yes.reason.strip() or not yes.approved_by.strip():
        return "a reason and a name are needed"
    if question.asks_whether_down and not yes.origin_is_down:
        return (
            f"nobody has confirmed that {question.origin} is down and stays down; without that, "
            "customers could write to both"
        )
    return ""


def is_named(instance: str, typed: str) -> bool:
    """Tell whether a typed name means an instance, which Prefect and DNS write with dashes.

    >>> [is_named("vps_uno", typed) for typed in ("vps_uno", "vps-uno ", "VPS_UNO", "vps_dos", "")]
    [True, True, True, False, False]
    """
    return typed.strip().lower().replace("-", "_") == instance
