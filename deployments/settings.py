"""Where Relevo finds its inventory, and how its deployments are named to Prefect."""

import os
from pathlib import Path
from typing import get_args

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.names import Language

PLACES = (Path("inventory.yaml"), Path("/etc/relevo/inventory.yaml"))


class Settings(BaseSettings):
    """Settings from the environment: RELEVO_INVENTORY, _SECRETS, _WORK_POOL, _LOG_DIR and
    _LANGUAGE (of the shell; else that of the inventory).
    """

    model_config = SettingsConfigDict(env_prefix="RELEVO_", env_ignore_empty=True)

    inventory: Path | None = None
    secrets: Path | None = None
    work_pool: str = "relevo"
    log_dir: Path | None = None
    language: Language | None = None

    @field_validator("language", mode="before")
    @classmethod
    def _as_of_a_locale(cls, value: object) -> str | None:
        """Take es_AR.UTF-8 for es; what is neither language stops no failover."""
        short = str(value)[:2].lower()
        return short if short in get_args(Language) else None

    def inventory_path(self) -> Path:
        """The inventory that was named, or the first that is there."""
        return self.inventory or next((each for each in PLACES if each.exists()), PLACES[0])

    def logs(self) -> Path:
        """Where runs without a server are kept: root's in /var/log, a user's at home."""
        home = Path("~/.local/state/relevo").expanduser()
        return self.log_dir or (Path("/var/log/relevo/runs") if os.geteuid() == 0 else home)

    def secrets_path(self) -> Path:
        """The secrets that were named, or those beside the inventory."""
        return self.secrets or self.inventory_path().with_name("secrets.yaml")
