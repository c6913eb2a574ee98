"""What both servers must have before anything is set up, all of it said at once."""

from collections.abc import Callable, Iterable, Iterator

from blocks import users
from blocks.errors import CommandFailed, Refused, RelevoError
from blocks.instance import OdooInstance, Place
from blocks.names import TRIED
from tasks.odoo import odoo_settings, service
from tasks.postgres import cluster_settings
from tasks.postgres.lsclusters import Listed
from tasks.postgres.observe import LET_US_ASK, find, observe
from tasks.readiness import compatibility_rules, probes
from tasks.readiness.probes import Need, PlaceOf, SetUp
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
NO_SOCKET = "No such file"  # libpq's words
NOT_ASKED = "its PostgreSQL cannot be asked where it listens"
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
        log().warning("%s", compatibility_rules.untried(version))
    if found := essential(probes.refusals(NEEDS, instance)):
        raise Refused(
            f"{instance.name} cannot be replicated yet: "
            + "; ".join(dict.fromkeys(error.message for error in found)),
            hint="; ".join(dict.fromkeys(error.hint for error in found if error.hint)),
        )


def essential(found: list[RelevoError]) -> list[RelevoError]:
    """Leave out what only stumbled over something that is missing."""
    return [each for each in found if not isinstance(each, CommandFailed)] or found


def _there(place_of: PlaceOf) -> Callable[[OdooInstance], str]:
    """Require the users, commands, paths and units of a place."""

    def ask(instance: OdooInstance) -> str:
        place = place_of(instance)
        commands, paths, units = wanted(instance, place)
        argv = (
            "sh", "-c", LACKING, "lacking", _user_to_be_there(instance, place),
            *map(" ".join, (commands, paths, units)),
        )  # fmt: skip
        output = place.host.shell().run(argv).stdout
        _require_none(f"{place} lacks {line}" for line in output.splitlines())
        return f"{len(commands)} commands and {len(paths)} paths are there"

    return ask


def _require_none(found: Iterable[str]) -> None:
    if said := "; ".join(found):
        raise Refused(said)


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


def _address(place_of: PlaceOf) -> Callable[[OdooInstance], str]:
    """Require that a place can listen where the other will call."""

    def ask(instance: OdooInstance) -> str:
        place = place_of(instance)
        address = place.host.peer_address
        script = 'ip -o addr show | grep -qF " $1/"'
        argv = ("sh", "-c", script, "bound", address)
        if place.kind == "origin" and (why := _needless(place)):
            return why
        if place.host.shell().run(argv, check=False).status != 0:
            raise Refused(
                f"no interface of {place} has its peer_address {address}: nothing can listen there"
            )
        return f"{address} is on an interface of {place}"

    return ask


def _needless(place: Place) -> str:
    """Say why a cluster at the origin needs no address of its own; nothing where it does."""
    listed, at_all = find(place.host.shell(), place), f"{place} listens on all addresses"
    if listed is None or not listed.online or listed.port != place.cluster.port:
        return NOT_ASKED
    if observe(place).refuses:
        return NOT_ASKED
    return at_all if cluster_settings.in_force(place, LISTEN)["listen_addresses"] == "*" else ""


def _listed(instance: OdooInstance) -> Listed:
    origin = instance.origin
    if (listed := find(origin.host.shell(), origin)) is None:
        raise Refused(f"{origin} has no cluster {origin.cluster} (see pg_lsclusters there)")
    return listed


def _cluster(instance: OdooInstance) -> str:
    """Require the cluster that the inventory names, as Debian has it, and that it lets us ask."""
    _require_none(_of_the_cluster(instance.origin, listed := _listed(instance)))
    return f"{instance.origin.cluster} has port {listed.port}"


def _of_the_cluster(origin: Place, listed: Listed) -> Iterator[str]:
    if listed.owner != "postgres":
        yield f"{origin.cluster} on {origin} belongs to {listed.owner}, not to postgres"
    if listed.port != origin.cluster.port:
        yield f"{origin.cluster} on {origin} has port {listed.port} (postgres.port)"
    elif listed.online and (state := observe(origin)).refuses:
        yield f"PostgreSQL {origin.cluster} on {origin} is {state}: {LET_US_ASK}"
    elif listed.online and NO_SOCKET in state.message:
        yield (
            f"PostgreSQL {origin.cluster} on {origin} has no socket in {origin.cluster.sockets}: "
            "add that folder to its unix_socket_directories"
        )


def _layout(instance: OdooInstance) -> str:
    """Require a quiet login, a data directory that can be moved, and Odoo's unit at its port."""
    origin = instance.origin
    argv = (
        "sh", "-c", LAYOUT, "layout", origin.host.user, str(_listed(instance).data_directory),
        origin.odoo.unit, str(origin.odoo.http_port),
    )  # fmt: skip
    output = origin.host.shell().run(argv).stdout
    _require_none(f"on {origin}, {line}" for line in output.splitlines())
    service.require_own_file(origin)
    return "login, data directory and unit are as Relevo can work with"


SETTINGS = Need(
    "settings of Odoo", odoo_settings.measure,
    tried="the start settings of the origin's Odoo are compared with the inventory: its command "
    "line, its environment, odoo.conf",
    remedy="set it in odoo.conf, or correct the inventory", by=("preflight", "build", "check"),
    moves=("replicate", "failover", "switchover"), when=probes.primary, before=True,
)  # fmt: skip
FIX = "fix it on the origin, or in the inventory, and run this again"
# Without these most questions cannot even be asked.
THERE: tuple[Need, ...] = (
    SetUp(
        "what the origin must have", _there(lambda instance: instance.origin),
        tried="users, commands, paths and units are looked for", remedy=PACKAGES,
    ),
    SetUp(
        "what the recovery must have", _there(lambda instance: instance.recovery),
        tried="commands and PostgreSQL's programs are looked for", remedy=PACKAGES,
        hosts="recovery",
    ),
)  # fmt: skip
# What a set-up will need of both servers, before it asks for more (`ahead`).
NEEDS: tuple[Need, ...] = (
    *THERE,
    SetUp(
        "cluster of the origin", _cluster, tried="Debian's list of clusters is read", remedy=FIX,
    ),
    SetUp(
        "address of the origin", _address(lambda instance: instance.origin),
        tried="peer_address is looked for on the interfaces", remedy=FIX,
    ),
    SetUp(
        "address of the recovery", _address(lambda instance: instance.recovery),
        tried="peer_address is looked for on the interfaces",
        remedy="correct recovery.peer_address in the inventory", hosts="recovery",
    ),
    SetUp(
        "layout of the origin", _layout,
        tried="a login prints nothing; the data directory is neither link nor mount point; the "
        "port of Odoo is its own unit's, whose file is no link",
        remedy=FIX,
    ),
    SETTINGS,
)  # fmt: skip
