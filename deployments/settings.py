"""Where Relevo finds its inventory, and how its deployments are named to Prefect."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

PLACES = (Path("inventory.yaml"), Path("/etc/relevo/inventory.yaml"))


class Settings(BaseSettings):
    """Settings from the environment: RELEVO_INVENTORY, RELEVO_SECRETS, RELEVO_WORK_POOL."""

    model_config = SettingsConfigDict(env_prefix="RELEVO_")

    inventory: Path | None = None
    secrets: Path | None = None
    work_pool: str = "relevo"

    def inventory_path(self) -> Path:
        """The inventory that was named, or the first that is there."""
        return self.inventory or next((each for each in PLACES if each.exists()), PLACES[0])

    def secrets_path(self) -> Path:
        """The secrets that were named, or those beside the inventory."""
        return self.secrets or self.inventory_path().with_name("secrets.yaml")
