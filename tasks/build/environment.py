"""The Python environment of the recovery host's Odoo, changed beside the one that is there.

An Odoo with an environment of its own gets exactly that one's packages, and so does one in a venv
that shares the system's packages: those of the venv. Of the system's packages it gets what it turns
out to lack, as one with the system's Python does: most of what is installed there is not Odoo's.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.build import freeze, imported, packages
from tasks.build.trial import Tried
from tasks.host import durable, files
from tasks.run.step import log

ROUNDS = 10
PIP_SECONDS = 1800
SHOWN = 20  # of what is left out, by name
# Arguments: names as they are imported. Prints which packages the origin has them from.
PACKAGES_OF = """
import re, sys
from importlib import metadata
wanted = {re.split("[^A-Za-z0-9._-]", name)[0].lower().replace("-", "_") for name in sys.argv[1:]}
for found in metadata.distributions():
    name = found.metadata["Name"] or ""
    tops = set((found.read_text("top_level.txt") or "").split()) | {name}
    tops |= {path.parts[0].split(".")[0] for path in found.files or () if path.suffix == ".py"}
    if wanted & {top.lower().replace("-", "_") for top in tops}:
        print("%s==%s" % (name, found.version))
"""
# Prints what was installed into a venv, of those that share the system's packages; else nothing.
BESIDE = """
import sys
from importlib import metadata
venv = sys.prefix + "/" if sys.prefix != sys.base_prefix else "-"
for found in metadata.distributions(path=[each for each in sys.path if each.startswith(venv)]):
    if found.metadata["Name"] not in ("pip", "setuptools", "wheel", "pkg_resources"):
        print("%s==%s" % (found.metadata["Name"], found.version))
"""
# Prints whether this Python has packages of its own (a venv, pyenv, conda, one built by hand), or
# those of the system, and its release.
WHICH = """
import os, sys
own, cfg = sys.prefix != "/usr", os.path.join(sys.prefix, "pyvenv.cfg")
if sys.base_prefix == "/usr" and os.path.exists(cfg):
    with open(cfg) as said:
        own = "include-system-site-packages = true" not in said.read(4096)
print(own, "%d.%d" % sys.version_info[:2])
"""
ANSWER = re.compile(r"(True|False) ([0-9]+\.[0-9]+)")
# Can this Python make a venv that has pip?
ABLE = """command -v "$1" >/dev/null && "$1" -I -c 'import venv, ensurepip'"""


def _venv(instance: OdooInstance) -> PurePosixPath:
    return instance.directory / "venv"


def _fresh(instance: OdooInstance) -> PurePosixPath:
    return instance.directory / "venv.new"


def _python(environment: PurePosixPath) -> PurePosixPath:
    return environment / "bin" / "python"


def prepare(instance: OdooInstance) -> PurePosixPath:
    """Give the interpreter with all that can be known to be needed; made new where that differs."""
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    files.remove_tree(shell, _fresh(instance))  # of a run that died
    own, version = _at_origin(instance)
    python3, release = _alike(instance, version) if own else ("python3", _of_system(instance))
    if why := _unfit(instance, own=own, release=release):
        log().info("a new environment is made for Odoo of %s: %s", instance.name, why)
        _make(instance, python3, system=not own)
    text = files.read(shell, instance.directory / "requirements.txt")
    if others := freeze.left_out(text):
        log().warning(
            "%d packages of %s come from no index, and are not installed here: %s",
            len(others), instance.origin, "; ".join(map(plain, others[:SHOWN])),
        )  # fmt: skip
    python, text = _newest(instance), text if own else _beside(instance)
    if not text:
        return python
    argv = (str(python), "-m", "pip", "freeze", "--all")
    has = shell.run(argv, user=recovery.odoo.user, timeout_seconds=120).stdout
    missing = freeze.missing(text, has, exact=True)
    return add(instance, missing, ("--no-deps",)) if missing else python


def _unfit(instance: OdooInstance, *, own: bool, release: str) -> str:
    """Say why the environment that is there cannot be gone on with; nothing where it can."""
    if not files.exists(instance.recovery.host.shell(), _python(_venv(instance))):
        return "there is none"
    said = imported.ask(instance, _venv(instance), packages.used(instance))
    if said.wrong:
        return said.wrong
    if not said.pip:
        return "the present one has no pip"
    if own == said.shares:
        return "the origin has an environment of another kind"
    same = release in {"", said.python}
    return "" if same else f"the present one is of Python {said.python}"


def _beside(instance: OdooInstance) -> str:
    """List what the origin's venv has beside the packages of its system, and before them."""
    odoo = instance.origin.odoo
    argv = (str(odoo.python), "-c", BESIDE)
    return instance.origin.host.shell().run(argv, user=odoo.user).stdout


def _newest(instance: OdooInstance) -> PurePosixPath:
    shell, fresh = instance.recovery.host.shell(), _python(_fresh(instance))
    return fresh if files.exists(shell, fresh) else _python(_venv(instance))


def _make(instance: OdooInstance, python3: str, *, system: bool) -> None:
    shell, user, fresh = instance.recovery.host.shell(), _user(instance), _fresh(instance)
    options = ("--system-site-packages",) if system else ()
    files.make_directory(shell, fresh, owner=files.owner(shell, user), mode="750")
    argv = (python3, "-m", "venv", *options, str(fresh))
    done = shell.run(argv, user=user, check=False, timeout_seconds=300)
    if done.status != 0:
        raise Refused(
            f"{python3} on {instance.recovery} makes no environment for Odoo of {instance.name}: "
            f"{done.tail}",
            hint=f"install {python3}-venv on {instance.recovery}, then run build-service again",
        )


def _user(instance: OdooInstance) -> str:
    return instance.recovery.odoo.user


def _at_origin(instance: OdooInstance) -> tuple[bool, str]:
    """Ask whether the origin's Python has packages of its own alone, and for its release."""
    odoo = instance.origin.odoo
    argv = (str(odoo.python), "-c", WHICH)
    output = instance.origin.host.shell().run(argv, user=odoo.user).stdout
    if not (found := ANSWER.fullmatch(output.strip())):
        raise CommandFailed(
            f"{odoo.python} on {instance.origin} does not say which Python it is",
            hint=f"run {odoo.python} --version there as {odoo.user}",
        )
    return found[1] == "True", found[2]


def _of_system(instance: OdooInstance) -> str:
    """Ask for the release of the recovery host's own Python."""
    said = instance.recovery.host.shell().run(("python3", "-I", "-c", WHICH)).stdout
    found = ANSWER.fullmatch(said.strip())
    return found[2] if found else ""


def _alike(instance: OdooInstance, version: str) -> tuple[str, str]:
    """Name the Python of the origin's release; the system's, and say so, where there is none."""
    shell, python3 = instance.recovery.host.shell(), f"python{version}"
    release = _of_system(instance)
    if release == version:
        return "python3", release
    able = shell.run(("sh", "-c", ABLE, "able", python3), check=False).status == 0
    if not able:
        log().warning(
            "Odoo of %s runs with Python %s, which %s has not (or not its venv): it is tried with "
            "the one that is there",
            instance.name, version, instance.recovery,
        )  # fmt: skip
    return (python3, version) if able else ("python3", release)


def lacking(instance: OdooInstance, tried: Tried) -> list[str]:
    """Which packages of the origin would help an Odoo that was tried; it may have none."""
    names = sorted({*tried.lacking, *tried.asked})
    if not names:
        return []
    odoo, shell = instance.origin.odoo, instance.origin.host.shell()
    output = shell.run((str(odoo.python), "-c", PACKAGES_OF, *names), user=odoo.user).stdout
    python = str(_newest(instance))
    has = instance.recovery.host.shell().run(
        (python, "-m", "pip", "freeze", "--all"), user=_user(instance), timeout_seconds=120
    )
    return freeze.missing(output, has.stdout, exact=False)


def add(
    instance: OdooInstance, requirements: Sequence[str], options: tuple[str, ...] = ()
) -> PurePosixPath:
    """Install packages in a copy of the environment that is there.

    An environment that is taken over whole needs no others, and pip refuses packages that demand
    other versions of each other, as those of an Odoo that runs well often do.
    """
    shell, user, fresh = instance.recovery.host.shell(), _user(instance), _fresh(instance)
    if not files.exists(shell, _python(fresh)):
        files.make_directory(shell, fresh, owner=files.owner(shell, user), mode="750")
        copy = ("cp", "-a", f"{_venv(instance)}/.", f"{fresh}/")
        shell.run(copy, user=user, timeout_seconds=PIP_SECONDS)
    argv = (
        str(_python(fresh)), "-m", "pip", "install", "--no-input", "--disable-pip-version-check",
        "--no-cache-dir",  # which may hold what was built here with libraries that are gone
        *options, "--", *requirements,
    )  # fmt: skip
    done = shell.run(argv, user=user, check=False, timeout_seconds=PIP_SECONDS)
    if done.status != 0:
        raise Refused(
            f"{len(requirements)} Python packages of {instance.origin} cannot be installed on "
            f"{instance.recovery}: {', '.join(requirements[:10])}\n{done.tail}",
            hint="install them there as Debian packages or let the host reach a package index, "
            "then run build-service again",
        )
    return _python(fresh)


def put_in_place(instance: OdooInstance) -> None:
    """Exchange the environment for the one that was tried, if that is another."""
    shell, fresh, venv = instance.recovery.host.shell(), _fresh(instance), _venv(instance)
    if not files.exists(shell, _python(fresh)):
        return
    aside = venv.with_name("venv.former")
    files.remove_tree(shell, aside)
    durable.copied(shell, fresh, user=_user(instance))
    files.swap(shell, fresh, venv, aside)
