"""The files by which commits at an origin wait for the recovery host."""

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
