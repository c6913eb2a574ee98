"""What systemd lets a process of an instance reach: its own files, and the network if it needs it.

Each property is one of systemd.exec(5) or systemd.resource-control(5), known to systemd 245
(Ubuntu 20.04) and later: systemd-run refuses those that it does not know.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

# No privilege is ever gained, and none of the machine's own knobs are there to be turned.
ALWAYS = (
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "UMask=0027",
)
# What only a process that never mounts anything can do without.
UNPRIVILEGED = (
    "CapabilityBoundingSet=",
    "RestrictNamespaces=yes",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
    "SystemCallFilter=@chown",  # among its own groups alone
)
# The overlay of a drill is mounted before root is given up for good.
MOUNTING = (
    (
        "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_CHOWN "
        "CAP_DAC_OVERRIDE CAP_FOWNER"
    ),
    "SystemCallFilter=@system-service @mount",
)
# One instance may not take the whole machine from the others.
MEMORY, TASKS = "60%", 2048
# At which services listen; the ports above are those that a kernel gives out by itself.
OF_SERVICES = "1-32767"
HOMES = ("/home", "/root", "/run/user")


def job() -> tuple[str, ...]:
    """List what systemd is told of a long command that works as an instance's own user.

    Where it may write is said by that user's rights.
    """
    return (*ALWAYS, *UNPRIVILEGED, "ProtectSystem=full", f"TasksMax={TASKS}")


def properties(
    *,
    writes: Sequence[PurePosixPath] = (),
    network: bool = True,
    peers: Sequence[str] = (),
    mounts: bool = False,
    hidden: Sequence[PurePosixPath] = (),
) -> tuple[str, ...]:
    """List what systemd is told of a process that may write below these folders alone.

    `peers` are the only addresses, besides loopback, that it may speak to; none means all.
    `hidden` are folders that it does not even see.

    >>> found = properties(writes=[PurePosixPath("/srv/vps_1/data")], network=False)
    >>> "ReadWritePaths=/srv/vps_1/data" in found, "PrivateNetwork=yes" in found
    (True, True)
    >>> "ProtectHome=read-only" in properties(writes=[PurePosixPath("/home/relevo/vps_1")])
    True
    """
    at_home = any(str(path).startswith(HOMES) for path in writes)
    return (
        *ALWAYS,
        *(MOUNTING if mounts else UNPRIVILEGED),
        "ProtectSystem=strict",
        f"ProtectHome={'read-only' if at_home else 'yes'}",
        *(f"ReadWritePaths={path}" for path in writes),
        *(f"InaccessiblePaths=-{path}" for path in hidden),
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        *(() if network else ("PrivateNetwork=yes",)),
        *(_only(peers) if peers else ()),
        f"MemoryMax={MEMORY}",
        f"TasksMax={TASKS}",
    )


def _only(peers: Sequence[str]) -> tuple[str, str]:
    return "IPAddressDeny=any", f"IPAddressAllow={' '.join(('localhost', *peers))}"


def only_port(port: int) -> tuple[str, str]:
    """List what a unit's file says of a service that may listen at one port, and at no other's.

    systemd knows it since release 249, and passes over it in a file before that; it does nothing
    on a kernel without BPF.

    >>> only_port(5433)
    ('SocketBindAllow=5433', 'SocketBindDeny=1-32767')
    """
    return f"SocketBindAllow={port}", f"SocketBindDeny={OF_SERVICES}"


def section(found: Sequence[str]) -> str:
    """Write properties as lines of a unit's [Service].

    >>> print(section(["PrivateTmp=yes"]), end="")
    PrivateTmp=yes
    """
    return "".join(f"{each}\n" for each in found)


def options(found: Sequence[str]) -> tuple[str, ...]:
    """Write properties as options of systemd-run.

    >>> options(["PrivateTmp=yes"])
    ('--property=PrivateTmp=yes',)
    """
    return tuple(f"--property={each}" for each in found)
