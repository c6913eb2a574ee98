"""A plan in words, whole, for whoever works by hand."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from blocks.names import Language
from blocks.plain import markdown, plain
from tasks.authority.situation import Plan, Procedure
from tasks.byhand.by_hand import COMMANDS
from tasks.byhand.by_hand import page as of_procedure
from tasks.byhand.by_hand_page import draw
from tasks.plan import summary
from tasks.records.loss import Exposure

WORDS: dict[str, tuple[str, str]] = {
    "title": ("{procedure} of {instance}", "{procedure} de {instance}"),
    "gone": ("{instance}: {recovery} is gone", "{instance}: {recovery} ha caído"),
    "at": ("measured at", "medido a las"),
    "origin": ("{origin} (origin)", "{origin} (origen)"),
    "recovery": ("{recovery} (recovery)", "{recovery} (respaldo)"),
    "loses": ("what would be lost", "qué se perdería"),
    "waits": ("commits wait for {recovery}", "los commits esperan a {recovery}"),
    "waits_wait": ("always, since {since}", "siempre, desde {since}"),
    "waits_go_on": (
        "since {since}; after {seconds:.0f} s without it they go on",
        "desde {since}; tras {seconds:.0f} s sin él siguen sin esperar",
    ),
    "waits_no": (
        "no: {origin} commits alone since {since}",
        "no: {origin} confirma sin esperar desde {since}",
    ),
    "lag": ("behind the origin", "retraso respecto al origen"),
    "documents": ("documents whose file is missing", "documentos cuyo archivo falta"),
    "not_copied": ("not copied, or not known", "no copiado, o no se conoce"),
    "drill": ("last drill or move", "último simulacro o traslado"),
    "rto": ("expected seconds until Odoo answers", "segundos previstos hasta que responda Odoo"),
    "way": ("how {origin} rejoins", "cómo se reincorpora {origin}"),
    "unknown": ("not known", "se desconoce"),
    "never": ("never", "nunca"),
    "refused": ("Refused as things are", "Rechazado tal como están las cosas"),
    "lacking": ("Lacking (the move goes on without it)", "Falta (el traslado sigue sin ello)"),
    "then": ("When that is fixed, the procedure is", "Cuando se arregle, el procedimiento es"),
    "lossless": ("nothing", "nada"),
    "waited": (
        (
            "nothing: every commit that was acknowledged had waited for this host (unless somebody "
            "released them at the origin by hand)"
        ),
        (
            "nada: todo commit confirmado había esperado al servidor de respaldo (salvo que "
            "alguien los liberase a mano en el origen)"
        ),
    ),
    "waited_until": (
        "nothing acknowledged before {after}, for until then commits waited for this host; ",
        "nada confirmado antes de {after}, pues hasta entonces los commits esperaban al respaldo; ",
    ),
    "bound": (
        ("at most the commits of the last {seconds:.1f} s (after {after}), {size}"),
        "como mucho los commits de los últimos {seconds:.1f} s (tras {after}), {size}",
    ),
    "ahead": (
        "at most the commits after {after} by the origin's clock, which is ahead, {size}",
        "como mucho los commits tras {after} del reloj del origen, que va adelantado, {size}",
    ),
    "boundless": (
        "an unknown number of commits, {size}",
        "un número desconocido de commits, {size}",
    ),
    "size": (
        "about {bytes} bytes of WAL at its usual rate",
        "unos {bytes} bytes de WAL a su ritmo habitual",
    ),
    "sizeless": ("an unknown amount of WAL", "una cantidad desconocida de WAL"),
}

# What has no meaning where the recovery host serves, or is gone.
UNSAID = {
    "recovery is gone": (
        "recovery",
        "loses",
        "waits",
        "lag",
        "documents",
        "not_copied",
        "drill",
        "rto",
    ),
    "failback": ("loses", "waits", "lag", "rto"),
    "switchover home": ("waits", "lag", "rto"),
}


def word(key: str, language: Language) -> str:
    english, spanish = WORDS[key]
    return english if language == "en" else spanish


def facts(plan: Plan, language: Language) -> dict[str, str]:
    """What was measured, as rows of a table; in English as whoever approves it reads it."""
    if language == "en":
        return summary.facts(plan)
    situation, unknown = plan.situation, word("unknown", language)
    rows = {
        "at": situation.at,
        "origin": situation.shut_out or situation.origin,
        "recovery": situation.recovery,
        "loses": loses(situation.exposure, language),
        "waits": _waits(plan, language),
        "lag": _lag(plan, unknown),
        "documents": unknown if situation.documents is None else str(situation.documents),
        "not_copied": "; ".join(situation.not_copied),
        "way": f"{situation.way}: {situation.why}" if situation.way else "",
        "drill": situation.last_drill or word("never", language),
        "rto": unknown
        if situation.predicted_seconds is None
        else f"{situation.predicted_seconds:.0f}",
    }
    for key in UNSAID.get(plan.procedure, ()):
        del rows[key]
    return {word(key, language).format(**plan.names): value for key, value in rows.items() if value}


def loses(exposure: Exposure, language: Language) -> str:
    """
    >>> print(loses(Exposure(False, 12.5, 4096, "03:00Z"), "es"))  # doctest: +NORMALIZE_WHITESPACE
    como mucho los commits de los últimos 12.5 s (tras 03:00Z), unos 4096 bytes de WAL a su ritmo
    habitual
    >>> loses(Exposure.none(), "en")
    'nothing'
    """
    if exposure.lossless:
        return word("lossless", language)
    if exposure.synchronous == "wait":
        return word("waited", language)
    size = word("sizeless" if exposure.about_bytes is None else "size", language)
    if not exposure.last_commit:
        bound = word("boundless", language)
    else:
        bound = word("ahead" if exposure.seconds is None else "bound", language)
    waited = word("waited_until", language) if exposure.synchronous else ""
    return (waited + bound).format(
        seconds=exposure.seconds, after=exposure.last_commit,
        size=size.format(bytes=exposure.about_bytes),
    )  # fmt: skip


def _waits(plan: Plan, language: Language) -> str:
    notice = plan.situation.notice
    if notice is None:
        return ""
    at = f"{datetime.fromtimestamp(notice.since, UTC):%Y-%m-%d %H:%M:%SZ}"
    key = f"waits_{notice.policy}" if notice.waits else "waits_no"
    return word(key, language).format(since=at, seconds=notice.seconds, **plan.names)


def _lag(plan: Plan, unknown: str) -> str:
    situation = plan.situation
    if situation.lag_bytes is None:
        return unknown
    seconds = f", {situation.lag_seconds:.1f} s" if situation.lag_seconds is not None else ""
    return f"{situation.lag_bytes} bytes{seconds}"


def page(plan: Plan, language: Language) -> str:
    """What was measured, and the page that somebody follows when nothing else is there."""
    measured = "\n".join(_measured(plan, language))
    return f"{measured}\n\n{by_hand(plan.procedure, plan.names, language)}"


def by_hand(procedure: Procedure, names: Mapping[str, str], language: Language) -> str:
    """The page that is kept: with all ways of a procedure, and nothing that was measured."""
    harmless = {key: plain(name, lines=True) for key, name in names.items()}
    command = COMMANDS.get(procedure, procedure)
    return draw(of_procedure(procedure, names), harmless, language, command=command)


def _measured(plan: Plan, language: Language) -> Iterator[str]:
    title = "gone" if plan.procedure == "recovery is gone" else "title"
    yield "# " + word(title, language).format(procedure=plan.procedure, **plan.names)
    yield from ("", "| | |", "|---|---|")
    yield from (
        f"| {markdown(name)} | {markdown(value)} |" for name, value in facts(plan, language).items()
    )
    if plan.situation.refusals:
        yield from ("", f"## {word('refused', language)}", "")
        yield from (
            f"- {markdown(' '.join(refusal.split(chr(10))))}" for refusal in plan.situation.refusals
        )
        yield from ("", f"{word('then', language)}:")
    if plan.situation.lacking:
        yield from ("", f"## {word('lacking', language)}", "")
        yield from (f"- {markdown(' '.join(each.split()))}" for each in plan.situation.lacking)
