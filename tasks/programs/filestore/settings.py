"""What the engine has to know of an instance: one file, written by Relevo."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from ..bounded import read_text
from .trouble import Trouble


@dataclass(frozen=True)
class Settings:
    """Where an instance's cluster and files are, and what may happen to them."""

    instance: str
    origin: str
    socket: str
    port: int
    role: str
    filestore: str
    work: str
    trash: str
    channel: tuple[str, ...]
    grace_seconds: float = 86400.0
    max_deleted_share: float = 0.1
    scrub_days: int = 30
    scrub_bytes_per_second: float = 50e6

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def read(path: str) -> Settings:
    """Read the settings of one instance; pass over what another release had in them besides."""
    try:
        facts = json.loads(read_text(path))
        known = {each.name: facts[each.name] for each in fields(Settings) if each.name in facts}
        return Settings(**{**known, "channel": tuple(facts["channel"])})
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Trouble(f"{path} cannot be read: {error}", "run rsync-filestore once") from error
