"""postgresql.auto.conf of a standby.

pg_rewind and pg_basebackup copy the leader's, which would point the node at itself or at nobody.
"""

import re

from tasks.text.postgresql_conf import quote

OURS = (
    "primary_conninfo",
    "primary_slot_name",
    "restore_command",
    "recovery_target",
    "recovery_target_timeline",
    "recovery_target_action",
)


def follow(text: str, *, conninfo: str, slot: str, waits: bool = True) -> str:
    r"""Follow this leader through this slot; keep what ALTER SYSTEM had set besides.

    One that does not wait for standbys of its own must not inherit their names from its leader:
    promoted, it would let every commit wait for nobody.

    >>> own = "work_mem = '8MB'\nprimary_slot_name = 'old'\n"
    >>> print(follow(own, conninfo="host='a'", slot="s"))
    work_mem = '8MB'
    primary_conninfo = 'host=''a'''
    primary_slot_name = 's'
    <BLANKLINE>
    >>> names = "synchronous_standby_names = 'x'\n"
    >>> names in follow(names, conninfo="", slot="")
    True
    >>> names in follow(names, conninfo="", slot="", waits=False)
    False
    """
    if not waits:
        text = _without(text, ("synchronous_standby_names",))
    lines = {"primary_conninfo": conninfo, "primary_slot_name": slot}
    return lead(text) + "".join(f"{name} = {quote(value)}\n" for name, value in lines.items())


def lead(text: str) -> str:
    r"""Follow nobody.

    >>> lead("primary_conninfo = 'x'\nwork_mem = '8MB'\n")
    "work_mem = '8MB'\n"
    """
    return _without(text, OURS)


def _without(text: str, names: tuple[str, ...]) -> str:
    named = re.compile(rf"\s*({'|'.join(names)})\s*=", re.IGNORECASE)
    return "".join(line for line in text.splitlines(keepends=True) if not named.match(line))
