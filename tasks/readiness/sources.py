"""Whether the recovery host has the code that the origin's Odoo runs: addons are changed in place.

Asked of both hosts by rsync, as the copy would be made, and nothing is copied. What Python writes
by itself, and a log among the sources, are no code.
"""

from pathlib import PurePosixPath

from blocks.errors import Refused, Unreachable
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.filestore import key, rsync
from tasks.filestore.copies import CUT_OFF, SOME_LEFT, VANISHED

CODE = ("py", "xml", "csv", "js", "scss", "css")
CHANGED = ">f"  # as rsync says of a file whose content it would fetch
COMPARE_SECONDS = 60
NAMED = 5


def compare(source: str, target: PurePosixPath) -> rsync.Argv:
    """Name the files of code that differ in time or size, or are lacking; copy nothing.

    >>> " ".join(compare("vps_1:/opt/odoo/", PurePosixPath("/s/odoo"))[:4])
    'rsync -rtn --timeout=15 --out-format=%i %n'
    """
    wanted = (f"--include=*.{ending}" for ending in CODE)
    return (
        "rsync", "-rtn", f"--timeout={rsync.TIMEOUT_SECONDS}", "--out-format=%i %n",
        rsync.NO_LOST_AND_FOUND, "--exclude=.git/", "--include=*/", *wanted, "--exclude=*",
        source, f"{target}/",
    )  # fmt: skip


def changed(output: str) -> list[str]:
    r"""
    >>> changed(">f.st...... lab/models.py\n>f+++++++++ lab/a b.py\n.d..t...... lab/\n")
    ['lab/models.py', 'lab/a b.py']
    """
    pairs = (line.partition(" ") for line in output.splitlines())
    return [name for how, _, name in pairs if how.startswith(CHANGED)]


def measure(instance: OdooInstance) -> str:
    """Require the code of the origin's Odoo, as it is now."""
    origin, recovery = instance.origin, instance.recovery
    found = [
        str(source / name)
        for source in origin.odoo.sources
        for name in changed(_compared(instance, source))
    ]
    if found:
        named = plain(", ".join(found[:NAMED]))
        raise Refused(
            f"{len(found)} files of Odoo's code have changed on {origin} since {recovery} copied "
            f"them: {named}",
            hint="run rsync-filestore with kind sources, then build-service",
        )
    return "as they are at the origin"


def _compared(instance: OdooInstance, source: PurePosixPath) -> str:
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    program, *words = compare(f"{instance.name}:{source}/", instance.copied(source))
    argv = (program, *key.rsh(instance), *words)
    done = shell.run(argv, user=recovery.odoo.user, check=False, timeout_seconds=COMPARE_SECONDS)
    if done.status in CUT_OFF:
        raise Unreachable(
            f"the sources of {instance.origin} could not be compared: {done.tail}",
            hint=f"check that {recovery} reaches {instance.origin} by ssh, then run this again",
        )
    if done.status not in (*VANISHED, SOME_LEFT):
        raise shell.complaint(done)
    return done.stdout
