"""The procedures as a person would do them by hand, in English and Spanish.

Each step: where, what (in both languages), and the commands, whose holes are the plan's names.
Commands are typed as root on the server that the step names; what they do in a folder that is
another user's, they do as that user.
"""

from collections.abc import Mapping
from dataclasses import replace

from tasks.byhand.by_hand_gone import (
    BEFORE_IT_BOOTS,
    CLOSE_FILES,
    FILES_HOME,
    POWER_OFF,
    PUT_BACK,
    REPLICATE_AGAIN,
    SEE_WHAT_IS_LOST,
    SERVE_AT_ORIGIN,
    START_ORIGIN,
)
from tasks.byhand.by_hand_home import (
    CAUGHT_UP,
    CLOSE_RECOVERY,
    COMPARE_BACK,
    DNS_TO_ORIGIN,
    FILES_BACK,
    FOLLOW_AGAIN,
    GUARD_OUT,
    HIDE_SITE,
    OPEN_FILES,
    OPEN_FILES_AGAIN,
    PROMOTE_ORIGIN,
    RESUME,
    SERVE_ON_THERE,
)
from tasks.byhand.by_hand_out import (
    ANSWERS,
    COMPARE,
    DNS_TO_RECOVERY,
    FENCE,
    KEEP_DOWN,
    LAST_FILES,
    PAUSE,
    PROMOTE,
    RAISE_LIMITS,
    READY,
    SEE_LOSS,
    SERVE_ON,
    SHOW_SITE,
    START_ODOO,
    STOP_ODOO_AT_ORIGIN,
    STOP_ORIGIN,
    WAKE,
)
from tasks.byhand.by_hand_page import Page, Part
from tasks.byhand.by_hand_rejoin import (
    BEFORE_BOOT,
    CLONE,
    CLONE_INSTEAD,
    FOLLOW,
    HOLD_ORIGIN,
    KEEP_ASIDE,
    MAKE_ANEW,
    PREPARE_LEADER,
    PRINT_PASSWORDS,
    REWIND,
    WRITE_PASSWORDS,
)
from tasks.byhand.by_hand_step import Step
from tasks.byhand.by_hand_way import CHOOSE, TELL

# What has no meaning for an instance that has no domains in the inventory.
OF_DOMAINS = (SHOW_SITE, HIDE_SITE, DNS_TO_RECOVERY, DNS_TO_ORIGIN)
SHOW = (PROMOTE, START_ODOO, SHOW_SITE, DNS_TO_RECOVERY)
SERVE = (*SHOW, KEEP_DOWN)
GIVE = (READY, PAUSE, STOP_ODOO_AT_ORIGIN, LAST_FILES, STOP_ORIGIN, COMPARE, SERVE_ON)
FORCED = (FENCE, SEE_LOSS, RAISE_LIMITS, PAUSE)
REJOIN = {
    "follow": (FOLLOW,),
    "rewind": (KEEP_ASIDE, REWIND, CLONE_INSTEAD, FOLLOW),
    "reclone": (MAKE_ANEW, PRINT_PASSWORDS, WRITE_PASSWORDS, CLONE, FOLLOW),
}
HELD = (HOLD_ORIGIN, PREPARE_LEADER)
HAND_OVER = (
    OPEN_FILES,
    FILES_BACK,
    CAUGHT_UP,
    OPEN_FILES_AGAIN,
    CLOSE_RECOVERY,
    COMPARE_BACK,
    SERVE_ON_THERE,
    GUARD_OUT,
    PROMOTE_ORIGIN,
    DNS_TO_ORIGIN,
    HIDE_SITE,
    FOLLOW_AGAIN,
    RESUME,
)
GONE = (
    POWER_OFF, GUARD_OUT, PUT_BACK, START_ORIGIN, SEE_WHAT_IS_LOST, SERVE_AT_ORIGIN, DNS_TO_ORIGIN,
    BEFORE_IT_BOOTS, OPEN_FILES, FILES_HOME, CLOSE_FILES, REPLICATE_AGAIN,
)  # fmt: skip

FAILOVER = Page(
    "{instance}: failover by hand",
    "{instance}: failover a mano",
    (
        Part(
            "Which way",
            "Qué camino",
            (ANSWERS,),
            how_en="If this block prints t, take way A; if you cannot log in to {origin}, or it "
            "prints anything else, take way B. Way C is for customers who were served from "
            "{recovery} already.",
            how_es="Si este bloque responde t, siga el camino A; si no puede entrar en {origin}, o "
            "responde otra cosa, siga el camino B. El camino C es para clientes que ya se atendían "
            "desde {recovery}.",
        ),
        Part("The origin answers", "El origen responde", (*GIVE, *SERVE), "A"),
        Part(
            "The origin does not answer", "El origen no responde", (*FORCED, *SERVE), "B",
            "What {origin} had not yet sent to {recovery} is lost.",
            "Se pierde lo que {origin} todavía no había enviado a {recovery}.",
        ),
        Part(
            "{recovery} served already, and is down",
            "{recovery} ya atendía, y está detenido",
            (FENCE, WAKE, START_ODOO, SHOW_SITE, DNS_TO_RECOVERY, KEEP_DOWN),
            "C",
        ),
    ),
)  # fmt: skip
FAILBACK = Page(
    "{instance}: failback by hand",
    "{instance}: failback a mano",
    (
        Part(
            "First, for every way",
            "Primero, para cualquier camino",
            (BEFORE_BOOT, *HELD, TELL, CHOOSE),
            how_en="{origin} is repaired, and {recovery} serves. The last of these steps prints "
            "the letter of the way to take: A, B or C.",
            how_es="{origin} está reparado y {recovery} atiende. El último de estos pasos imprime "
            "la letra del camino: A, B o C.",
        ),
        Part(
            "Follow", "Seguir", REJOIN["follow"], "A",
            "{origin} has nothing that {recovery} lacks.",
            "{origin} no tiene nada que le falte a {recovery}.",
        ),
        Part(
            "Rewind", "Rebobinar (pg_rewind)", REJOIN["rewind"], "B",
            "{origin} has written what {recovery} never had. It is kept, and taken back.",
            "{origin} escribió algo que {recovery} nunca tuvo. Se guarda, y se deshace.",
        ),
        Part(
            "Clone", "Clonar", REJOIN["reclone"], "C",
            "{origin} cannot be used as it is, was wiped, or is another cluster.",
            "{origin} no sirve como está, fue borrado, o es otro clúster.",
        ),
        Part("Then, for every way", "Después, para cualquier camino", HAND_OVER),
    ),
)  # fmt: skip
SWITCHOVER = Page(
    "{instance}: switchover by hand",
    "{instance}: switchover a mano",
    (
        Part(
            "Move the customers",
            "Traslade a los clientes",
            (ANSWERS, *GIVE, *SHOW, PREPARE_LEADER, FOLLOW),
            how_en="Go on only if the first block prints t.",
            how_es="Siga solo si el primer bloque responde t.",
        ),
    ),
)
SWITCHOVER_HOME = Page(
    "{instance}: switchover home by hand",
    "{instance}: switchover de vuelta a mano",
    (Part("Bring the customers home", "Traiga a los clientes de vuelta", HAND_OVER),),
)
RECOVERY_IS_GONE = Page(
    "{instance}: {recovery} is gone",
    "{instance}: {recovery} ha caído",
    (Part("Serve from {origin}", "Atienda desde {origin}", GONE),),
)
PAGES = {
    "failover": FAILOVER,
    "failback": FAILBACK,
    "switchover": SWITCHOVER,
    "switchover home": SWITCHOVER_HOME,
    "recovery is gone": RECOVERY_IS_GONE,
}
# How Relevo does the same; without the recovery host it cannot.
COMMANDS = {"switchover home": "switchover", "recovery is gone": ""}


def fitting(steps: tuple[Step, ...], names: Mapping[str, str]) -> tuple[Step, ...]:
    """Leave out what has no meaning for an instance without domains."""
    return steps if names["domains"] else tuple(each for each in steps if each not in OF_DOMAINS)


def page(procedure: str, names: Mapping[str, str]) -> Page:
    """Give the page of a procedure, for an instance of these names."""
    whole = PAGES[procedure]
    parts = (replace(part, steps=fitting(part.steps, names)) for part in whole.parts)
    return replace(whole, parts=tuple(parts))
