"""Odoo tried on the recovery host without touching a database: would it serve the customers?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks import answers
from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from blocks.shell import Completed
from tasks.build import apart, modules
from tasks.host import layout
from tasks.run.step import log

TRY_SECONDS = 300
# Imports every module that the databases have installed, as Odoo would, without any database.
# odoo.cli comes first: from Odoo 19 on it is what makes `odoo` a whole package. What a manifest
# says that its module needs may be imported as late as when a customer presses a button.
TRY = """
import ast, importlib, json, os, re, sys
import odoo.cli
from odoo.tools import config
from odoo.modules.module import get_module_path, initialize_sys_path
config.parse_config(["-c", sys.argv[1]])
initialize_sys_path()
bad, lacking, asked = [], [], []
def there(name):
    try:
        from importlib import metadata
        metadata.distribution(re.split("[^A-Za-z0-9._-]", name)[0])
        return True
    except Exception:
        pass
    try:
        importlib.import_module(name)
        return True
    except Exception:
        return False
for name in sys.argv[2].split(","):
    try:
        path = get_module_path(name, display_warning=False)
        if not path:
            bad.append("%s: not in addons_path" % name)
            continue
        importlib.import_module("odoo.addons." + name)
        for each in ("__manifest__.py", "__openerp__.py"):
            if os.path.exists(os.path.join(path, each)):
                said = ast.literal_eval(open(os.path.join(path, each)).read())
                needs = said.get("external_dependencies", {}).get("python", [])
                asked += [need for need in needs if not there(need)]
                break
    except Exception as error:
        bad.append("%s: %s: %s" % (name, type(error).__name__, error))
        if isinstance(error, ImportError):
            named = [error.name] if error.name else re.findall("'([A-Za-z0-9_.]+)'", str(error))
            lacking += [each.split(".")[0] for each in named]
def is_installed(module):
    path = getattr(module, "__file__", None) or ""
    folder = os.path.dirname(path)
    if os.path.basename(path).startswith("__init__."):
        folder = os.path.dirname(folder)
    return folder.endswith("-packages")
def is_compiled(module):
    path = getattr(module, "__file__", None) or ""
    return path.endswith(".so") and "-packages/" in path
used = sorted(name for name, module in list(sys.modules.items())
              if (is_installed(module) if "." not in name else is_compiled(module)))
print("RELEVO " + json.dumps({"bad": bad, "lacking": lacking, "asked": asked, "used": used}))
"""


@dataclass(frozen=True)
class Staged:
    """What is tried: the command of the unit, its environment and its folder."""

    command: tuple[str, ...]
    environment: PurePosixPath
    folder: PurePosixPath | None


@dataclass(frozen=True)
class Tried:
    """What came of it: modules that cannot be loaded, and Python packages that are not there.

    `asked` are packages that manifests ask for, and that nothing needs at once; `used` are what was
    imported of those that are installed, with the compiled parts of each.
    """

    modules: tuple[str, ...]
    bad: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    used: tuple[str, ...] = ()


def run(instance: OdooInstance, staged: Staged) -> Tried:
    """Start Odoo's program, and import all that is installed."""
    recovery = instance.recovery
    names = modules.to_load(instance)
    python, program, *rest = staged.command
    version = _apart(instance, staged, (python, program, "--version"))
    if version.status != 0:
        raise Refused(
            f"Odoo does not start on {recovery}: {version.tail}",
            hint=f"install what {program} needs there, or correct odoo.program in the inventory, "
            "then run build-service again",
        )
    script = f"import sys; sys.path.insert(0, {str(PurePosixPath(program).parent)!r})\n{TRY}"
    argv = (python, "-c", script, rest[1], ",".join(names))
    said = _apart(instance, staged, argv)
    verdict = re.search(r"^RELEVO (.*)$", said.stdout, re.MULTILINE)
    if not verdict:
        return Tried(names, bad=(said.tail or "it printed nothing",))
    facts = answers.facts(verdict[1], f"what came of trying {instance.name} on {recovery}")
    said_of = ("bad", "lacking", "asked", "used")
    return Tried(names, *(_words(facts.get(name)) for name in said_of))


def _words(said: object) -> tuple[str, ...]:
    """What a customer's code may have said in our program's name.

    >>> _words(["a", 1]), _words("ab"), _words(None)
    (('a', '1'), (), ())
    """
    return tuple(str(each) for each in said) if isinstance(said, list) else ()


def require(instance: OdooInstance, tried: Tried) -> None:
    """Refuse an Odoo that could not load what the customers have installed."""
    recovery = instance.recovery
    if tried.bad:
        raise Refused(
            f"Odoo of {instance.name} would not serve on {recovery}: {plain('; '.join(tried.bad))}",
            hint="add the missing folders to odoo.sources in the inventory, or install the "
            "missing Python packages there, then run build-service again",
        )
    if tried.asked:
        log().warning(
            "modules of %s ask for Python packages that neither end has: %s",
            instance.name, plain(", ".join(tried.asked)),
        )  # fmt: skip
    log().info("%d modules of %s can be loaded on %s", len(tried.modules), instance.name, recovery)


def _apart(instance: OdooInstance, staged: Staged, argv: Sequence[str]) -> Completed:
    python = PurePosixPath(staged.command[0])
    return apart.run(
        instance, argv, seconds=TRY_SECONDS, environment=staged.environment, folder=staged.folder,
        writes=(instance.directory / "sources", python.parents[1], layout.home(instance)),
    )  # fmt: skip
