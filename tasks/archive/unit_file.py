"""The unit of an instance's time machine."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from tasks.host import confine


def render(
    *,
    instance: str,
    user: str,
    cluster_unit: str,
    command: Sequence[str],
    folder: PurePosixPath,
) -> str:
    """
    >>> text = render(instance="vps_1", user="db_vps_1", command=["/p", "keep", "/c"],
    ...     cluster_unit="postgresql@13-vps_1.service", folder=PurePosixPath("/v/archive"))
    >>> "ReadWritePaths=/v/archive" in text, "PrivateNetwork=yes" in text
    (True, True)
    """
    found = confine.properties(writes=(folder,), network=False)
    return f"""\
# Written by Relevo: base backups and WAL, from which any second can be brought back.
[Unit]
Description=Time machine of {instance}
After={cluster_unit}
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
WorkingDirectory=/
Environment=LC_ALL=C
ExecStart={" ".join(command)}
SyslogIdentifier=relevo_archive_{instance}
Nice=5
Restart=always
RestartSec=5
{confine.section(found)}
[Install]
WantedBy=multi-user.target
"""
