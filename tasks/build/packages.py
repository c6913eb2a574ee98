"""Whether the environment of the recovery host's Odoo has the packages that it needs.

The schedules bring sources and the list of packages, and only a build installs them: a module that
imports a new one would fail first in the night. And what a build has found there, an upgrade of
the host may take away. Asked of the recovery host alone, and without running any package.
"""

import re
from pathlib import Path

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.build import freeze
from tasks.build.trial import Tried
from tasks.host import files

SHOWN = 10
SYSTEM = "system"
USED = "imported"  # the file that names what Odoo imported when it was tried
MODULE, MOST = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}"), 1000
# Arguments: a venv, and modules. Prints the packages of the venv, or that it uses those of the
# system too; then which of the modules are in none of their folders.
LISTED = """
import glob, os, sys
from importlib import metadata
venv, *names = sys.argv[1:]
folders = glob.glob(os.path.join(venv, "lib", "python*", "site-packages"))
with open(os.path.join(venv, "pyvenv.cfg")) as cfg:
    shares = "include-system-site-packages = true" in cfg.read()
if shares:
    print("system")
    for where in ("/usr/lib", "/usr/local/lib"):
        folders += glob.glob(os.path.join(where, "python3*", "*-packages"))
else:
    for each in metadata.distributions(path=folders):
        print("%s==%s" % (each.metadata["Name"], each.version))
def there(name):
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path + ".py") or glob.glob(path + ".*so"):
            return True
        if glob.glob(os.path.join(path, "__init__.*")):
            return True
    return False
for name in names:
    if not there(name):
        print("lost " + name)
"""
LOST = "lost "
FROZEN = (Path(__file__).parents[1] / "programs" / "frozen.py").read_text()


def of_origin(instance: OdooInstance) -> str:
    """List the packages of the origin's Odoo, as pip freeze does."""
    origin = instance.origin
    argv = (str(origin.odoo.python), "-c", FROZEN)
    return origin.host.shell().run(argv, user=origin.odoo.user, timeout_seconds=120).stdout


def listed(tried: Tried) -> str:
    """What is written down of a trial, for later questions.

    >>> listed(Tried((), used=("lxml", "a b", "psycopg2")))
    'lxml\\npsycopg2\\n'
    """
    return "".join(f"{name}\n" for name in tried.used[:MOST] if MODULE.fullmatch(name))


def measure(instance: OdooInstance) -> list[str]:
    """Require each package of the origin's Odoo by name; name those of another version."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    used = files.read(shell, instance.directory / USED)
    venv = str(instance.directory / "venv")
    argv = ("python3", "-I", "-S", "-c", LISTED, venv, *used.split())
    lines = shell.run(argv, user=recovery.odoo.user).stdout.splitlines()
    _require_used(instance, [each.removeprefix(LOST) for each in lines if each.startswith(LOST)])
    has = [each for each in lines if not each.startswith(LOST)]
    if has != [SYSTEM]:
        return _compared(instance, "\n".join(has))
    said = "Odoo uses those of the system"
    if used:
        return [f"{said}; all {len(used.split())} that it imports are there"]
    return [said, "which of them Odoo needs is not known yet: run build-service, which notes it"]


def _require_used(instance: OdooInstance, lost: list[str]) -> None:
    if lost:
        raise Refused(
            f"Odoo of {instance.name} on {instance.recovery} has lost Python packages that it "
            f"imports: {_some(lost)}",
            hint=f"install them on {instance.recovery} again (Debian calls them python3-NAME), or "
            "run build-service, which installs those of the origin",
        )


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
