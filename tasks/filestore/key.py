"""The way by which the recovery host fetches files from the origin, and no more than that."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from blocks.answers import understood
from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.filestore import rsync_gate
from tasks.host import files, layout, managed_block, sshd
from tasks.host import sshd_settings as reading
from tasks.install import programs
from tasks.logins import ssh as ssh_config
from tasks.run.step import log, step

Purpose: TypeAlias = Literal["repair", "failback"]
WRITABLE_SECONDS = 6 * 3600


def key_path(instance: OdooInstance) -> PurePosixPath:
    """The key that opens the origin's files; root's, and read by the instance's Odoo user alone."""
    if instance.settled == "shared":
        return _former_key(instance, instance.recovery.odoo.user)
    return layout.ssh(instance) / "key"


def _former_key(instance: OdooInstance, user: str) -> PurePosixPath:
    """Where Relevo 0.1 had the key: in the home of the user of all instances."""
    home = files.home(instance.recovery.host.shell(), user)
    return home / ".ssh" / f"relevo_{instance.name}"


def ssh(instance: OdooInstance) -> tuple[str, ...]:
    """How ssh is called on the recovery host to reach the origin by the instance's name."""
    if instance.settled == "shared":
        return ("ssh",)
    return ("ssh", "-F", str(layout.ssh(instance) / "config"))


def rsh(instance: OdooInstance) -> tuple[str, str]:
    """The option with which rsync calls ssh so."""
    return ("--rsh", shlex.join(ssh(instance)))


def gate_path(instance: OdooInstance) -> PurePosixPath:
    return PurePosixPath("/usr/local/lib/relevo") / f"{instance.name}-gate"


def until_path(instance: OdooInstance) -> PurePosixPath:
    return PurePosixPath("/run/relevo") / f"{instance.name}.writable"


def file_quarantine(instance: OdooInstance) -> PurePosixPath:
    """Where the origin keeps the files that only it had, beside its data directory."""
    data = instance.origin.odoo.data_dir
    return data.with_name(data.name + ".relevo-quarantine")


# The folder is root's.
SHOW_KEY = """
set -e
chown "root:$2" "$1"
chmod 640 "$1"
cat "$1.pub"
"""


@step("make the key of {instance.name} on {instance.recovery}")
def make(instance: OdooInstance) -> str:
    """Make the key of this instance, once; return its public half."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    group = files.owner(shell, user).split(":")[1]
    path = key_path(instance)
    sshd.make_key(shell, path, f"relevo {instance.name}")
    output = shell.run(("sh", "-c", SHOW_KEY, "show key", str(path), group)).stdout
    return ssh_config.public_key(output, where=f"{instance.recovery} in {path}.pub")


@step("admit that key at {instance.origin}, for rsync alone")
def authorise(instance: OdooInstance, public_key: str) -> None:
    """Admit the key from the recovery host's address, with the gate as its only command.

    It logs in as the runner's own user there, who is known to be able to; Odoo's packaged user
    often is not. The gate then runs as Odoo's user.
    """
    origin = instance.origin
    shell, login = origin.host.shell(), origin.host.user
    programs.install_program(shell, gate_path(instance), "gate", main=_gate(instance))
    files.make_directory(
        shell, file_quarantine(instance), owner=files.owner(shell, origin.odoo.user),
        mode="700",
    )  # fmt: skip
    line = ssh_config.authorized_key(
        public_key=public_key,
        gate=gate_path(instance),
        peer=instance.recovery.host.peer_address,
        login=login,
        user=origin.odoo.user,
    )
    sshd.admit(
        shell, login, peer=instance.recovery.host.peer_address,
        change=lambda text: managed_block.put(text, name=instance.name, lines=line),
    )  # fmt: skip


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
    known = ssh_config.known_hosts(origin.shell().run(argv).stdout, alias=instance.name)
    group = files.owner(shell, instance.recovery.odoo.user).split(":")[1]
    known_path = layout.ssh(instance) / "known_hosts"
    entry = ssh_config.host_entry(
        name=instance.name, address=origin.peer_address, port=origin.port, user=origin.user,
        key=key_path(instance), known=known_path,
    )  # fmt: skip
    for path, text in ((known_path, known), (layout.ssh(instance) / "config", entry)):
        files.install(shell, path, text, owner=f"root:{group}", mode="640")


@step("try the key of {instance.name} from {instance.recovery}")
def prove(instance: OdooInstance) -> None:
    """See that rsync comes through, and that a shell does not."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    source = f"{instance.name}:{instance.origin.odoo.data_dir}/"
    listing = ("rsync", *rsh(instance), "--list-only", "--dirs", source)
    listed = shell.run(listing, user=user, check=False)
    if listed.status != 0:
        raise Refused(
            f"{instance.recovery} cannot fetch files from {instance.origin}: {listed.tail}",
            hint=reading.hint(
                listed.stderr,
                here=instance.recovery,
                there=instance.origin,
                user=instance.origin.host.user,
                address=instance.origin.host.peer_address,
                port=instance.origin.host.port,
            ),
        )
    if shell.run((*ssh(instance), instance.name, "id"), user=user, check=False).status == 0:
        raise Refused(
            f"the key of {instance.name} opens a shell at {instance.origin}",
            hint=f"check AuthorizedKeysFile in sshd_config there, for {instance.origin.host.user}",
        )


@contextmanager
def writable(instance: OdooInstance, purpose: Purpose) -> Iterator[None]:
    """Let the key write at the origin for as long as a repair or a copy back runs.

    A repair gives single documents back, and opens nothing else: neither rsync nor the addons. The
    permission ends by itself, so a killed worker cannot leave it open. It ends by the clock of
    the origin, which after a power cut may be another than ours.
    """
    shell, path = instance.origin.host.shell(), until_path(instance)
    with understood(f"the clock of {instance.origin}"):
        now = int(shell.run(("date", "+%s")).stdout)
    files.install(shell, path, f"{purpose} {now + WRITABLE_SECONDS}\n")
    log().info("the key of %s may write at the origin for this %s", instance.name, purpose)
    try:
        yield
    finally:
        files.remove(shell, path)
