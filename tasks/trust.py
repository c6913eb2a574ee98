"""The way by which the recovery host fetches files from the origin, and no more than that."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks import files
from tasks.policy import log, step
from tasks.text import block, rsync_gate, ssh

WRITABLE_SECONDS = 6 * 3600


def key_path(instance: OdooInstance, home: PurePosixPath) -> PurePosixPath:
    return home / ".ssh" / f"relevo_{instance.name}"


def gate_path(instance: OdooInstance) -> PurePosixPath:
    return PurePosixPath("/usr/local/lib/relevo") / f"{instance.name}-gate"


def until_path(instance: OdooInstance) -> PurePosixPath:
    return PurePosixPath("/run/relevo") / f"{instance.name}.writable"


def file_quarantine(instance: OdooInstance) -> PurePosixPath:
    """Where the origin keeps the files that only it had, beside its data directory."""
    data = instance.origin.odoo.data_dir
    return data.with_name(data.name + ".relevo-quarantine")


@step("make the key of {instance.name} on {instance.recovery}")
def make_key(instance: OdooInstance) -> str:
    """Make the key of this instance, once; return its public half."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    home = files.home(shell, user)
    path = key_path(instance, home)
    owner = files.owner(shell, user)
    files.make_directory(shell, path.parent, owner=owner, mode="700")
    if not files.exists(shell, path):
        comment = f"relevo {instance.name}"
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
        shell.run(argv, user=user)
    public = path.with_name(path.name + ".pub")
    return ssh.public_key(files.read(shell, public), where=f"{instance.recovery} in {public}")


@step("admit that key at {instance.origin}, for rsync alone")
def authorise_key(instance: OdooInstance, public_key: str) -> None:
    """Admit the key from the recovery host's address, with the gate as its only command.

    It logs in as the runner's own user there, who is known to be able to; Odoo's packaged user
    often is not. The gate then runs as Odoo's user.
    """
    origin = instance.origin
    shell, login = origin.host.shell(), origin.host.user
    files.install(shell, gate_path(instance), _gate(instance), mode="755")
    files.make_directory(
        shell, file_quarantine(instance), owner=files.owner(shell, origin.odoo.user),
        mode="700",
    )  # fmt: skip
    home, owner = files.home(shell, login), files.owner(shell, login)
    files.make_directory(shell, home / ".ssh", owner=owner, mode="700")
    line = ssh.authorized_key(
        public_key=public_key,
        gate=gate_path(instance),
        peer=instance.recovery.host.peer_address,
        login=login,
        user=origin.odoo.user,
    )
    path = home / ".ssh" / "authorized_keys"
    files.edit(
        shell,
        path,
        lambda text: block.put(text, name=instance.name, lines=line),
        owner=owner,
        mode="600",
    )


def _gate(instance: OdooInstance) -> str:
    odoo = instance.origin.odoo
    return rsync_gate.render(
        instance=instance.name,
        read=(odoo.data_dir, *odoo.sources),
        write=(odoo.data_dir, file_quarantine(instance)),
        until=until_path(instance),
    )


@step("pin the host key of {instance.origin} on {instance.recovery}")
def pin_host_key(instance: OdooInstance) -> None:
    """Tell the recovery host the origin's keys, over the connections that are already trusted."""
    origin, shell = instance.origin.host, instance.recovery.host.shell()
    argv = ("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
    known = ssh.known_hosts(origin.shell().run(argv).stdout, alias=instance.name)
    user = instance.recovery.odoo.user
    home, owner = files.home(shell, user), files.owner(shell, user)
    key = key_path(instance, home)
    known_path = key.with_name(key.name + ".known")
    entry = ssh.host_entry(
        name=instance.name, address=origin.peer_address, port=origin.port, user=origin.user,
        key=key, known=known_path,
    )  # fmt: skip
    files.install(shell, known_path, known, owner=owner, mode="644")
    config = home / ".ssh" / "config"
    files.edit(
        shell,
        config,
        lambda text: block.put(text, name=instance.name, lines=entry),
        owner=owner,
        mode="600",
    )


@step("try the key of {instance.name} from {instance.recovery}")
def prove_key(instance: OdooInstance) -> None:
    """See that rsync comes through, and that a shell does not."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    source = f"{instance.name}:{instance.origin.odoo.data_dir}/"
    listed = shell.run(("rsync", "--list-only", "--dirs", source), user=user, check=False)
    if listed.status != 0:
        raise Refused(
            f"{instance.recovery} cannot fetch files from {instance.origin}: {listed.tail}",
            hint=f"let {instance.recovery.host.peer_address} reach sshd at "
            f"{instance.origin.host.peer_address} port {instance.origin.host.port}",
        )
    if shell.run(("ssh", instance.name, "id"), user=user, check=False).status == 0:
        raise Refused(
            f"the key of {instance.name} opens a shell at {instance.origin}",
            hint="see what sshd_config there does to authorized_keys of "
            f"{instance.origin.host.user}",
        )


@contextmanager
def writable(instance: OdooInstance) -> Iterator[None]:
    """Let the key write at the origin for as long as a copy back runs.

    The permission ends by itself, so a killed worker cannot leave it open. It ends by the clock of
    the origin, which after a power cut may be another than ours.
    """
    shell, path = instance.origin.host.shell(), until_path(instance)
    now = int(shell.run(("date", "+%s")).stdout)
    files.install(shell, path, f"{now + WRITABLE_SECONDS}\n")
    log().info("the key of %s may write at %s until the copy has ended", instance.name, path)
    try:
        yield
    finally:
        files.remove(shell, path)
