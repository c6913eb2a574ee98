"""The door by which an origin reaches the PostgreSQL of the recovery host.

It stands open while the recovery host leads an origin that follows or rejoins, and while it is
tried. At all other times the cluster listens on loopback alone, and admits nobody from outside: an
origin that was breached finds nothing that it could talk to.

A socket of systemd listens on the outer address, and a program hands on to loopback what comes from
the origin and from nobody else; so the door opens and closes while the cluster runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from blocks.lines import lines_of
from tasks.host import confine, files, managed_block, systemd_unit
from tasks.install import programs
from tasks.install.programs import LIBRARY, UNITS
from tasks.postgres import hba, pg_hba
from tasks.postgres.observe import observe
from tasks.run.step import step
from tasks.run.wait import until

PROGRAM = LIBRARY / "door"
LOOPBACK = "127.0.0.1"
OPEN_SECONDS = 10


def unit(instance: OdooInstance) -> str:
    """The unit of the door: NAME.socket listens, and NAME@.service hands on."""
    return f"relevo-door-{instance.name}"


@step("open the door of {instance.recovery} to {instance.origin}")
def admit(instance: OdooInstance) -> None:
    """Let the origin in, by the two roles and over TLS; a boot leaves an open door open."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    if not recovery.cluster.confined:
        return
    _install(instance)
    _put_lines(instance, _lines(instance))
    shell.run(("systemctl", "enable", "--now", f"{unit(instance)}.socket"))
    address = recovery.host.peer_address
    until(
        lambda: is_open(instance),
        what=f"{recovery} listens on {address} port {recovery.cluster.port}",
        timeout_seconds=OPEN_SECONDS,
        hint=f"run systemctl status {unit(instance)}.socket there",
    )


def _install(instance: OdooInstance) -> None:
    """Put the units of the door in place; a run that died before may have left none."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    address = recovery.host.peer_address
    peer, port = instance.origin.host.peer_address, recovery.cluster.port
    listening = systemd_unit.door_socket(instance.name, address=address, port=port, peer=peer)
    found = confine.properties(peers=(peer, address))
    handing = systemd_unit.door_service(
        instance.name, command=(str(PROGRAM), peer, str(port)), properties=found
    )
    programs.install_script(shell, PROGRAM, "door.py")
    files.install(shell, UNITS / f"{unit(instance)}.socket", listening)
    files.install(shell, UNITS / f"{unit(instance)}@.service", handing)
    shell.run(("systemctl", "daemon-reload"))


@step("close the door of {instance.recovery} to {instance.origin}")
def shut(instance: OdooInstance) -> None:
    """Let nobody in from outside; prove that nothing listens there."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    if not recovery.cluster.confined:
        return
    names = (f"{unit(instance)}.socket", f"{unit(instance)}@*.service")
    if files.exists(shell, UNITS / names[0]):
        shell.run(("systemctl", "disable", names[0]))
        shell.run(("systemctl", "stop", *names))
    _put_lines(instance, "")
    until(
        lambda: not is_open(instance),
        what=f"nothing listens on {recovery.host.peer_address} port {recovery.cluster.port}",
        timeout_seconds=OPEN_SECONDS,
        hint=f"run ss -ltnp on {recovery}: no cluster there may listen on an outer address",
    )


@contextmanager
def opened(instance: OdooInstance) -> Iterator[None]:
    """Open the door to try it; it stays open only beside a recovery host that leads."""
    admit(instance)
    try:
        yield
    finally:
        if not observe(instance.recovery).is_primary:
            shut(instance)


def is_open(instance: OdooInstance) -> bool:
    """Tell whether anything listens on the outer address at the cluster's port."""
    recovery = instance.recovery
    argv = ("ss", "-Hltn", f"sport = :{recovery.cluster.port}")
    heard = [line.split()[3] for line in recovery.host.shell().run(argv).stdout.splitlines()]
    inner = (f"{LOOPBACK}:", "[::1]:")
    return any(not address.startswith(inner) for address in heard)


def judge(instance: OdooInstance) -> str:
    """Require that the door is shut while the recovery host follows."""
    recovery = instance.recovery
    if recovery.cluster.confined and is_open(instance):
        raise RelevoError(
            f"PostgreSQL of {instance.name} on {recovery} is a standby, but accepts connections "
            "from other servers: run replicate, which closes its port to them"
        )
    return "shut" if recovery.cluster.confined else "none: it listens at all times"


def by_hand(instance: OdooInstance, *, opened: bool) -> str:
    """Write the commands that open or close the door where Relevo cannot: each in its line."""
    found, name = instance.recovery.cluster, unit(instance)
    if not found.confined:
        return "# this cluster listens for the other server at all times"
    hba, lines = found.config_dir / "pg_hba.conf", _lines(instance).splitlines()
    gone = " ".join(f"-e '\\|^{line}|d'" for line in lines)
    put = " ".join(f"-e '1i {line}'" for line in lines)
    changed = (
        f"sed -i {gone} {hba}",
        *((f"sed -i {put} {hba}",) if opened else ()),
        f"runuser -u {found.owner} -- pg_ctlcluster {found.version} {found.name} reload",
    )
    if opened:
        return "\n".join((*changed, f"systemctl enable --now {name}.socket"))
    return "\n".join((f"systemctl disable --now {name}.socket", *changed))


def _lines(instance: OdooInstance) -> str:
    roles = instance.replication
    return pg_hba.replication(user=roles.user, rewind_user=roles.rewind_user, peer=LOOPBACK)


def _put_lines(instance: OdooInstance, lines: str) -> None:
    """Give pg_hba.conf the lines of the door, or none, and let PostgreSQL read it."""
    recovery, name = instance.recovery, f"{instance.name} door"
    foreign = set(_lines(instance).splitlines())

    def change(text: str) -> str:
        kept = lines_of(managed_block.without(text, name=name))
        rest = "".join(line for line in kept if line.rstrip("\n") not in foreign)
        return managed_block.put(rest, name=name, lines=lines) if lines else rest

    hba.edit(recovery, change)
