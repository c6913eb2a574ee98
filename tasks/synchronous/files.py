"""The files by which commits at an origin wait for the recovery host."""

from pathlib import PurePosixPath

from tasks.postgres.postgresql_conf import quote

HEADER = """\
# Written and removed by Relevo: commits wait until the recovery host has them on its disk.
# By hand: relevo-synchronous-{instance}.service puts it back; see docs/synchronous.md.
"""


def names(instance: str) -> str:
    """The one standby that counts, by the name under which it streams.

    >>> names("vps_1")
    'FIRST 1 ("vps_1")'
    """
    return f'FIRST 1 ("{instance}")'


def settings(instance: str) -> str:
    """
    >>> print(settings("vps_1").splitlines()[-1])
    synchronous_standby_names = 'FIRST 1 ("vps_1")'
    """
    return HEADER.format(instance=instance) + (
        f"synchronous_commit = on\nsynchronous_standby_names = {quote(names(instance))}\n"
    )


def unit(*, instance: str, program: PurePosixPath, config: PurePosixPath) -> str:
    """
    >>> print(unit(instance="vps_1", program=PurePosixPath("/s"), config=PurePosixPath("/c")),
    ...     end="")
    [Unit]
    Description=Relevo: let commits of vps_1 wait for the recovery host, as its policy says
    <BLANKLINE>
    [Service]
    ExecStart=/s /c watch
    SyslogIdentifier=relevo_synchronous_vps_1
    Restart=always
    RestartSec=2
    <BLANKLINE>
    [Install]
    WantedBy=multi-user.target
    """
    return f"""\
[Unit]
Description=Relevo: let commits of {instance} wait for the recovery host, as its policy says

[Service]
ExecStart={program} {config} watch
SyslogIdentifier=relevo_synchronous_{instance}
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""
