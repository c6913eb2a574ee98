"""A failover rehearsed on a throw-away clone, which production, replica and mail never notice."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from blocks.answers import facts
from blocks.cluster import Cluster
from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from blocks.shell import Shell
from tasks.authority import promotable as standby
from tasks.build import build
from tasks.host import confine, files, layout, systemd_unit
from tasks.host.job import run_job, show, stop_job
from tasks.install.programs import UNITS
from tasks.notices import progress
from tasks.odoo import http, odoo_conf, service
from tasks.odoo.customers import odoo_databases
from tasks.postgres.observe import observe
from tasks.readiness import drill_commands as lines
from tasks.run import moments
from tasks.run.step import log, step
from tasks.run.timing import Stopwatch
from tasks.run.wait import until
from tasks.standby.clone import CLONE_SECONDS, require_no_tablespaces

START_SECONDS = 600
RUN = PurePosixPath("/run/relevo-drill")
# A port that has no socket; nothing listens on it but that.
CHAT, CHAT_SECONDS = "/websocket", 20
FREE_PORT = 'p=65432; while [ -e "$1/.s.PGSQL.$p" ]; do p=$((p - 1)); done; echo "$p"'


@dataclass
class Stage:
    """Where the drill takes place."""

    instance: OdooInstance
    directory: PurePosixPath
    cluster: Cluster
    watch: Stopwatch = field(default_factory=lambda: Stopwatch(from_now=True))

    @property
    def shell(self) -> Shell:
        return self.instance.recovery.host.shell()

    @property
    def layer(self) -> PurePosixPath:
        return RUN / self.instance.name

    def unit(self, what: str) -> str:
        return _unit(self.instance, what)


def _unit(instance: OdooInstance, what: str) -> str:
    return f"relevo-{instance.name}-drill-{what}.service"


@step("require that {instance.recovery} has a standby of {instance.name} for the drill")
def require_standby(instance: OdooInstance) -> None:
    """Refuse a drill beside the real thing."""
    state = observe(instance.recovery)
    if not state.is_standby:
        raise Refused(
            f"{instance.name} on {instance.recovery} is {state}, but a drill needs a standby",
            hint="run check to see the state of the instance; a drill is for quiet days",
        )
    standby.require_ready(instance)


@contextmanager
def stage(instance: OdooInstance) -> Iterator[Stage]:
    """Prepare the place, and clear it away whatever happens there."""
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    standby = observe(recovery).directory
    directory = standby.with_name(f"{standby.name}.drill")
    clear(instance, directory)
    sockets = recovery.cluster.value(shell, "SHOW unix_socket_directories").split(",")[0].strip()
    argv = ("sh", "-c", FREE_PORT, "port", sockets)
    port = int(shell.run(argv, user=recovery.cluster.owner).stdout)
    cluster = recovery.cluster.model_copy(update={"port": port})
    try:
        yield Stage(instance, directory, cluster)
    finally:
        clear(instance, directory)


@step("clear away the drill of {instance.name}")
def clear(instance: OdooInstance, directory: PurePosixPath) -> None:
    """Stop what an earlier or dead drill has started, delete its clone, and prove it."""
    shell = instance.recovery.host.shell()
    stop_job(shell, f"{instance.name}-drill-clone")
    for what in ("odoo", "postgres"):
        shell.run(("systemctl", "stop", _unit(instance, what)), check=False, timeout_seconds=120)
    files.remove_tree(shell, RUN / instance.name)
    files.remove_tree(shell, directory)


@step("require that {stage.instance.recovery} can isolate a drill")
def require_apart(stage: Stage) -> None:
    """Refuse, before anything is copied, a host on which Odoo could not be kept from its network.

    A container often may not make a network of its own, or mount what a drill looks through.
    """
    shell, odoo = stage.shell, stage.instance.recovery.odoo
    trial = stage.layer / "trial"
    files.make_directory(shell, stage.layer, owner="root:root", mode="711")
    view = lines.view(
        data=odoo.data_dir, layer=trial, user=odoo.user, folder=None,
        variables=build.variables(stage.instance), command=("true",),
    )  # fmt: skip
    done = shell.run(lines.try_unit(view, *_apart(stage)), check=False, timeout_seconds=90)
    if done.status != 0:
        said = done.tail or f"systemd-run ended with status {done.status}"
        raise Refused(
            f"{stage.instance.recovery} cannot isolate a drill: {said}",
            hint="allow network namespaces and overlay mounts on that host (a container: "
            "nesting); a failover needs neither",
        )


@step("clone the standby of {stage.instance.name}")
def clone(stage: Stage) -> str:
    """Copy the running standby beside itself; say how big the copy is and how long it took."""
    shell, watch, recovery = stage.shell, Stopwatch(from_now=True), stage.instance.recovery
    require_no_tablespaces(recovery)
    need = files.used_bytes(shell, observe(recovery).directory, user=recovery.cluster.owner)
    free = files.free_bytes(shell, stage.directory.parent)
    if need * 1.2 > free:
        raise Refused(
            f"{recovery} has {moments.size(free)} free, but a drill of {stage.instance.name} needs "
            f"{moments.size(need)} for its clone",
            hint=f"make room in {stage.directory.parent} on {recovery}",
        )
    user = recovery.cluster.owner
    files.make_directory(shell, stage.directory, owner=files.owner(shell, user), mode="700")
    run_job(
        shell, f"{stage.instance.name}-drill-clone", lines.clone(recovery.cluster, stage.directory),
        user=user, timeout_seconds=CLONE_SECONDS,
        on_progress=progress.reporter(f"clone of the standby of {stage.instance.name}"),
    )  # fmt: skip
    return f"{moments.size(need)} in {moments.span(float(watch.read()))}"


@step("promote the clone of {stage.instance.name}")
def promote(stage: Stage) -> str:
    """Start the clone as a standby of nobody, and let it accept writes."""
    shell, unit = stage.shell, stage.unit("postgres")
    command = lines.serve(stage.cluster, stage.directory)
    found = confine.properties(writes=(stage.directory, stage.cluster.sockets), network=False)
    user = stage.cluster.owner
    shell.run(lines.start_unit(unit, command, "KillSignal=SIGINT", *found, user=user))
    _wait(stage, "t", "the clone is consistent")
    stage.watch = Stopwatch(from_now=True)
    stage.cluster.execute(shell, "SELECT pg_promote(true, 600)", timeout_seconds=START_SECONDS)
    _wait(stage, "f", "the clone accepts writes")
    return f"{stage.watch.read()} s"


def _wait(stage: Stage, role: str, what: str) -> None:
    """Wait until the clone says which role it has."""
    shell, unit = stage.shell, stage.unit("postgres")

    def reached() -> bool:
        if not show(shell, unit).running:
            raise CommandFailed(
                f"the clone of {stage.instance.name} does not run: {_words(shell, unit)}",
                hint="fix what stops it: it would stop a failover as well",
            )
        try:
            return stage.cluster.value(shell, "SELECT pg_is_in_recovery()") == role
        except CommandFailed:  # it is not open yet
            return False

    until(reached, what=what, timeout_seconds=START_SECONDS, hint=f"run journalctl -u {unit} there")


def _words(shell: Shell, unit: str) -> str:
    """The last words of a unit."""
    argv = ("journalctl", "--unit", unit, "--lines=20", "--output=cat", "--no-pager")
    return shell.run(argv, check=False).stdout.strip()


@step("start Odoo on the clone of {stage.instance.name}")
def start_odoo(stage: Stage) -> None:
    """Start Odoo where it has no network but a loopback of its own, or not at all."""
    shell, odoo, unit = stage.shell, stage.instance.recovery.odoo, stage.unit("odoo")
    command = lines.view(
        data=odoo.data_dir, layer=stage.layer, user=odoo.user,
        folder=systemd_unit.folder_of(files.read(shell, UNITS / odoo.unit)),
        variables=build.variables(stage.instance),
        command=lines.odoo(
            build.in_force(stage.instance),
            port=stage.cluster.port, data_dir=stage.layer / "data", workers=_has_workers(stage),
        ),
    )  # fmt: skip
    shell.run(lines.start_unit(unit, command, *_apart(stage)))


def _has_workers(stage: Stage) -> bool:
    """Tell whether Odoo will open a second port, for the live chat."""
    conf = files.read(stage.shell, stage.instance.recovery.odoo.config)
    return odoo_conf.workers(conf) > 0


def _silent_chat(stage: Stage) -> str:
    """Say why the port of the live chat does not answer; nothing where it does, or is none."""
    if not _has_workers(stage):
        return ""
    url = f"http://localhost:{stage.instance.recovery.odoo.longpolling_port}"
    argv = (*_inside(stage), "python3", "-I", "-c", http.BROWSE, CHAT, url)
    done = stage.shell.run(argv, check=False, timeout_seconds=2 * http.ANSWER_SECONDS)
    page = http.read(done.stdout).get(url) if done.status == 0 else None
    if page is None or page.works:
        return "" if page else "the live chat cannot be asked"
    return f"the live chat does not answer at {url}{CHAT}: {page}"


def _apart(stage: Stage) -> tuple[str, ...]:
    """What systemd is told of the rehearsed Odoo."""
    found = confine.properties(
        writes=(stage.layer,), network=False, mounts=True,
        hidden=(layout.ssh(stage.instance), layout.postgres(stage.instance)),
    )  # fmt: skip
    return ("PrivateMounts=yes", *found)


def _inside(stage: Stage) -> tuple[str, ...]:
    """Run a command where the rehearsed Odoo is alone."""
    argv = ("systemctl", "show", stage.unit("odoo"), "--property=MainPID", "--value")
    return ("nsenter", "--net", "--target", stage.shell.run(argv).stdout.strip(), "--")


@step("wait until Odoo answers for every database of the clone of {stage.instance.name}")
def wait_until_serving(stage: Stage) -> list[str]:
    """Ask Odoo for each of the databases, as at a failover."""
    shell, unit, recovery = stage.shell, stage.unit("odoo"), stage.instance.recovery
    databases = odoo_databases(recovery)
    program = ("python3", "-I", "-c", http.LOGIN, str(recovery.odoo.http_port), *databases)
    said: dict[str, str] = {}

    def served() -> bool:
        if not show(shell, unit).running:
            raise CommandFailed(
                f"Odoo of {stage.instance.name} would not run on {recovery}: {_words(shell, unit)}",
                hint="fix it by day: build-service tests most of it",
            )
        argv = (*_inside(stage), *program)
        answer = shell.run(argv, check=False, timeout_seconds=service.SERVE_SECONDS)
        if answer.status != 0:  # it has just died
            return False
        said.update(facts(answer.stdout, f"what Odoo of {stage.instance.name} says in the drill"))
        return not any(said.values())

    try:
        until(served, what="Odoo answers", timeout_seconds=service.SERVE_SECONDS)
    except CommandFailed as error:
        wrong = [f"{database}: {why}" for database, why in said.items() if why]
        words = f": {'; '.join(wrong)}\n{_words(shell, unit)}" if wrong else ""
        raise CommandFailed(
            error.message + words,
            hint=error.hint or f"run journalctl -u {unit} on {recovery}",
        ) from error
    _wait_for_chat(stage)
    log().info("%s answered for %s", stage.instance.name, ", ".join(databases))
    return databases


def _wait_for_chat(stage: Stage) -> None:
    """Wait for the process of the live chat, which Odoo starts again and again where it dies."""
    said: list[str] = []

    def answers() -> bool:
        said.append(_silent_chat(stage))
        return not said[-1]

    try:
        until(answers, what="the live chat answers", timeout_seconds=CHAT_SECONDS)
    except CommandFailed as error:
        recovery = stage.instance.recovery
        raise CommandFailed(
            f"{said[-1]}\n{_words(stage.shell, stage.unit('odoo'))}",
            hint=f"install what it needs for Odoo on {recovery} (gevent), then run drill again",
        ) from error
