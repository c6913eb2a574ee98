"""Who may connect to a cluster for replication, and as whom Odoo may."""

from ipaddress import ip_address


def replication(*, user: str, rewind_user: str, peer: str) -> str:
    """Admit the two roles from the one other server, over TLS only.

    >>> lines = replication(user="replica_user", rewind_user="replica_rewind", peer="10.0.0.9")
    >>> print(lines, end="")
    hostssl replication replica_user 10.0.0.9/32 scram-sha-256
    hostssl postgres replica_rewind 10.0.0.9/32 scram-sha-256
    """
    address = ip_address(peer)
    network = f"{address}/{address.max_prefixlen}"
    return (
        f"hostssl replication {user} {network} scram-sha-256\n"
        f"hostssl postgres {rewind_user} {network} scram-sha-256\n"
    )


def odoo_map(*, map_name: str, role: str) -> str:
    """Let a system user be Odoo's database role on the cluster's own socket.

    >>> print(odoo_map(map_name="relevo", role="odoo"), end="")
    local all odoo peer map=relevo
    """
    return f"local all {role} peer map={map_name}\n"


def superuser_map(*, map_name: str) -> str:
    """Let the cluster's own system user be its superuser, and clone it for a drill.

    >>> print(superuser_map(map_name="relevo"), end="")
    local all postgres peer map=relevo
    local replication postgres peer map=relevo
    """
    return "".join(
        f"local {database} postgres peer map={map_name}\n" for database in ("all", "replication")
    )


def nobody_else() -> str:
    """Let nobody in over the network by a line that stands below, as Debian's for loopback does.

    All users of a host may speak to its loopback, and a customer's role may have any password.

    >>> print(nobody_else(), end="")
    host all all all reject
    host replication all all reject
    """
    lines = (("host", database, "all", "all", "reject") for database in ("all", "replication"))
    return "".join(" ".join(words) + "\n" for words in lines)


def ident(*, map_name: str, system_user: str, role: str) -> str:
    """
    >>> print(ident(map_name="relevo", system_user="odoo_vps_1", role="odoo"), end="")
    relevo odoo_vps_1 odoo
    """
    return f"{map_name} {system_user} {role}\n"
