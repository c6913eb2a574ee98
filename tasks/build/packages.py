"""Whether the environment of the recovery host's Odoo has the packages that it needs.

The schedules bring sources and the list of packages, and only a build installs them: a module that
imports a new one would fail first in the night. And what a build has found there, an upgrade of
the host may take away: so its own Python imports it again by day. Asked of the recovery host alone.
"""

import re
from pathlib import Path, PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.build import freeze, imported
from tasks.build.trial import Tried
from tasks.host import files
from tasks.run.step import log

SHOWN = 10
USED = "imported"  # the file that names what Odoo imported when it was tried
PART = r"[A-Za-z_][A-Za-z0-9_]{0,59}"
MODULE, LONGEST, MOST = re.compile(rf"{PART}(?:\.{PART})*"), 100, 1000
FROZEN = (Path(__file__).parents[1] / "programs" / "frozen.py").read_text()


def of_origin(instance: OdooInstance) -> str:
    """List the packages of the origin's Odoo, as pip freeze does."""
    origin = instance.origin
    argv = (str(origin.odoo.python), "-c", FROZEN)
    return origin.host.shell().run(argv, user=origin.odoo.user, timeout_seconds=120).stdout


def listed(tried: Tried) -> list[str]:
    """What is known by name of all that was imported in a trial.

    >>> listed(Tried((), used=("lxml", "a b", "psycopg2", "psycopg2._psycopg")))
    ['lxml', 'psycopg2', 'psycopg2._psycopg']
    """
    names = [name for name in tried.used if len(name) <= LONGEST and MODULE.fullmatch(name)]
    return names[:MOST]


def noted(instance: OdooInstance, environment: PurePosixPath, tried: Tried) -> str:
    """What is written down of a trial, for later questions: what can be imported by itself too."""
    names = listed(tried)
    said = imported.ask(instance, environment, names)
    if said.died:
        log().warning("what Odoo of %s imports is not noted: %s", instance.name, said.died)
        return ""
    return "".join(f"{name}\n" for name in names if name not in said.lost)


def used(instance: OdooInstance) -> list[str]:
    """Name the modules that Odoo imported when it was tried; none before a build of today."""
    return files.read(instance.recovery.host.shell(), instance.directory / USED).split()


def measure(instance: OdooInstance) -> list[str]:
    """Require what Odoo imports, and each package of the origin's; name those of another version.

    Its own Python is asked, as the night will: it runs apart, as the user of its Odoo.
    """
    names = used(instance)
    said = imported.ask(instance, instance.directory / "venv", names)
    imported.require(instance, said)
    if not said.shares:
        return _compared(instance, said.packages)
    system = "Odoo uses those of the system"
    if names:
        return [f"{system}; all {len(names)} that it imports are there"]
    return [system, "which of them Odoo needs is not known yet: run build-service, which notes it"]


def _compared(instance: OdooInstance, has: str) -> list[str]:
    """Hold the packages of an environment of its own against the list of the origin's."""
    recovery = instance.recovery
    wanted = files.read(recovery.host.shell(), instance.directory / "requirements.txt")
    if lacking := freeze.missing(wanted, has, exact=False):
        raise Refused(
            f"Odoo of {instance.name} on {recovery} lacks Python packages that it has on "
            f"{instance.origin}: {_some(lacking)}",
            hint="run build-service, which installs them",
        )
    fine = f"all {len(freeze.parse(wanted))} of the origin are there"
    other = freeze.missing(wanted, has, exact=True)
    if not other:
        return [fine]
    remark = (
        f"{instance.origin} has other versions of Python packages of Odoo: {_some(other)}; run "
        "build-service"
    )
    return [fine, remark]


def _some(packages: list[str]) -> str:
    more = f" and {len(packages) - SHOWN} more" if len(packages) > SHOWN else ""
    return plain(", ".join(packages[:SHOWN])) + more
