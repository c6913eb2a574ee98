"""What both servers must have before anything is set up, all of it said at once."""

from collections.abc import Iterator

from blocks import users
from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.names import TRIED
from tasks.odoo import odoo_settings
from tasks.postgres import cluster_settings
from tasks.postgres.look import LET_US_ASK, find, look
from tasks.readiness import parity_rules
from tasks.run.step import log, step

# Arguments: users, commands, paths and units that must be there.
LACKING = """
for user in $1; do getent passwd "$user" >/dev/null || echo "the user $user"; done
for name in $2; do command -v "$name" >/dev/null || echo "the command $name"; done
for path in $3; do [ -e "$path" ] || echo "$path"; done
for unit in $4; do systemctl cat "$unit" >/dev/null 2>&1 || echo "the unit $unit"; done
"""
# Arguments: a user, a directory, a unit and a port. sshd runs the user's shell as here, for rsync
# as well. A unit that is not the one that serves would be stopped in vain.
LAYOUT = """
IFS=: read -r _ _ _ _ _ home shell <<END
$(getent passwd "$1")
END
said=$(runuser -u "$1" -- env -i HOME="$home" PATH="$PATH" SSH_CLIENT='192.0.2.1 1 22' \\
    "$shell" -c : 2>/dev/null </dev/null | head -c 60 | head -n 1)
[ -z "$said" ] || echo "the login of $1 prints \\"$said\\" also when it is no terminal, and rsync \\
cannot read past that (let its ~/.bashrc begin with: case \\$- in *i*) ;; *) return ;; esac)"
[ ! -L "$2" ] || echo "$2 is a symbolic link, and what is moved aside would stay where it points \
to (name the real folder in data_directory)"
! mountpoint -q "$2" || echo "$2 is a mount point, and could not be moved aside (move the data \\
directory one folder deeper)"
for pid in $(ss -Hltnp "sport = :$4" | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do
    grep -q "/$3" "/proc/$pid/cgroup" || {
        echo "port $4 is served by $(tail -n 1 "/proc/$pid/cgroup" | sed 's,.*/,,'), not by $3 \\
(odoo.unit)"
        break
    }
done
"""
LISTEN = ("listen_addresses",)
EVERYWHERE = ("rsync", "python3", "systemd-run", "pg_lsclusters", "runuser")
AT_RECOVERY = ("ssh", "ssh-keygen", "pg_createcluster", "openssl", "useradd", "systemd-tmpfiles")
PACKAGES = (
    "install the commands from Debian's packages rsync, python3, openssh-client, "
    "postgresql-common and nginx, PostgreSQL's programs from postgresql-VERSION; create a missing "
    "user with useradd --system --create-home --shell /bin/bash; correct a wrong path or unit in "
    "the inventory"
)


@step("require what {instance.origin} and {instance.recovery} must have")
def require_hosts(instance: OdooInstance) -> None:
    """Refuse to begin where a program, a user or a file is missing; name every one of them."""
    if (version := instance.origin.cluster.version) > TRIED[1]:
        log().warning("%s", parity_rules.untried(version))
    lacking = [*_lacking(instance, instance.origin), *_lacking(instance, instance.recovery)]
    if lacking:
        raise Refused(
            f"{instance.name} cannot be replicated yet: {'; '.join(lacking)}", hint=PACKAGES
        )
    if unfit := list(_unfit(instance)):
        raise Refused(
            f"{instance.name} cannot be replicated as it is: {'; '.join(unfit)}",
            hint=f"fix it on {instance.origin}, or in the inventory, and run this again",
        )


def _lacking(instance: OdooInstance, place: Place) -> list[str]:
    commands, paths, units = wanted(instance, place)
    argv = (
        "sh",
        "-c",
        LACKING,
        "lacking",
        _user_to_be_there(instance, place),
        *map(" ".join, (commands, paths, units)),
    )
    said = place.host.shell().run(argv).stdout
    return [f"{place} lacks {line}" for line in said.splitlines()]


def _user_to_be_there(instance: OdooInstance, place: Place) -> str:
    """The user of Odoo; the recovery host's own for this instance is made by the set-up."""
    ours = place.kind == "recovery" and place.odoo.user == users.odoo_user(instance.name)
    return "" if ours else place.odoo.user


def wanted(
    instance: OdooInstance, place: Place
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The commands, paths and units that a place must have."""
    server = str(place.cluster.bin_dir / "postgres")
    if place.kind == "recovery":
        names = (*EVERYWHERE, *AT_RECOVERY, *(("nginx",) if instance.domains else ()))
        return names, (server,), ()
    odoo = place.odoo
    paths = [odoo.config, odoo.data_dir, odoo.program, odoo.python, *odoo.sources]
    for certificate in dict.fromkeys(map(instance.certificate_of, instance.domains)):
        paths += [certificate.chain, certificate.key] if certificate else []
    return EVERYWHERE, (server, *map(str, paths)), (odoo.unit, place.cluster.unit)


def _unbound(place: Place) -> Iterator[str]:
    """Say when a place could not listen where the other will call."""
    address = place.host.peer_address
    script = 'ip -o addr show | grep -qF " $1/"'
    if place.host.shell().run(("sh", "-c", script, "bound", address), check=False).status != 0:
        yield f"no interface of {place} has its peer_address {address}: nothing can listen there"


def _unfit(instance: OdooInstance) -> Iterator[str]:
    """Name what is there, and otherwise than Relevo can work with."""
    origin, shell = instance.origin, instance.origin.host.shell()
    if (listed := find(shell, origin)) is None:
        yield f"{origin} has no cluster {origin.cluster} (see pg_lsclusters there)"
        return
    if listed.owner != "postgres":
        yield f"{origin.cluster} on {origin} belongs to {listed.owner}, not to postgres"
    if listed.port != origin.cluster.port:
        yield f"{origin.cluster} on {origin} has port {listed.port} (postgres.port)"
    elif listed.online and (seen := look(origin)).refuses:
        yield f"PostgreSQL {origin.cluster} on {origin} is {seen}: {LET_US_ASK}"
    elif listed.online and cluster_settings.in_force(origin, LISTEN)["listen_addresses"] != "*":
        yield from _unbound(origin)
    yield from _unbound(instance.recovery)
    argv = (
        "sh", "-c", LAYOUT, "layout", origin.host.user, str(listed.data_directory),
        origin.odoo.unit, str(origin.odoo.http_port),
    )  # fmt: skip
    yield from (f"on {origin}, {line}" for line in shell.run(argv).stdout.splitlines())
    yield from odoo_settings.look(instance).wrong
