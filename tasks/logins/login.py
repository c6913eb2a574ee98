"""How the cluster on one host logs in to that on the other: its roles, its words, the proof."""

from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from blocks.sql import Identifier, compose
from tasks.host import files, layout
from tasks.logins import certificate, conninfo, pgpass, roles
from tasks.run.step import step

# What pg_rewind may call on a running source (PostgreSQL manual, pg_rewind, Notes). The grants
# hold in the database in which they are given, and only there: in postgres, like all of ours.
REWIND_FUNCTIONS = {
    "pg_catalog.pg_ls_dir(text, boolean, boolean)": (
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean) TO {role}"
    ),
    "pg_catalog.pg_stat_file(text, boolean)": (
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text, boolean) TO {role}"
    ),
    "pg_catalog.pg_read_binary_file(text)": (
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text) TO {role}"
    ),
    "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)": (
        "GRANT EXECUTE ON FUNCTION "
        "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO {role}"
    ),
}
REWIND_DATABASE = "postgres"
MAY = "SELECT has_function_privilege($1, $2, 'EXECUTE')"
# What the role of pg_rewind asks of itself, over the network.
MAY_I = """
SELECT pg_catalog.has_function_privilege('pg_catalog.pg_ls_dir(text, boolean, boolean)', 'EXECUTE')
AND pg_catalog.has_function_privilege('pg_catalog.pg_stat_file(text, boolean)', 'EXECUTE')
AND pg_catalog.has_function_privilege('pg_catalog.pg_read_binary_file(text)', 'EXECUTE')
AND pg_catalog.has_function_privilege(
    'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)', 'EXECUTE')
"""


@step("create the replication roles on {place}")
def create_roles(instance: OdooInstance, place: Place) -> None:
    """Create the two roles with exactly what they need; mend what differs, if they are ours."""
    there = [(role, roles.find(place, role)) for role in roles.wanted(instance)]
    for role, found in there:
        roles.require_ours(instance, place, role, found)
    for role, found in there:
        roles.put(place, role, found)
    _grant_rewind(place, instance.replication.rewind_user)


def _grant_rewind(place: Place, role: str) -> None:
    shell, cluster = place.host.shell(), place.cluster
    for function, grant in REWIND_FUNCTIONS.items():
        if cluster.value(shell, MAY, role, function) != "t":
            cluster.execute(shell, compose(grant, role=Identifier(role)))


@step("write the password file of PostgreSQL on {place}")
def write_pgpass(instance: OdooInstance, place: Place, peer: Place) -> None:
    """Let postgres on one host log in to the other's cluster with the two roles."""
    shell = place.host.shell()
    host, port = peer.host.peer_address, peer.cluster.port
    streams, rewinds = roles.wanted(instance)
    entries = (
        pgpass.Entry(host, port, "replication", streams.name, streams.password),
        pgpass.Entry(host, port, REWIND_DATABASE, rewinds.name, rewinds.password),
    )
    files.edit(
        shell,
        layout.passfile(instance, place),
        lambda text: pgpass.merge(text, entries),
        owner=files.owner(shell, place.cluster.owner),
        mode="600",
    )


def forget_passwords(instance: OdooInstance, path: PurePosixPath, user: str) -> None:
    """Take the passwords for an origin out of a password file on the recovery host."""
    shell, origin = instance.recovery.host.shell(), instance.origin
    starts = f"{pgpass.escape(origin.host.peer_address)}:{origin.cluster.port}:"
    forget_lines(shell, path, starts, user=user)


def forget_lines(shell: Shell, path: PurePosixPath, starts: str, *, user: str) -> None:
    """Take the lines that begin so out of a user's password file."""
    if files.exists(shell, path):
        files.edit(
            shell,
            path,
            lambda text: pgpass.without(text, starts),
            owner=files.owner(shell, user),
            mode="600",
        )


def stream_conninfo(instance: OdooInstance, node: Place, leader: Place, *, name: str = "") -> str:
    """How a node reaches its leader to stream; the password stands in .pgpass.

    Under the instance's own name commits may wait for it: only a standby may bear it.
    """
    return conninfo.primary(
        host=leader.host.peer_address,
        port=leader.cluster.port,
        user=instance.replication.user,
        passfile=str(layout.passfile(instance, node)),
        name=name or instance.name,
        tls=certificate.options(instance, node, leader),
    )


def rewind_conninfo(instance: OdooInstance, node: Place, leader: Place) -> str:
    """How pg_rewind reaches its source; without a dbname libpq would take the user's name."""
    return conninfo.render(
        host=leader.host.peer_address,
        port=leader.cluster.port,
        user=instance.replication.rewind_user,
        dbname=REWIND_DATABASE,
        passfile=str(layout.passfile(instance, node)),
        **certificate.options(instance, node, leader),
        connect_timeout=10,
        options="-c statement_timeout=0",
    )


@step("try the login of {node} to {leader}")
def prove_login(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Log in over the real way, with the real roles: network, TLS, pg_hba, password, grants.

    The leader's certificate is pinned first, by way of ssh.
    """
    certificate.pin(instance, node, leader)
    _try(instance, node, leader)


def judge(instance: OdooInstance) -> str:
    """Require by day that the standby could log in anew; the stream that runs proves it not."""
    recovery, origin = instance.recovery, instance.origin
    wanted = roles.wanted(instance)
    if lost := [each.name for each in wanted if roles.find(origin, each) is None]:
        raise Refused(
            f"PostgreSQL on {origin} has lost roles of Relevo: {', '.join(lost)}",
            hint="run replicate, which creates them again",
        )
    _try(instance, recovery, origin)
    return f"{recovery} logs in to PostgreSQL of {origin}"


def _try(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Log in with both roles, under a name that no commit waits for."""
    shell, psql = node.host.shell(), str(node.cluster.bin_dir / "psql")
    rewind = rewind_conninfo(instance, node, leader)
    plain = stream_conninfo(instance, node, leader, name=f"{instance.name}_login")
    stream = f"{plain} dbname='replication' replication='true'"
    for string, question in ((stream, "IDENTIFY_SYSTEM"), (rewind, MAY_I)):
        argv = (psql, "--no-password", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", string)
        done = shell.run(argv, user=node.cluster.owner, stdin=question, check=False)
        if done.status != 0 or done.stdout.strip() == "f":
            raise Refused(
                f"{node} cannot log in to PostgreSQL of {leader} "
                f"({leader.host.peer_address} port {leader.cluster.port}): {done.tail}",
                hint=_hint(node, leader, done.tail),
            )


def _hint(node: Place, leader: Place, message: str) -> str:
    """What to do, after what libpq and the server have said."""
    if "certificate" in message:
        return (
            f"renew the certificate of PostgreSQL on {leader} (ssl_cert_file), correct the clocks, "
            "reload PostgreSQL there, then run this again"
        )
    if "pg_hba.conf" in message:
        return (
            f"look in pg_hba.conf on {leader} for a line above those of Relevo that rejects "
            f"{node.host.peer_address}, then run this again"
        )
    if "FATAL" in message:
        return f"read the end of PostgreSQL's log on {leader}, then run setup-primary again"
    return (
        f"open this port on {leader} for {node.host.peer_address} in every firewall between them, "
        "then run setup-primary again"
    )
