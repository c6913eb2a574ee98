"""The unit that runs an instance on the recovery host."""

from collections.abc import Sequence
from pathlib import PurePosixPath


def render(*, instance: str, user: str, cluster_unit: str, command: Sequence[str]) -> str:
    """
    >>> print(render(instance="vps_1", user="odoouser", cluster_unit="postgresql@13-vps_1.service",
    ...     command=("/usr/bin/odoo", "-c", "/srv/vps_1/odoo.conf")), end="")
    [Unit]
    Description=Odoo of vps_1, served by the recovery host
    After=network.target postgresql@13-vps_1.service
    Wants=postgresql@13-vps_1.service
    <BLANKLINE>
    [Service]
    Type=exec
    User=odoouser
    ExecStart=/usr/bin/odoo -c /srv/vps_1/odoo.conf
    SyslogIdentifier=odoo_vps_1
    KillMode=mixed
    Restart=always
    RestartSec=3
    <BLANKLINE>
    [Install]
    WantedBy=multi-user.target
    """
    return f"""\
[Unit]
Description=Odoo of {instance}, served by the recovery host
After=network.target {cluster_unit}
Wants={cluster_unit}

[Service]
Type=exec
User={user}
ExecStart={" ".join(command)}
SyslogIdentifier=odoo_{instance}
KillMode=mixed
Restart=always
RestartSec=3

[Install]
WantedBy=multi-user.target
"""


def before_start(program: PurePosixPath, data_directory: PurePosixPath, *, owner: str) -> str:
    """
    >>> print(before_start(PurePosixPath("/p"), PurePosixPath("/d"), owner="postgres"), end="")
    # Written by Relevo: a number that a power cut has left keeps no cluster down.
    [Service]
    ExecStartPre=-+/sbin/runuser -u postgres -- /p /d
    """
    return f"""\
# Written by Relevo: a number that a power cut has left keeps no cluster down.
[Service]
ExecStartPre=-+/sbin/runuser -u {owner} -- {program} {data_directory}
"""
