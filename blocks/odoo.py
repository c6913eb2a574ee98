"""Odoo as it runs on one server."""

from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from blocks.names import AbsolutePath, Listed, Port, UnitName, UserName


class Odoo(BaseModel):
    """One Odoo service: its unit, its user, its files and its ports."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: UnitName = Field(default="odoo.service", description="The systemd unit.")
    user: UserName = Field(default="odoo", description="The user that runs Odoo.")
    config: AbsolutePath = Field(
        default=PurePosixPath("/etc/odoo/odoo.conf"), description="Odoo's configuration file."
    )
    data_dir: AbsolutePath = Field(
        default=PurePosixPath("/var/lib/odoo/.local/share/Odoo"),
        description="Odoo's data_dir: filestore, sessions, addons.",
    )
    sources: Listed[AbsolutePath] = Field(
        default=(), description="Folders with modules and sources that have to be copied."
    )
    program: AbsolutePath = Field(
        default=PurePosixPath("/usr/bin/odoo"), description="odoo, or odoo-bin in the sources."
    )
    python: AbsolutePath = Field(
        default=PurePosixPath("/usr/bin/python3"),
        description="The interpreter of Odoo; one in a venv when Odoo has its own.",
    )
    http_port: Port = Field(default=8069, description="Odoo's http_port.")
    longpolling_port: Port = Field(default=8072, description="gevent_port or longpolling_port.")
