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


def follow(text: str, *, conninfo: str, slot: str) -> str:
    r"""Follow this leader through this slot; keep what ALTER SYSTEM had set besides.

    >>> own = "work_mem = '8MB'\nprimary_slot_name = 'old'\n"
    >>> print(follow(own, conninfo="host='a'", slot="s"))
    work_mem = '8MB'
    primary_conninfo = 'host=''a'''
    primary_slot_name = 's'
    <BLANKLINE>
    """
    lines = {"primary_conninfo": conninfo, "primary_slot_name": slot}
    return lead(text) + "".join(f"{name} = {quote(value)}\n" for name, value in lines.items())


def lead(text: str) -> str:
    r"""Follow nobody.

    >>> lead("primary_conninfo = 'x'\nwork_mem = '8MB'\n")
    "work_mem = '8MB'\n"
    """
    ours = re.compile(rf"\s*({'|'.join(OURS)})\s*=", re.IGNORECASE)
    return "".join(line for line in text.splitlines(keepends=True) if not ours.match(line))
