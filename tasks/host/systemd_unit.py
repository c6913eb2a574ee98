"""The units that Relevo writes, for what runs on the hosts."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from tasks.host import confine


def render(
    *,
    instance: str,
    user: str,
    cluster_unit: str,
    command: Sequence[str],
    environment: PurePosixPath,
    folder: PurePosixPath | None = None,
    properties: Sequence[str] = (),
) -> str:
    """
    >>> print(render(instance="vps_1", user="odoo_vps_1",
    ...     cluster_unit="postgresql@13-vps_1.service", properties=["PrivateTmp=yes"],
    ...     command=("/usr/bin/odoo", "-c", "/srv/vps_1/odoo.conf"),
    ...     environment=PurePosixPath("/srv/vps_1/environment")), end="")
    [Unit]
    Description=Odoo of vps_1, served by the recovery host
    After=network.target postgresql@13-vps_1.service
    Wants=postgresql@13-vps_1.service
    <BLANKLINE>
    [Service]
    Type=exec
    User=odoo_vps_1
    EnvironmentFile=-/srv/vps_1/environment
    ExecStart=/usr/bin/odoo -c /srv/vps_1/odoo.conf
    SyslogIdentifier=odoo_vps_1
    KillMode=mixed
    Restart=always
    RestartSec=3
    PrivateTmp=yes
    <BLANKLINE>
    [Install]
    WantedBy=multi-user.target
    """
    where = f"WorkingDirectory={folder}\n" if folder else ""
    return f"""\
[Unit]
Description=Odoo of {instance}, served by the recovery host
After=network.target {cluster_unit}
Wants={cluster_unit}

[Service]
Type=exec
User={user}
{where}EnvironmentFile=-{environment}
ExecStart={" ".join(command)}
SyslogIdentifier=odoo_{instance}
KillMode=mixed
Restart=always
RestartSec=3
{confine.section(properties)}
[Install]
WantedBy=multi-user.target
"""


def folder_of(unit: str) -> PurePosixPath | None:
    r"""Say in which folder a unit that was rendered here runs.

    >>> folder_of("[Service]\nWorkingDirectory=/srv/vps_1/home\n"), folder_of("")
    (PurePosixPath('/srv/vps_1/home'), None)
    """
    found = re.search(r"^WorkingDirectory=(/.*)$", unit, re.MULTILINE)
    return PurePosixPath(found[1]) if found else None


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


def cluster_drop_in(*, user: str, pid_file: PurePosixPath, properties: Sequence[str]) -> str:
    """
    >>> print(cluster_drop_in(user="db_vps_1", pid_file=PurePosixPath("/run/x/postmaster.pid"),
    ...     properties=["PrivateTmp=yes"]), end="")
    # Written by Relevo: this cluster is one customer's, and reaches nothing of another's.
    [Service]
    User=db_vps_1
    PIDFile=/run/x/postmaster.pid
    PrivateTmp=yes
    """
    return f"""\
# Written by Relevo: this cluster is one customer's, and reaches nothing of another's.
[Service]
User={user}
PIDFile={pid_file}
{confine.section(properties)}"""


def at_boot(path: PurePosixPath, log: PurePosixPath, owner: str, group: str) -> str:
    """
    >>> log = PurePosixPath("/var/log/postgresql/a.log")
    >>> folder = PurePosixPath("/run/relevo-postgresql/a")
    >>> print(at_boot(folder, log, "db_a", "odoo_a"), end="")
    # Written by Relevo: the socket and the log of a cluster that belongs to one customer.
    d /run/relevo-postgresql 0755 root root -
    d /run/relevo-postgresql/a 2750 db_a odoo_a -
    f /var/log/postgresql/a.log 0640 db_a adm -
    """
    return f"""\
# Written by Relevo: the socket and the log of a cluster that belongs to one customer.
d {path.parent} 0755 root root -
d {path} 2750 {owner} {group} -
f {log} 0640 {owner} adm -
"""


def door_socket(instance: str, *, address: str, port: int, peer: str) -> str:
    """
    >>> "ListenStream=10.0.0.9:5433" in door_socket("a", address="10.0.0.9", port=5433, peer="::1")
    True
    >>> "ListenStream=[::9]:5433" in door_socket("a", address="::9", port=5433, peer="::1")
    True
    """
    host = f"[{address}]" if ":" in address else address
    return f"""\
# Written by Relevo: by this door the origin of {instance} reaches its recovery cluster.
[Unit]
Description=Door to the PostgreSQL of {instance}, open while its origin follows

[Socket]
ListenStream={host}:{port}
FreeBind=yes
Accept=yes
MaxConnections=16
IPAddressDeny=any
IPAddressAllow={peer}

[Install]
WantedBy=sockets.target
"""


def door_service(instance: str, *, command: Sequence[str], properties: Sequence[str]) -> str:
    """
    >>> "DynamicUser=yes" in door_service("vps_1", command=["/proxy"], properties=[])
    True
    """
    return f"""\
# Written by Relevo: it hands what comes by the door to the cluster, and reads nothing of it.
[Unit]
Description=Door to the PostgreSQL of {instance}

[Service]
DynamicUser=yes
ExecStart={" ".join(command)}
StandardInput=socket
StandardError=journal
{confine.section(properties)}"""


def watcher(*, what: str, name: str, program: PurePosixPath, config: PurePosixPath) -> str:
    """
    >>> print(watcher(what="stop vps_1 here", name="relevo_guard_vps_1",
    ...     program=PurePosixPath("/g"), config=PurePosixPath("/c")), end="")
    [Unit]
    Description=Relevo: stop vps_1 here
    Wants=network-online.target
    StartLimitIntervalSec=0
    <BLANKLINE>
    [Service]
    ExecStart=/g /c watch
    SyslogIdentifier=relevo_guard_vps_1
    Restart=always
    RestartSec=2
    <BLANKLINE>
    [Install]
    WantedBy=multi-user.target
    """
    return f"""\
[Unit]
Description=Relevo: {what}
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart={program} {config} watch
SyslogIdentifier={name}
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""


def follower(
    *, name: str, user: str, log: PurePosixPath, command: Sequence[str], properties: Sequence[str]
) -> str:
    """
    >>> "Restart=always" in follower(name="relevo-follow-a", user="a", log=PurePosixPath("/l"),
    ...     command=["/p"], properties=[])
    True
    """
    return f"""\
# Written by Relevo: the files of the origin follow within a second.
[Unit]
Description=Filestores that {user} follows on this recovery host
After=network.target
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
RuntimeDirectory={name}
RuntimeDirectoryMode=0755
WorkingDirectory=/
Environment=LC_ALL=C
ExecStart={" ".join(command)}
StandardOutput=append:{log}
StandardError=append:{log}
Restart=always
RestartSec=5
{confine.section(properties)}
[Install]
WantedBy=multi-user.target
"""
