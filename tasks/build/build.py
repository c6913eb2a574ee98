"""Odoo of the recovery host, built ahead: made beside what stands there, tried, put in its place.

Nothing that a failover would use changes before its successor has been tried. What is made new
stands in the folder `new` of the instance, and the Python environment in `venv.new`.
"""

from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.build import environment, links, packages, trial
from tasks.host import confine, files, layout, systemd_unit, together
from tasks.host.together import Look
from tasks.install.programs import UNITS
from tasks.odoo import odoo_conf, odoo_settings, odoo_start, service
from tasks.postgres.observe import observe
from tasks.run.step import log, step

# Of these a sentence may tell the value; others may be passwords.
SHOWN = {
    "data_dir", "db_host", "db_port", "db_user", "gevent_port", "http_port", "longpolling_port",
}  # fmt: skip


def beside(instance: OdooInstance) -> PurePosixPath:
    """The folder of what is made new, root's as the one around it."""
    return instance.directory / "new"


def venv(instance: OdooInstance) -> PurePosixPath:
    return instance.directory / "venv"


def variables(instance: OdooInstance) -> PurePosixPath:
    """The file with the environment of Odoo."""
    return instance.directory / "environment"


def command(
    instance: OdooInstance, *, python: PurePosixPath, config: PurePosixPath
) -> tuple[str, ...]:
    """How the recovery host runs this Odoo."""
    program = instance.copied(instance.origin.odoo.program)
    return (str(python), str(program), "-c", str(config))


def in_force(instance: OdooInstance) -> tuple[str, ...]:
    """The command of the unit, as it is built."""
    python = venv(instance) / "bin" / "python"
    return command(instance, python=python, config=instance.recovery.odoo.config)


@step("render odoo.conf, environment and unit of {instance.name} beside the present ones")
def render(instance: OdooInstance) -> None:
    """Make them of what the origin's Odoo is started with; refuse what cannot be carried over."""
    recovery, shell, folder = instance.recovery, instance.recovery.host.shell(), beside(instance)
    found = odoo_settings.require(instance)
    service.require_free_port(shell, instance, workers=odoo_conf.workers(found.text))
    for remark in found.remarks:
        log().warning("%s", remark)
    conf, environment, unit = rendered(instance, found)
    group = _group(instance)
    files.take(shell, folder, group=group, mode="750")
    texts = {
        folder / "odoo.conf": (conf, group, "640"),
        folder / "environment": (environment, "root", "600"),
        folder / recovery.odoo.unit: (unit, "root", "644"),
    }
    for path, (text, owners, mode) in texts.items():
        files.install(shell, path, text, owner=f"root:{owners}", mode=mode)


def rendered(instance: OdooInstance, found: odoo_start.Start) -> tuple[str, str, str]:
    """odoo.conf, environment and unit, of what the origin's Odoo is started with."""
    role = odoo_conf.database_role(found.text, default=instance.origin.odoo.user)
    return (
        _conf(instance, found.text, role),
        odoo_start.environment_file(found.environment),
        _unit(instance, found.folder),
    )


@step("try Odoo of {instance.name} on {instance.recovery}")
def try_out(instance: OdooInstance) -> None:
    """Import, on the recovery host, every module that the customers' databases have installed.

    Packages that are lacking are installed meanwhile, in an environment beside the one that is
    there.
    """
    links.require(instance)
    python, folder = environment.prepare(instance), beside(instance)
    for _ in range(environment.ROUNDS):
        tried = trial.run(instance, _staged(instance, python))
        more = environment.lacking(instance, tried)
        if not more:
            break
        python = environment.add(instance, more)
    trial.require(instance, tried)
    text = packages.noted(instance, python.parents[1], tried)
    files.install(instance.recovery.host.shell(), folder / packages.USED, text)
    _verify(instance, folder / instance.recovery.odoo.unit)


def _staged(instance: OdooInstance, python: PurePosixPath) -> trial.Staged:
    folder = beside(instance)
    text = files.read(instance.recovery.host.shell(), folder / instance.recovery.odoo.unit)
    return trial.Staged(
        command=command(instance, python=python, config=folder / "odoo.conf"),
        environment=folder / "environment",
        folder=systemd_unit.folder_of(text),
    )


def _verify(instance: OdooInstance, unit: PurePosixPath) -> None:
    """Let systemd read the unit, in the form in which it will stand there."""
    done = instance.recovery.host.shell().run(
        ("systemd-analyze", "verify", "--man=no", str(unit)), check=False
    )
    if wrong := [line for line in done.stderr.splitlines() if str(unit) in line]:
        raise Refused(
            f"systemd on {instance.recovery} would not run Odoo of {instance.name}: "
            f"{plain(wrong[0], longest=300)}",
            hint=f"run systemd-analyze verify {unit} there to see all of it",
        )


@step("install what was tried of {instance.name}")
def put_in_place(instance: OdooInstance) -> None:
    """Exchange environment, odoo.conf and unit for those that have been tried."""
    recovery, shell, folder = instance.recovery, instance.recovery.host.shell(), beside(instance)
    environment.put_in_place(instance)
    text, said, used = (
        files.read(shell, folder / name) for name in ("odoo.conf", "environment", packages.USED)
    )
    files.install(shell, variables(instance), said, mode="600")
    files.install(shell, instance.directory / packages.USED, used)
    _install(instance, text, files.read(shell, folder / recovery.odoo.unit))


def _install(instance: OdooInstance, conf: str, unit: str) -> None:
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    owner = f"root:{_group(instance)}"
    files.install(shell, recovery.odoo.config, conf, owner=owner, mode="640")
    files.install(shell, UNITS / recovery.odoo.unit, unit)
    shell.run(("systemctl", "daemon-reload"))
    if observe(recovery).is_standby:  # no boot starts it beside a standby
        shell.run(("systemctl", "disable", recovery.odoo.unit))


def _conf(instance: OdooInstance, text: str, role: str) -> str:
    recovery = instance.recovery
    return odoo_conf.render(
        text,
        copied=instance.copied,
        data_dir=recovery.odoo.data_dir,
        db_host=str(recovery.cluster.sockets) if recovery.cluster.confined else "False",
        db_port=recovery.cluster.port,
        db_user=role,
        http_port=recovery.odoo.http_port,
        longpolling_port=recovery.odoo.longpolling_port,
    )


def _unit(instance: OdooInstance, folder: PurePosixPath | None) -> str:
    recovery = instance.recovery
    return systemd_unit.render(
        instance=instance.name,
        user=recovery.odoo.user,
        cluster_unit=recovery.cluster.unit,
        command=in_force(instance),
        environment=variables(instance),
        folder=folder,
        properties=confine.properties(
            writes=(recovery.odoo.data_dir, layout.home(instance)),
            hidden=(layout.ssh(instance), layout.postgres(instance), instance.directory / "engine"),
        ),
    )


def _group(instance: OdooInstance) -> str:
    recovery = instance.recovery
    return files.owner(recovery.host.shell(), recovery.odoo.user).split(":")[1]


def looks(instance: OdooInstance) -> tuple[Look, ...]:
    """What is asked of an Odoo that stands there: is it whole, and as the inventory wants it?"""
    recovery = instance.recovery
    paths = (recovery.odoo.config, UNITS / recovery.odoo.unit)
    return (
        ("missing", *map(str, needed(instance))),
        *(("read", str(path)) for path in paths),
        together.command(*_unread(instance)),
    )


def needed(instance: OdooInstance) -> tuple[PurePosixPath, ...]:
    """What has to be there for Odoo to start."""
    recovery, python = instance.recovery, venv(instance) / "bin" / "python"
    return (recovery.odoo.config, UNITS / recovery.odoo.unit, recovery.odoo.data_dir, python)


def _unread(instance: OdooInstance) -> tuple[str, ...]:
    unit = instance.recovery.odoo.unit
    return ("systemctl", "show", unit, "--property=NeedDaemonReload", "--value")


def wanted(instance: OdooInstance) -> tuple[tuple[str, str], tuple[str, str]]:
    """What odoo.conf and unit are, and what they would be after the inventory of now.

    They are made of themselves: nobody needs the origin for that.
    """
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    conf = files.read(shell, recovery.odoo.config)
    unit = files.read(shell, UNITS / recovery.odoo.unit)
    role = odoo_conf.database_role(conf, default="")
    folder = systemd_unit.folder_of(unit)
    return (conf, _conf(instance, conf, role)), (unit, _unit(instance, folder))


def differences(instance: OdooInstance) -> list[str]:
    """Say which options of odoo.conf the inventory has otherwise."""
    (conf, its_conf), _ = wanted(instance)
    recovery = instance.recovery
    if conf == its_conf or instance.settled != "own":  # replicate makes all of it anew
        return []
    theirs, ours = odoo_conf.parse(conf), odoo_conf.parse(its_conf)
    names = [name for name in ours if theirs.get(name) != ours[name]]
    said = ", ".join(
        f"{name} = {theirs.get(name, '')}, not {ours[name]}" if name in SHOWN else name
        for name in names
    )
    return [f"{recovery.odoo.config} on {recovery} has {said or 'another form'}"]


def require_current(instance: OdooInstance) -> list[str]:
    """Refuse an odoo.conf that was built for another inventory; say so of a unit.

    A unit may be an earlier Relevo's, which runs Odoo as well.
    """
    if found := differences(instance):
        raise Refused(
            f"Odoo of {instance.name} was built for another inventory: {'; '.join(found)}",
            hint="run build-service, or put the inventory back as it was and apply it",
        )
    _, (unit, its_unit) = wanted(instance)
    if unit == its_unit or instance.settled != "own":
        return []
    return [
        f"{instance.recovery.odoo.unit} differs from what would be built now: run build-service"
    ]


@step("bring Odoo of {instance.name} on {instance.recovery} in line with the inventory")
def adopt(instance: OdooInstance) -> None:
    """Take ports, paths and users from the inventory of now, also when the origin is gone."""
    if instance.settled == "own":
        take_over(instance)


def take_over(instance: OdooInstance) -> None:
    """The same, as a part of another step."""
    (conf, its_conf), (unit, its_unit) = wanted(instance)
    if conf and (conf, unit) != (its_conf, its_unit):
        log().info("odoo.conf and unit of %s are rendered again", instance.name)
        _install(instance, its_conf, its_unit)
        return
    # They may be the work of a run that died before it told systemd.
    shell = instance.recovery.host.shell()
    unread = together.ask(shell, _unread(instance))
    if unread.stdout.strip() == "yes":
        shell.run(("systemctl", "daemon-reload"))
