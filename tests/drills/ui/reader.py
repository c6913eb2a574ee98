"""Who sits at the desk: their language, their screen, and what they have to read on it."""

from dataclasses import dataclass

from playwright.sync_api import ViewportSize


@dataclass(frozen=True)
class Reader:
    """What a page has to say in one language, literally; and on which screen it is read."""

    language: str
    screen: ViewportSize
    phone: bool
    approved: str
    reason: str
    type_name: str
    fail_over: str
    bring_back: str
    exposure: str
    will_then: str
    is_down: str
    wrong: str
    rejoins: str
    home: str
    show_site: str
    note_approval: str

    def __str__(self) -> str:
        return f"{self.language}-{'phone' if self.phone else 'desktop'}"


ENGLISH = Reader(
    language="en", screen={"width": 1400, "height": 1000}, phone=False,
    approved="Approved", reason="Reason", type_name="Type vps_",
    fail_over="fail vps_uno over to respaldo", bring_back="bring vps_uno back to uno",
    exposure=" before this plan", will_then="Relevo will then",
    is_down="uno is down and stays down",
    wrong="'vps_dos' was typed, and this plan is about vps_uno: type vps_uno",
    rejoins="how uno rejoins", home="vps_uno is back on uno",
    show_site="show vps_uno on nginx of respaldo",
    note_approval="note the approval of the failover of vps_uno",
)  # fmt: skip
SPANISH = Reader(
    language="es", screen={"width": 390, "height": 844}, phone=True,
    approved="Aprobado", reason="Motivo", type_name="Escriba vps_",
    fail_over="hacer failover de vps_uno a respaldo", bring_back="traer vps_uno de vuelta a uno",
    exposure=" antes de este plan", will_then="Después, Relevo",
    is_down="uno está caído y seguirá caído",
    wrong="se escribió 'vps_dos', y este plan es sobre vps_uno: escriba vps_uno",
    rejoins="cómo se reincorpora uno", home="vps_uno está de vuelta en uno",
    show_site="publicar vps_uno en nginx de respaldo",
    note_approval="anotar la aprobación de failover de vps_uno",
)  # fmt: skip
