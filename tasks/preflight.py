"""What both servers must have before anything is set up, all of it said at once."""

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.policy import step

# Arguments: users, commands, paths and units that must be there.
LACKING = """
for user in $1; do getent passwd "$user" >/dev/null || echo "the user $user"; done
for name in $2; do command -v "$name" >/dev/null || echo "the command $name"; done
for path in $3; do [ -e "$path" ] || echo "$path"; done
for unit in $4; do systemctl cat "$unit" >/dev/null 2>&1 || echo "the unit $unit"; done
"""
EVERYWHERE = ("rsync", "python3", "systemd-run", "pg_lsclusters", "runuser")
AT_RECOVERY = ("ssh", "ssh-keygen", "pg_createcluster")
PACKAGES = (
    "the commands are in Debian's packages rsync, python3, openssh-client, postgresql-common and "
    "nginx, PostgreSQL's programs in postgresql-VERSION; make a missing user with useradd --system "
    "--create-home --shell /bin/bash; a wrong path or unit is mended in the inventory"
)


@step("require what {instance.origin} and {instance.recovery} must have")
def require_hosts(instance: OdooInstance) -> None:
    """Refuse to begin where a program, a user or a file is missing; name every one of them."""
    lacking = [*_lacking(instance, instance.origin), *_lacking(instance, instance.recovery)]
    if lacking:
        raise Refused(
            f"{instance.name} cannot be replicated yet: {'; '.join(lacking)}", hint=PACKAGES
        )


def _lacking(instance: OdooInstance, place: Place) -> list[str]:
    commands, paths, units = wanted(instance, place)
    argv = (
        "sh",
        "-c",
        LACKING,
        "lacking",
        place.odoo.user,
        *map(" ".join, (commands, paths, units)),
    )
    said = place.host.shell().run(argv).stdout
    return [f"{place} lacks {line}" for line in said.splitlines()]


def wanted(
    instance: OdooInstance, place: Place
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The commands, paths and units that a place must have."""
    server = str(place.cluster.bin_dir / "postgres")
    if place.kind == "recovery":
        return (*EVERYWHERE, *AT_RECOVERY, *(("nginx",) if instance.domains else ())), (server,), ()
    odoo, certificate = place.odoo, instance.certificate
    paths = [odoo.config, odoo.data_dir, odoo.program, odoo.python, *odoo.sources]
    paths += [certificate.chain, certificate.key] if certificate else []
    return EVERYWHERE, (server, *map(str, paths)), (odoo.unit, place.cluster.unit)
