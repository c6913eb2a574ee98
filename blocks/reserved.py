"""Names that no new instance gets: on a server its own would have the names of others'.

Units begin with them (relevo-door-NAME, relevo-NAME-filestore), and nginx knows the second port of
an Odoo as odoo_NAME_longpolling. An instance that has such a name keeps it until it is renamed.
"""

BEGINNINGS = ("door", "follow", "guard", "synchronous")
END = "_longpolling"


def is_reserved(name: str) -> bool:
    """Tell whether an instance of this name would share names with others on a server.

    >>> is_reserved("door"), is_reserved("vps_longpolling"), is_reserved("doors")
    (True, True, False)
    """
    return name in BEGINNINGS or name.endswith(END)


def sentence(name: str) -> str:
    """Say why."""
    return f"the name {name} is one that Relevo uses itself on the servers"
