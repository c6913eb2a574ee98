"""Whether the environment of the recovery host's Odoo has the packages that the origin's has.

The schedules bring sources and the list of packages, and only a build installs them: a module that
imports a new one would fail first in the night. Asked of the recovery host alone, and without
running any package.
"""

from pathlib import Path

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.build import freeze
from tasks.host import files

SHOWN = 10
SYSTEM = "system"
# Arguments: a venv. Prints its packages, or that it uses those of the system too.
LISTED = """
import glob, os, sys
from importlib import metadata
venv = sys.argv[1]
with open(os.path.join(venv, "pyvenv.cfg")) as cfg:
    if "include-system-site-packages = true" in cfg.read():
        print("system")
        sys.exit()
folders = glob.glob(os.path.join(venv, "lib", "python*", "site-packages"))
for each in metadata.distributions(path=folders):
    print("%s==%s" % (each.metadata["Name"], each.version))
"""
FROZEN = (Path(__file__).parents[1] / "programs" / "frozen.py").read_text()


def of_origin(instance: OdooInstance) -> str:
    """List the packages of the origin's Odoo, as pip freeze does."""
    origin = instance.origin
    argv = (str(origin.odoo.python), "-c", FROZEN)
    return origin.host.shell().run(argv, user=origin.odoo.user, timeout_seconds=120).stdout


def measure(instance: OdooInstance) -> list[str]:
    """Require each package of the origin's Odoo by name; name those of another version."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    argv = ("python3", "-I", "-S", "-c", LISTED, str(instance.directory / "venv"))
    output = shell.run(argv, user=recovery.odoo.user).stdout
    if output.strip() == SYSTEM:
        return ["Odoo uses those of the system"]
    wanted = files.read(shell, instance.directory / "requirements.txt")
    if lacking := freeze.missing(wanted, output, exact=False):
        raise Refused(
            f"Odoo of {instance.name} on {recovery} lacks Python packages that it has on "
            f"{instance.origin}: {_some(lacking)}",
            hint="run build-service, which installs them",
        )
    fine = f"all {len(freeze.parse(wanted))} of the origin are there"
    other = freeze.missing(wanted, output, exact=True)
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
