"""Odoo on the recovery host: built ahead, tried, and started when it is needed."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from blocks.plain import plain
from blocks.shell import Completed, Shell
from tasks import customers, files, http, layout
from tasks.look import look
from tasks.policy import log, step
from tasks.read import freeze
from tasks.text import confine, odoo_conf, systemd_unit
from tasks.units import UNITS
from tasks.wait import until

SERVE_SECONDS = 180
STRAGGLER_SECONDS = 60  # how long one more database is waited for, once others answer
FIND_SECONDS = 10  # for the catalog of one database, while customers wait
PIP_SECONDS = 1800
TRY_SECONDS = 300
SHOWN = 20  # of what is left out, by name
MODULE = re.compile(r"[A-Za-z0-9_]{1,100}")


# Arguments: a port and a unit. Names whoever listens at the port and does not belong to the unit.
STRANGERS = """
for pid in $(ss -Hltnp "sport = :$1" | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do
    grep -qE "/$2(/|$)" "/proc/$pid/cgroup" || tail -n 1 "/proc/$pid/cgroup" | sed 's,.*/,,'
done
"""


@dataclass(frozen=True)
class Served:
    """Which databases of a place answer a customer, and why the others do not."""

    names: list[str]
    silent: list[str]

    def __str__(self) -> str:
        return ", ".join(self.names)

    @property
    def left(self) -> str:
        """What is left to do; nothing when all answer."""
        return f"Odoo does not answer for {'; '.join(self.silent)}" if self.silent else ""


# Imports every module that the databases have installed, as Odoo would, without any database.
# odoo.cli comes first: from Odoo 19 on it is what makes `odoo` a whole package.
TRY = """
import importlib, sys
import odoo.cli
from odoo.tools import config
from odoo.modules.module import get_module_path, initialize_sys_path
config.parse_config(["-c", sys.argv[1]])
initialize_sys_path()
bad = []
for name in sys.argv[2].split(","):
    try:
        if not get_module_path(name, display_warning=False):
            bad.append("%s: not in addons_path" % name)
        else:
            importlib.import_module("odoo.addons." + name)
    except Exception as error:
        bad.append("%s: %s: %s" % (name, type(error).__name__, error))
print("RELEVO " + ("; ".join(bad) or "good"))
"""


INSTALLED = "SELECT name FROM public.ir_module_module WHERE state IN ('installed', 'to upgrade')"


def venv(instance: OdooInstance) -> PurePosixPath:
    return instance.directory / "venv"


@step("render odoo.conf of {instance.name} for {instance.recovery}")
def install_odoo_conf(instance: OdooInstance) -> None:
    """Make the recovery's odoo.conf from the origin's: other paths, ports and cluster."""
    text = origin_conf(instance)
    role = odoo_conf.database_role(text, default=instance.origin.odoo.user)
    _install_conf(instance, text, role)


def adopt_conf(instance: OdooInstance) -> None:
    """Let the odoo.conf that is there lead to the cluster's socket and ports as they are now."""
    text = files.read(instance.recovery.host.shell(), instance.recovery.odoo.config)
    if text:
        _install_conf(instance, text, odoo_conf.database_role(text, default=""))


def _install_conf(instance: OdooInstance, text: str, role: str) -> None:
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    rendered = odoo_conf.render(
        text,
        copied=instance.copied,
        data_dir=recovery.odoo.data_dir,
        db_host=str(recovery.cluster.sockets) if recovery.cluster.confined else "False",
        db_port=recovery.cluster.port,
        db_user=role,
        http_port=recovery.odoo.http_port,
        longpolling_port=recovery.odoo.longpolling_port,
    )
    group = files.owner(shell, recovery.odoo.user).split(":")[1]
    files.install(shell, recovery.odoo.config, rendered, owner=f"root:{group}", mode="640")


def origin_conf(instance: OdooInstance) -> str:
    origin = instance.origin
    text = files.read(origin.host.shell(), origin.odoo.config)
    if not text:
        raise Refused(
            f"there is no {origin.odoo.config} on {origin}",
            hint=f"correct odoo.config of {instance.name} in the inventory and apply it",
        )
    return text


@step("build the Python environment of {instance.name}")
def build_venv(instance: OdooInstance) -> None:
    """Give the recovery's Odoo the packages of the origin's; install only what is missing."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    environment, wanted = venv(instance), instance.directory / "requirements.txt"
    own_venv = _in_venv(instance)
    if not files.exists(shell, environment / "bin" / "python"):
        files.make_directory(shell, environment, owner=files.owner(shell, user), mode="750")
        _make_venv(shell, user, environment, system=not own_venv)
    python = str(environment / "bin" / "python")
    has = shell.run((python, "-m", "pip", "freeze", "--all"), user=user, timeout_seconds=120).stdout
    said = files.read(shell, wanted)
    if others := freeze.left_out(said):
        log().warning(
            "%d packages of %s come from no index, and are not installed here: %s",
            len(others), instance.origin, "; ".join(map(plain, others[:SHOWN])),
        )  # fmt: skip
    missing = freeze.missing(said, has, exact=own_venv)
    if not missing:
        return
    argv = (
        python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--", *missing,
    )  # fmt: skip
    done = shell.run(argv, user=user, check=False, timeout_seconds=PIP_SECONDS)
    if done.status != 0:
        raise Refused(
            f"{len(missing)} Python packages of {instance.origin} cannot be installed on "
            f"{instance.recovery}: {', '.join(missing[:10])}\n{done.tail}",
            hint="install them there as Debian packages or let the host reach a package index, "
            "then run build-service again",
        )


def _make_venv(shell: Shell, user: str, environment: PurePosixPath, *, system: bool) -> None:
    options = ("--system-site-packages",) if system else ()
    shell.run(("python3", "-m", "venv", *options, str(environment)), user=user, timeout_seconds=300)


def _in_venv(instance: OdooInstance) -> bool:
    """Ask the origin's interpreter whether it lives in a venv of its own."""
    odoo = instance.origin.odoo
    question = "import sys; print(sys.prefix != sys.base_prefix)"
    argv = (str(odoo.python), "-c", question)
    said = instance.origin.host.shell().run(argv, user=odoo.user).stdout
    return said.strip() == "True"


def command(instance: OdooInstance) -> tuple[str, ...]:
    """How the recovery host runs this Odoo."""
    program = instance.copied(instance.origin.odoo.program)
    python = venv(instance) / "bin" / "python"
    return (str(python), str(program), "-c", str(instance.recovery.odoo.config))


@step("install the unit of {instance.name} on {instance.recovery}")
def install_unit(instance: OdooInstance) -> None:
    """Install the unit that runs Odoo here; no boot starts it beside a standby."""
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    text = systemd_unit.render(
        instance=instance.name,
        user=recovery.odoo.user,
        cluster_unit=recovery.cluster.unit,
        command=command(instance),
        properties=confine.properties(
            writes=(recovery.odoo.data_dir, layout.home(instance)),
            hidden=(layout.ssh(instance), layout.postgres(instance), instance.directory / "engine"),
        ),
    )
    files.install(shell, UNITS / recovery.odoo.unit, text)
    shell.run(("systemctl", "daemon-reload"))
    if look(recovery).is_standby:
        shell.run(("systemctl", "disable", recovery.odoo.unit))
    shell.run(("systemd-analyze", "verify", str(UNITS / recovery.odoo.unit)), check=False)


@step("try Odoo of {instance.name} on {instance.recovery}")
def dry_run(instance: OdooInstance) -> None:
    """Import, on the recovery host, every module that the customers' databases have installed."""
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    found = customers.odoo(recovery)
    installed = customers.each(found.databases, INSTALLED)
    modules = {str(row["name"]) for rows in installed.rows.values() for row in rows}
    barred = {**found.barred, **installed.barred}
    if barred:
        log().warning("not tried on %s: %s", recovery, "; ".join(barred.values()))
    require_free_port(shell, instance)
    if odd := sorted(name for name in modules if not MODULE.fullmatch(name)):
        log().warning(
            "%d modules of %s are not tried, for no folder of Odoo's has such a name: %s",
            len(odd), instance.name, "; ".join(map(plain, odd[:SHOWN])),
        )  # fmt: skip
        modules -= {*odd}
    if not modules:
        why = f" that can be asked ({'; '.join(barred.values())})" if barred else ""
        raise Refused(
            f"the cluster of {instance.name} on {recovery} holds no database of Odoo{why}",
            hint="see that basebackup has run and that postgres.name is the right one",
        )
    python, program, *rest = command(instance)
    version = _apart(instance, (python, program, "--version"))
    if version.status != 0:
        raise Refused(
            f"Odoo does not start on {recovery}: {version.tail}",
            hint=f"install what {program} needs there, then run build-service again",
        )
    script = f"import sys; sys.path.insert(0, {str(PurePosixPath(program).parent)!r})\n{TRY}"
    argv = (python, "-c", script, rest[1], ",".join(sorted(modules)))
    said = _apart(instance, argv)
    verdict = re.search(r"^RELEVO (.*)$", said.stdout, re.MULTILINE)
    if not verdict or verdict[1] != "good":
        raise Refused(
            f"Odoo of {instance.name} would not serve on {recovery}: "
            f"{verdict[1] if verdict else said.tail}",
            hint="add the missing folders to odoo.sources in the inventory, or install the "
            "missing Python packages there, then run build-service again",
        )
    log().info("%d modules of %s can be loaded on %s", len(modules), instance.name, recovery)


def _apart(instance: OdooInstance, argv: Sequence[str]) -> Completed:
    """Run a customer's code with nothing around it: no network, no database, no other's files."""
    recovery = instance.recovery
    found = confine.properties(
        writes=(instance.directory / "sources", venv(instance), layout.home(instance)),
        network=False,
        hidden=(
            layout.ssh(instance), layout.postgres(instance), instance.directory / "engine",
            recovery.odoo.data_dir, instance.trash, recovery.cluster.sockets,
        ),
    )  # fmt: skip
    run = (
        "systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--uid={recovery.odoo.user}",
        "--property=WorkingDirectory=/", f"--property=RuntimeMaxSec={TRY_SECONDS}",
        *confine.options(found), "--", *argv,
    )  # fmt: skip
    return recovery.host.shell().run(run, check=False, timeout_seconds=TRY_SECONDS + 30)


def require_free_port(shell: Shell, instance: OdooInstance) -> None:
    """Refuse a port that something else on the recovery host listens on."""
    odoo = instance.recovery.odoo
    listening = shell.run(("ss", "-Hltn", f"sport = :{odoo.http_port}")).stdout.strip()
    if listening and not is_active(shell, odoo.unit):
        raise Refused(
            f"port {odoo.http_port} on {instance.recovery} is taken by something else",
            hint=f"give {instance.name} another recovery.http_port in the inventory, apply it and "
            "run build-service again",
        )


def is_active(shell: Shell, unit: str) -> bool:
    return shell.run(("systemctl", "is-active", unit), check=False).stdout.strip() == "active"


def starts_at_boot(shell: Shell, unit: str) -> bool:
    """Tell whether systemd starts a unit at boot, by whatever way that was arranged."""
    said = shell.run(("systemctl", "is-enabled", unit), check=False).stdout.strip()
    return said not in {"disabled", "masked"}


@step("start Odoo on {place}")
def start(place: Place) -> None:
    """Start Odoo by its unit, now and at the next boot."""
    if not look(place).is_primary:
        raise Refused(
            f"PostgreSQL on {place} does not accept writes, so Odoo is not started there",
            hint="run the procedure again: it promotes first",
        )
    shell, unit = place.host.shell(), place.odoo.unit
    shell.run(("systemctl", "reset-failed", unit), check=False)
    shell.run(("systemctl", "start", unit), timeout_seconds=120)
    # Enabling makes systemd read all its units again; by now Odoo starts meanwhile.
    shell.run(("systemctl", "enable", unit), timeout_seconds=120)


@step("wait until Odoo on {place} answers for every database")
def wait_until_serving(place: Place) -> Served:
    """Wait until every database of the cluster answers a customer's request over HTTP.

    One that does not keeps nobody else from working: once some answer, the next one has a minute.
    One that cannot even be asked whether it is Odoo's is named, and waited for by nobody.
    """
    asked = customers.odoo(place, timeout_seconds=FIND_SECONDS)
    waiting = dict.fromkeys(asked.names, "")
    served: list[str] = []
    begun = moved = time.monotonic()

    def settled() -> bool:
        nonlocal moved
        answered = _ask_all(place, waiting)
        if answered:
            served.extend(answered)
            moved = time.monotonic()
        patience = STRAGGLER_SECONDS if served else SERVE_SECONDS
        return not waiting or time.monotonic() > max(moved, begun) + patience

    until(settled, what="Odoo answers", timeout_seconds=2 * SERVE_SECONDS + 60 * len(waiting))
    barred = [f"{name!r}: {why}" for name, why in asked.barred.items()]
    found = Served(sorted(served), sorted([*waiting.values(), *barred]))
    if served:
        _require_own_listener(place)
    if waiting and not served:
        raise CommandFailed(
            f"{found.left} on {place}", hint=f"journalctl -u {place.odoo.unit} there"
        )
    return found


def _require_own_listener(place: Place) -> None:
    """Require that it is this Odoo that answered: on one host, another could sit at its port."""
    shell, odoo = place.host.shell(), place.odoo
    argv = ("sh", "-c", STRANGERS, "strangers", str(odoo.http_port), odoo.unit)
    if stranger := shell.run(argv).stdout.strip():
        raise CommandFailed(
            f"port {odoo.http_port} on {place} is answered by {stranger}, and not by {odoo.unit}",
            hint=f"stop what listens there (ss -ltnp), then systemctl restart {odoo.unit}",
        )


def _ask_all(place: Place, waiting: dict[str, str]) -> list[str]:
    """Ask the databases that have not answered yet; give those that do, note why of the others."""
    said = http.answers(place, list(waiting))
    waiting.update({name: f"{name}: {why}" if why else "" for name, why in said.items()})
    answered = [name for name, why in said.items() if not why]
    for name in answered:
        del waiting[name]
    return answered


@step("require that nothing is left to do for {instance.name} on {place}")
def require_whole(instance: OdooInstance, place: Place, *left: str) -> None:
    """End red when something is left to do, after everything else has been done."""
    if todo := [each for each in left if each]:
        raise CommandFailed(
            f"{instance.name} is served from {place}, but {'; '.join(todo)}",
            hint=f"mend this (journalctl -u {place.odoo.unit} there says more of Odoo), by hand or "
            "in the inventory, then retry this run: it does the rest again",
        )
