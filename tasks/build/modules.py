"""The modules that customers have installed, and whether the recovery host has them."""

import re

from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.host import files
from tasks.odoo import customers, odoo_conf
from tasks.run.step import log, step

INSTALLED = "SELECT name FROM public.ir_module_module WHERE state IN ('installed', 'to upgrade')"
MODULE = re.compile(r"[A-Za-z0-9_]{1,100}")
SHOWN = 20  # by name
# Arguments: Odoo's program, the folders of odoo.conf, data_dir, a venv, and modules. Prints those
# that are in none of them. Runs nothing of the customer's.
ABSENT = """
import glob, importlib.util, os, sys
program, given, data, venv, names = sys.argv[1:]
sys.path += [os.path.dirname(program), "/usr/lib/python3/dist-packages"]
sys.path += glob.glob(os.path.join(venv, "lib", "python*", "site-packages"))
spec = importlib.util.find_spec("odoo")
folders = [each.strip() for each in given.split(",") if each.strip()]
for root in spec.submodule_search_locations or () if spec else ():
    folders += [os.path.join(root, "addons"), os.path.join(root, "..", "addons")]
folders += glob.glob(os.path.join(data, "addons", "*"))
for name in names.split(","):
    paths = (os.path.join(each, name, m) for each in folders
             for m in ("__manifest__.py", "__openerp__.py"))
    if not any(map(os.path.isfile, paths)):
        print(name)
"""


def installed(instance: OdooInstance) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The databases in which each module is installed, and why others cannot be asked."""
    found = customers.odoo(instance.recovery)
    said = customers.each(found.databases, INSTALLED)
    where: dict[str, list[str]] = {}
    for database, rows in sorted(said.rows.items()):
        for row in rows:
            where.setdefault(str(row["name"]), []).append(database)
    return where, {**found.barred, **said.barred}


def to_load(instance: OdooInstance) -> tuple[str, ...]:
    """Name the modules that Odoo has to load; refuse where there are none at all."""
    where, barred = installed(instance)
    recovery = instance.recovery
    if barred:
        log().warning("not tried on %s: %s", recovery, "; ".join(barred.values()))
    names = tuple(sorted(name for name in where if MODULE.fullmatch(name)))
    if odd := sorted(set(where) - {*names}):
        log().warning(
            "%d modules of %s are not tried, for no folder of Odoo's has such a name: %s",
            len(odd), instance.name, "; ".join(map(plain, odd[:SHOWN])),
        )  # fmt: skip
    if not names:
        why = f" that can be asked ({'; '.join(barred.values())})" if barred else ""
        raise Refused(
            f"the cluster of {instance.name} on {recovery} has no database of Odoo{why}",
            hint="check that basebackup has run and that postgres.name is right",
        )
    return names


def absent(instance: OdooInstance) -> dict[str, list[str]]:
    """The installed modules that the recovery host has not, and in which databases they are."""
    where, _ = installed(instance)
    names = sorted(name for name in where if MODULE.fullmatch(name))
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    if not names:
        return {}
    conf = files.read(shell, recovery.odoo.config)
    argv = (
        "python3", "-I", "-S", "-c", ABSENT, str(instance.copied(instance.origin.odoo.program)),
        odoo_conf.value(conf, "addons_path"), str(recovery.odoo.data_dir),
        str(instance.directory / "venv"), ",".join(names),
    )  # fmt: skip
    lines = shell.run(argv, user=recovery.odoo.user).stdout.splitlines()
    return {name: where[name] for name in lines if name in where}


def sentence(lacking: dict[str, list[str]]) -> str:
    """
    >>> sentence({"lab_notes": ["cliente1", "cliente2"], "x": ["cliente1"]})
    'lab_notes (cliente1, cliente2), x (cliente1)'
    """
    shown = [plain(f"{name} ({', '.join(where[:SHOWN])})") for name, where in list(lacking.items())]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more


def measure(instance: OdooInstance) -> str:
    """Require every module that a database has installed."""
    if lacking := absent(instance):
        raise Refused(
            f"{instance.recovery} lacks modules that customers have installed: {sentence(lacking)}",
            hint="run rsync-filestore with kind sources, then build-service; list a new folder of "
            "modules in odoo.sources",
        )
    return "all that are installed are there"


@step("see which modules of {instance.name} are missing")
def missing(instance: OdooInstance) -> str:
    """Say for the report what customers will miss; nothing when all is there."""
    try:
        return sentence(absent(instance)) or "none"
    except RelevoError as error:  # customers are served by now, and this is a sentence of a report
        log().warning("the modules were not looked for: %s", error)
        return f"not known: {error.message}"
