"""What a probe is, what comes of asking many, and those that are asked of either place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias

from blocks.answers import understood
from blocks.errors import RelevoError, ShutOut, Unreachable
from blocks.instance import OdooInstance, Place
from tasks.filestore import judgement, leftout
from tasks.filestore.verdict import remarks, sentence
from tasks.odoo import http as asking
from tasks.odoo import service
from tasks.postgres.observe import ClusterState, observe, observe_if_reachable, observe_or_why
from tasks.run.report import Strong

ROLES, STREAM, COMMITS = "roles", "stream", "commits wait"
ODOO = {"origin": "Odoo at the origin", "recovery": "Odoo at the recovery"}
NOT_MEASURED = "not measured"
# What a probe says; of several sentences, all but the first are remarks.
Said: TypeAlias = "str | list[str]"
PlaceOf: TypeAlias = "Callable[[OdooInstance], Place]"


@dataclass(frozen=True)
class Ends:
    """Both clusters, at one moment; an origin whose host does not answer is none.

    `why` is what keeps us from asking one that is not silent.
    """

    origin: ClusterState | None
    recovery: ClusterState
    why: ShutOut | None = None

    @property
    def leads(self) -> bool:
        """The origin accepts writes."""
        return self.origin is not None and self.origin.is_primary

    @property
    def served(self) -> str:
        """Where writes are accepted: at the origin, the recovery, both, or nowhere."""
        if self.recovery.is_primary:
            return "both" if self.leads else "recovery"
        return "origin" if self.leads else ""

    def __str__(self) -> str:
        return f"{self.origin or 'silent'}/{self.recovery}"


def look_at_both(instance: OdooInstance) -> Ends:
    origin, why = observe_or_why(instance.origin)
    return Ends(origin, observe(instance.recovery), why)


# What must be there for a probe to make sense.
Needed: TypeAlias = "Callable[[Ends], bool]"


def nothing(ends: Ends) -> bool:  # noqa: ARG001  # one of several
    return True


def origin_host(ends: Ends) -> bool:
    return ends.origin is not None


def primary(ends: Ends) -> bool:
    return ends.leads


def standby(ends: Ends) -> bool:
    return ends.recovery.answers


def both(ends: Ends) -> bool:
    return ends.leads and ends.recovery.is_standby


Move: TypeAlias = Literal["replicate", "failover", "switchover", "failback", "rejoin", "look"]
Trier: TypeAlias = Literal["preflight", "build", "check", "drill"]
EVERY_MOVE: tuple[Move, ...] = ("failover", "switchover", "failback", "rejoin")


@dataclass(frozen=True)
class Need:
    """What moves will need: how it is tried by day, in the form in which they use it, and by whom.

    `ask` raises RelevoError where it is lacking, and `remedy` is said where that has no hint of
    its own. `when` tells whether there is anything to ask. A plan leaves out what takes both hosts
    while the origin does not answer, and what tries by a change, if only for a moment (`acts`).
    `before` tells whether it can be asked before there is a replica.
    """

    name: str
    ask: Callable[[OdooInstance], Said]
    tried: str
    remedy: str
    moves: tuple[Move, ...] = ("failover", "switchover")
    by: tuple[Trier, ...] = ("check",)
    when: Needed = nothing
    hosts: Literal["recovery", "both"] = "both"
    acts: bool = False
    before: bool = False


# A need of a set-up, which has no replica yet.
SetUp = partial(Need, moves=("replicate",), by=("preflight",), before=True)


def refusals(needs: Sequence[Need], instance: OdooInstance) -> list[RelevoError]:
    """Ask all, and give what each says that is not met; its remedy is the hint where it has none.

    :raises Unreachable: where a host does not answer, which is no refusal.
    """
    found: list[RelevoError] = []
    for need in needs:
        try:
            with understood(f"a host's answer ({need.name})"):
                need.ask(instance)
        except Unreachable:
            raise
        except RelevoError as error:
            error.hint = error.hint or need.remedy
            found.append(error)
    return found


@dataclass
class Found:
    """Facts for the report, what is wrong by the name of its probe, and what is to be mended."""

    facts: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """What is wrong, each of it once: several probes may stumble over the same."""
        return list(dict.fromkeys(self.failed.values()))

    def is_good(self, name: str) -> bool:
        """Tell whether a probe was asked, and found nothing wrong."""
        return name not in self.failed and self.facts.get(name, NOT_MEASURED) != NOT_MEASURED

    def take(self, name: str, ask: Callable[[], Said], *, remedy: str = "") -> None:
        """Ask, and keep what is said; of what is lacking, what mends it as well."""
        try:
            with understood(f"a host's answer ({name})"):
                said = ask()
        except RelevoError as error:
            hint = error.hint or remedy
            self.facts[name] = Strong(f"{error.message} (HINT: {hint})" if hint else error.message)
            self.failed[name] = error.message
            return
        sentences = [said] if isinstance(said, str) else said
        self.facts[name] = "; ".join(sentences)
        self.remarks += sentences[1:]


def odoo(place_of: PlaceOf) -> Callable[[OdooInstance], list[str]]:
    def ask(instance: OdooInstance) -> list[str]:
        place = place_of(instance)
        shell, unit = place.host.shell(), place.odoo.unit
        if observe(place).is_primary and not service.is_active(shell, unit):
            raise RelevoError(
                f"{unit} on {place} is not running, so customers cannot work: start it there, or "
                "run failover"
            )
        service.require_own_file(place)
        said = [f"{unit} runs on {place}"]
        if not service.starts_at_boot(shell, unit):
            said.append(f"{unit} would not start when {place} boots: systemctl enable it there")
        return said

    return ask


def http(place_of: PlaceOf) -> Callable[[OdooInstance], str]:
    """Ask Odoo as a browser does, past nginx: one that is frozen runs, and answers nobody."""

    def ask(instance: OdooInstance) -> str:
        place = place_of(instance)
        url = f"http://{next(iter(instance.domains), 'localhost')}:{place.odoo.http_port}"
        page = asking.pages(place, [url])[url]
        if not page.works:
            raise RelevoError(f"Odoo on {place} answers {page} for {url}")
        return f"{page.status} for {url}"

    return ask


def files(instance: OdooInstance) -> list[str]:
    """Require that every database was read, and seen whole no longer ago than two passes."""
    verdicts = judgement.verdicts(instance)
    patience = 2 * instance.schedules.filestore_seconds
    origin = observe_if_reachable(instance.origin)
    followed = origin is not None and origin.is_primary
    doubtful = [v for v in verdicts if v.is_doubtful(patience_seconds=patience, followed=followed)]
    if doubtful:
        damaged = any(each.damaged for each in doubtful) and followed
        raise RelevoError(
            f"documents may be without their files: {sentence(doubtful)}",
            hint="run reconcile-filestore, which fetches them again" if damaged else "",
        )
    left_out = [*leftout.remarks(instance), *(leftout.sessions(instance) if followed else [])]
    return [sentence(verdicts), *remarks(verdicts), *left_out]
