"""System users on the recovery host: each instance has two of its own, which no other one has.

One runs its Odoo, its copies and its builds; the other its PostgreSQL cluster. What a customer's
code or superuser can do there ends at what these two may do.
"""

import hashlib
from pathlib import PurePosixPath

# What the users of all instances were called before each had its own.
SHARED_CLUSTER_USER = "postgres"
SHARED_SOCKETS = PurePosixPath("/var/run/postgresql")
SOCKETS = PurePosixPath("/run/relevo-postgresql")
LONGEST = 32  # of Linux (useradd(8), "Caveats")
DIGEST = 8


def odoo_user(instance: str) -> str:
    """Name the system user that runs an instance's Odoo on the recovery host.

    >>> odoo_user("vps_1")
    'odoo_vps_1'
    """
    return _named("odoo", instance)


def cluster_user(instance: str) -> str:
    """Name the system user that an instance's cluster belongs to on the recovery host.

    >>> cluster_user("vps_1")
    'db_vps_1'
    >>> len(cluster_user("a" * 40)), cluster_user("a" * 40) == cluster_user("a" * 39)
    (32, False)
    """
    return _named("db", instance)


def sockets(instance: str, owner: str) -> PurePosixPath:
    """Name the folder of a cluster's socket: that of the shared user is Debian's.

    >>> sockets("vps_1", "db_vps_1"), sockets("vps_1", "postgres")
    (PurePosixPath('/run/relevo-postgresql/vps_1'), PurePosixPath('/var/run/postgresql'))
    """
    return SHARED_SOCKETS if owner == SHARED_CLUSTER_USER else SOCKETS / instance


def _named(prefix: str, instance: str) -> str:
    name = f"{prefix}_{instance}"
    if len(name) <= LONGEST:
        return name
    digest = hashlib.sha256(instance.encode()).hexdigest()[:DIGEST]
    return f"{name[: LONGEST - DIGEST - 1]}_{digest}"
