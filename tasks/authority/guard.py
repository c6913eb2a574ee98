"""The guard at the origin: it comes back from the dead, and asks before it serves."""

from pathlib import PurePosixPath

from blocks import pinned
from blocks.answers import facts
from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.authority import guard_files as text
from tasks.host import files, managed_block, sshd, systemd_unit
from tasks.host.files import STATE
from tasks.install import program_config, programs
from tasks.install.programs import GUARDS, LIBRARY, UNITS
from tasks.logins import ssh
from tasks.postgres.observe import observe
from tasks.receipts import receipt_files
from tasks.receipts.receipt import NAMESPACE
from tasks.receipts.signers import Signers
from tasks.run.step import log, step

PROVE_SECONDS = 30


def folder(instance: OdooInstance) -> PurePosixPath:
    return GUARDS / instance.name


def config_path(instance: OdooInstance) -> PurePosixPath:
    return folder(instance) / "config.json"


def held_path(instance: OdooInstance) -> PurePosixPath:
    return STATE / instance.name / "held.json"


def watcher_unit(instance: OdooInstance) -> str:
    return f"relevo-guard-{instance.name}.service"


@step("let {instance.origin} ask {instance.recovery} who may write")
def admit(instance: OdooInstance) -> None:
    """Make a key at the origin, and admit it on the recovery host for one question."""
    origin, recovery = instance.origin, instance.recovery
    here, there = origin.host.shell(), recovery.host.shell()
    key = folder(instance) / "key"
    files.make_directory(here, folder(instance), owner="root:root", mode="700")
    sshd.make_key(here, key, f"relevo guard of {instance.name}")
    path = key.with_name("key.pub")
    public = ssh.public_key(files.read(here, path), where=f"{origin} in {path}")
    output = there.run(("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")).stdout
    known = ssh.known_hosts(output, alias=instance.name)
    files.install(here, folder(instance) / "known_hosts", known, mode="600")
    right = LIBRARY / "right"
    programs.install_script(there, right, "right.sh")
    command = f"{right} {receipt_files.right_path(instance)}"
    line = f'restrict,from="{origin.host.peer_address}",command="{command}" {public}\n'
    user = recovery.host.user
    files.install(there, receipt_files.asked_path(instance), "", owner=files.owner(there, user))
    sshd.admit(
        there, user, peer=origin.host.peer_address,
        change=lambda old: managed_block.put(old, name=f"guard {instance.name}", lines=line),
    )  # fmt: skip


@step("install the guard of {instance.name} on {instance.origin}")
def install(instance: OdooInstance) -> None:
    """Put a question before every start of PostgreSQL and Odoo, and a watcher beside them."""
    shell, origin = instance.origin.host.shell(), instance.origin
    program, config = LIBRARY / "guard", config_path(instance)
    programs.install_program(shell, program, "guard")
    for place in (instance.recovery, origin):
        remember_signers(instance, place, receipt_files.believed(instance))
    files.install(shell, config, program_config.render(_facts(instance)), mode="600")
    drop_ins = {
        f"{origin.cluster.unit}.d/relevo.conf": "cluster",
        f"{origin.odoo.unit}.d/relevo.conf": "odoo",
    }
    for path, what in drop_ins.items():
        drop_in = text.drop_in(instance=instance.name, guard=program, config=config, what=what)
        files.install(shell, UNITS / path, drop_in)
    watcher = systemd_unit.watcher(
        what=f"stop {instance.name} here when another server has the write right",
        name=f"relevo_guard_{instance.name}", program=program, config=config,
    )  # fmt: skip
    programs.install_watcher(shell, watcher_unit(instance), watcher)


def remember_signers(instance: OdooInstance, place: Place, signers: Signers) -> None:
    """Write down whose signature counts: for the guard at the origin, for the next run here."""
    written = text.allowed_signers(signers, namespace=NAMESPACE)
    files.install(place.host.shell(), receipt_files.signers_path(instance, place), written)


def _facts(instance: OdooInstance) -> dict[str, object]:
    """What the guard must know; no secret is among it."""
    origin, recovery = instance.origin, instance.recovery
    state = observe(origin)
    control = observe(recovery).control
    assert control is not None, "it streams, so it has a control file"
    question = text.question(
        address=recovery.host.peer_address, port=recovery.host.port, user=recovery.host.user,
        key=folder(instance) / "key", known=folder(instance) / "known_hosts", alias=instance.name,
    )  # fmt: skip
    psql = (
        "runuser", "-u", origin.cluster.owner, "--", "env", "PGCONNECT_TIMEOUT=3",
        f"PGOPTIONS={pinned.superuser(origin.cluster.version)}", "psql", "--cluster",
        str(origin.cluster), "-XAtq", "-d", "postgres",
    )  # fmt: skip
    return {
        "instance": instance.name,
        "system_identifier": control.system_identifier,
        "place": origin.kind,
        "namespace": NAMESPACE,
        "unanswered": instance.guard.unanswered,
        "wait_seconds": instance.guard.wait_seconds,
        "ssh": question,
        "psql": psql,
        "signer": str(receipt_files.signers_path(instance, origin)),
        "right": str(receipt_files.right_path(instance)),
        "held": str(held_path(instance)),
        "waiting": f"/run/relevo/{instance.name}.waiting",
        "cluster": (str(origin.cluster.version), origin.cluster.name),
        "owner": origin.cluster.owner,
        "cluster_unit": origin.cluster.unit,
        "odoo_unit": origin.odoo.unit,
        "data_directory": str(state.directory),
        "start_conf": str(origin.cluster.config_dir / "start.conf"),
    }


@step("try the guard of {instance.name} on {instance.origin}")
def prove(instance: OdooInstance) -> None:
    """See that the origin asks, is answered, believes the answer, and cannot be started past it."""
    known = require_answered(instance)
    if known.get("taker") != instance.origin.kind:
        raise Refused(
            f"the newest receipt of {instance.name} gives the write right to {known.get('taker')}",
            hint="run failback to bring the customers home",
        )


def require_answered(instance: OdooInstance) -> dict[str, object]:
    shell, origin = instance.origin.host.shell(), instance.origin
    argv = (str(LIBRARY / "guard"), str(config_path(instance)), "ask")
    done = shell.run(argv, check=False, timeout_seconds=PROVE_SECONDS)
    if done.status != 0:
        raise Refused(
            f"there is no working guard of {instance.name} on {origin}: {done.tail}",
            hint="run replicate, which installs it",
        )
    said = facts(done.stdout, f"what the guard of {instance.name} on {origin} says")
    if not said.get("answered") or not isinstance(said.get("known"), dict):
        raise Refused(
            f"{origin} asks {instance.recovery} who may write {instance.name}, and gets no "
            f"{'answer' if not said.get('answered') else 'receipt that it can accept'}",
            hint=f"let {origin.host.peer_address} reach sshd of {instance.recovery} at "
            f"{instance.recovery.host.peer_address} port {instance.recovery.host.port}, and run "
            "replicate again",
        )
    _require_in_force(shell, instance)
    known: dict[str, object] = said["known"]
    return known


def _require_in_force(shell: Shell, instance: OdooInstance) -> None:
    origin = instance.origin
    for unit in (origin.cluster.unit, origin.odoo.unit):
        argv = ("systemctl", "show", unit, "--property=ExecCondition")
        if str(LIBRARY / "guard") not in shell.run(argv).stdout:
            raise Refused(
                f"{unit} on {origin} starts without asking the guard",
                hint="run systemctl cat for it there; systemd must be 243 or newer",
            )
    watcher = watcher_unit(instance)
    if shell.run(("systemctl", "is-active", watcher), check=False).stdout.strip() != "active":
        raise CommandFailed(
            f"{watcher} does not run on {origin}", hint="run systemctl status there"
        )
    if unread := programs.outdated(shell, watcher, LIBRARY / "guard", config_path(instance)):
        raise Refused(
            f"{watcher} on {origin} still runs an older version of {' and '.join(unread)}",
            hint="run replicate, which restarts it",
        )


@step("see whether {instance.origin} is fenced")
def tell_held(instance: OdooInstance) -> str:
    """Say that the guard holds the origin, and since when."""
    return held(instance)


def held(instance: OdooInstance) -> str:
    origin = instance.origin
    noted = files.read(origin.host.shell(), held_path(instance))
    if not noted:
        return ""
    told = facts(noted, f"{held_path(instance)} on {origin}")
    sentence = f"{origin} has been fenced since {told.get('time')}: {told.get('why')}"
    log().warning("%s", sentence)
    return sentence
