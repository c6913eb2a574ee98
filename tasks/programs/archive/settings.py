"""What the keeper has to know of an instance: one file, written by Relevo."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from ..bounded import read_text

DAY = 86400.0


@dataclass(frozen=True)
class Settings:
    """Where an instance's cluster is, where its past is kept, and how much of it."""

    instance: str
    socket: str
    port: int
    bin: str
    version: int
    options: str
    folder: str
    days: int
    base_days: int
    limit_bytes: int
    alarm_rows: int = 0
    alarm_share: float = 1.0

    @property
    def wal(self) -> str:
        return f"{self.folder}/wal"

    @property
    def bases(self) -> str:
        return f"{self.folder}/base"

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def read(path: str) -> Settings:
    """Read the settings; pass over what another release had in them besides."""
    facts = json.loads(read_text(path))
    known = {each.name for each in fields(Settings)}
    return Settings(**{name: value for name, value in facts.items() if name in known})
