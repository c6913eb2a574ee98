"""The two roles of an instance: wanted, found, and never taken away from somebody else."""

import secrets
from dataclasses import dataclass, field

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.sql import Identifier, Literal, compose
from tasks.host import files, managed_block
from tasks.logins import scram
from tasks.run.step import log

# By whether there is one, and whether it is to stream.
PUT = {
    (False, True): (
        "CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE REPLICATION "
        "PASSWORD {verifier}"
    ),
    (False, False): (
        "CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
        "PASSWORD {verifier}"
    ),
    (True, True): (
        "ALTER ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE REPLICATION "
        "PASSWORD {verifier}"
    ),
    (True, False): (
        "ALTER ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
        "PASSWORD {verifier}"
    ),
}


SLOTS = "SELECT slot_name FROM pg_replication_slots WHERE slot_name = ANY($1::text[]) ORDER BY 1"


@dataclass(frozen=True)
class Found:
    """What PostgreSQL knows of a role; the password is a hash, or empty."""

    password: str = field(repr=False)
    logs_in: bool
    superuser: bool
    replicates: bool


@dataclass(frozen=True)
class Role:
    """A role as the inventory wants it; `said_by` is the field there that names it."""

    said_by: str
    name: str
    password: str = field(repr=False)
    replicates: bool

    def fits(self, found: Found) -> bool:
        """Tell whether its password is the wanted one, however PostgreSQL keeps it."""
        return scram.matches(self.password, found.password) or scram.matches_md5(
            self.password, self.name, found.password
        )

    def is_right(self, found: Found) -> bool:
        """Tell whether nothing is left to be mended."""
        return (
            scram.matches(self.password, found.password)
            and found.logs_in
            and not found.superuser
            and found.replicates == self.replicates
        )


def wanted(instance: OdooInstance) -> tuple[Role, Role]:
    """The role that streams, and the role of pg_rewind."""
    said = instance.replication
    password, rewind = said.password.get_secret_value(), said.rewind_password.get_secret_value()
    return (
        Role("replication.user", said.user, password, replicates=True),
        Role("replication.rewind_user", said.rewind_user, rewind, replicates=False),
    )


def find(place: Place, role: Role) -> Found | None:
    """Ask for a role of this name; none if there is none."""
    rows = place.cluster.query(
        place.host.shell(),
        "SELECT coalesce(rolpassword, '') AS password, rolcanlogin, rolsuper, rolreplication "
        "FROM pg_authid WHERE rolname = $1",
        role.name,
    )
    if not rows:
        return None
    row = rows[0]
    return Found(
        password=str(row["password"]),
        logs_in=bool(row["rolcanlogin"]),
        superuser=bool(row["rolsuper"]),
        replicates=bool(row["rolreplication"]),
    )


def require_one_name(instance: OdooInstance, place: Place) -> None:
    """Refuse a cluster that is replicated under another name: its guard knows one name alone."""
    others = [name for name in managed_block.names(_hba(place)) if name != instance.name]
    rows = place.cluster.query(place.host.shell(), SLOTS, others) if others else []
    if rows:
        raise _renamed(instance, place, str(rows[0]["slot_name"]))


def _hba(place: Place) -> str:
    return files.read(place.host.shell(), place.cluster.config_dir / "pg_hba.conf")


def _renamed(instance: OdooInstance, place: Place, other: str) -> Refused:
    return Refused(
        f"the cluster {place.cluster} on {place} is already replicated as {other}",
        hint=f"rename it back to {other} in the inventory, and apply it; or remove {other} first "
        f"(docs/take-out.md), and then replicate it as {instance.name}",
    )


def require_ours(instance: OdooInstance, place: Place, role: Role, found: Found | None) -> None:
    """Refuse to take a role away from somebody who logs in with another password.

    Ours has the password of secrets.yaml; or our own lines in pg_hba.conf admit it, when that
    password was changed; or nobody can log in with it.
    """
    if found is None or role.fits(found) or not found.logs_in:
        return
    text = _hba(place)
    _, admitted, _ = managed_block.split(text, name=instance.name)
    if role.name in admitted.split():
        return
    for other in managed_block.names(text):
        if role.name in managed_block.split(text, name=other)[1].split():
            raise _renamed(instance, place, other)
    raise Refused(
        f"PostgreSQL on {place} has a role {role.name} with another password, which Relevo did "
        "not create: a new password would lock out whoever uses it",
        hint=f"name another role in the inventory ({role.said_by}), or put the password of this "
        f"one into secrets.yaml; if nobody uses it, run DROP ROLE {role.name} there",
    )


def put(place: Place, role: Role, found: Found | None) -> None:
    """Create or mend a role; what travels is a verifier, never the password."""
    if found is not None and role.is_right(found):
        return
    made = scram.verifier(role.password, salt=secrets.token_bytes(16))
    put = PUT[found is not None, role.replicates]
    sql = compose(put, name=Identifier(role.name), verifier=Literal(made))
    place.cluster.execute(place.host.shell(), sql)
    log().info("role %s on %s is set", role.name, place)
