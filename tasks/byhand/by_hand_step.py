"""A step that a person does by hand, and the commands of which many of them are made."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "es"]
Where = Literal["origin", "recovery", "Prefect", "DNS", "you"]


@dataclass(frozen=True)
class Step:
    """One step of a procedure."""

    where: Where
    en: str
    es: str
    commands: tuple[str, ...] = ()

    def said(self, language: Language) -> str:
        return self.en if language == "en" else self.es


def ask(place: str, sql: str) -> str:
    psql = f"psql --cluster {{{place}_cluster}} -U postgres -d postgres"
    return f'runuser -u {{{place}_owner}} -- {psql} -XAtc "{sql}"'


def as_owner(place: str) -> str:
    """As the user whom a cluster's files belong to."""
    return f"runuser -u {{{place}_owner}} -- "


def at_boot(place: str, how: str) -> str:
    return f"echo {how} | {{{place}_configured}}tee {{{place}_config}}/start.conf"


def state(place: str) -> str:
    return (
        f"{as_owner(place)}{{{place}_bin}}/pg_controldata -D {{{place}_directory}} | "
        "grep -E 'state|checkpoint location'"
    )


def follows(place: str, leader: str) -> tuple[str, ...]:
    """Write the signal file and the connection of a standby."""
    return (
        f"{as_owner(place)}install -m 600 /dev/null {{{place}_directory}}/standby.signal",
        (
            f'printf "%s\\n" "primary_conninfo = \'{{{leader}}} application_name={{instance}}\'" '
            "\"primary_slot_name = '{instance}'\" | "
            f"{as_owner(place)}tee -a {{{place}_directory}}/postgresql.auto.conf"
        ),
    )


def wait_for(port: str) -> str:
    return (
        "curl -sS --retry 60 --retry-delay 1 --retry-connrefused -o /dev/null "
        f"-w '%{{{{http_code}}}}\\n' http://127.0.0.1:{port}/web/login   # 200 or 303"
    )
