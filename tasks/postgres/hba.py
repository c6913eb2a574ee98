"""Who may connect to a cluster: pg_hba.conf, and the role map in pg_ident.conf."""

from collections.abc import Callable
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.host import files, managed_block
from tasks.postgres import pg_hba
from tasks.postgres.cluster import config_owner
from tasks.postgres.cluster_settings import in_force, load
from tasks.postgres.observe import observe
from tasks.run.step import step


@step("admit {peer} in pg_hba.conf of {place}")
def admit(instance: OdooInstance, place: Place, peer: Place, *, odoo_role: str = "") -> None:
    """Let the two roles in from the one other server, and the recovery's own users by a role map.

    A cluster that is confined lets nobody in from outside but while its door is open.
    """
    shell, cluster, roles = place.host.shell(), place.cluster, instance.replication
    hba, ident = (cluster.config_dir / name for name in ("pg_hba.conf", "pg_ident.conf"))
    lines = (
        ""
        if cluster.confined
        else pg_hba.replication(
            user=roles.user, rewind_user=roles.rewind_user, peer=peer.host.peer_address
        )
    )
    if odoo_role:
        lines += pg_hba.superuser_map(map_name="relevo")
        lines += pg_hba.odoo_map(map_name="relevo", role=odoo_role)
        mapped = pg_hba.ident(map_name="relevo", system_user=place.odoo.user, role=odoo_role)
        mapped += pg_hba.ident(map_name="relevo", system_user=cluster.owner, role="postgres")
        _put(shell, place, ident, instance.name, mapped)
    lines += pg_hba.nobody_else() if cluster.confined else ""
    _put(shell, place, hba, instance.name, lines)
    if observe(place).answers:
        load(shell, place, hba, *([ident] if odoo_role else []))
    _require_valid_hba(place)


def _put(shell: Shell, place: Place, path: PurePosixPath, name: str, lines: str) -> None:
    files.edit(
        shell,
        path,
        lambda text: managed_block.put(text, name=name, lines=lines),
        owner=config_owner(shell, place.cluster, group=True),
        mode="640",
    )


def edit(place: Place, change: Callable[[str], str]) -> None:
    """Change who may connect to a cluster, and let PostgreSQL read it; refuse a spoiled file."""
    shell, path = place.host.shell(), place.cluster.config_dir / "pg_hba.conf"
    owner = config_owner(shell, place.cluster, group=True)
    files.edit(shell, path, change, owner=owner, mode="640")
    if observe(place).answers:
        load(shell, place, path)
    _require_valid_hba(place)


def require_usual(place: Place) -> None:
    """Refuse a cluster that lets people in by other files than those that Relevo writes."""
    folder = place.cluster.config_dir
    usual = {"hba_file": folder / "pg_hba.conf", "ident_file": folder / "pg_ident.conf"}
    found = in_force(place, tuple(usual))
    for name, path in usual.items():
        if (other := found.get(name, str(path))) != str(path):
            raise Refused(
                f"PostgreSQL on {place} reads {other} and not {path} ({name})",
                hint=f"move that file to {path} and take {name} out of its postgresql.conf, then "
                "restart it",
            )


def _require_valid_hba(place: Place) -> None:
    if not observe(place).answers:
        return
    sql = "SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL"
    if rows := place.cluster.query(place.host.shell(), sql):
        raise Refused(
            f"pg_hba.conf on {place} has an error in line {rows[0]['line_number']}: "
            f"{rows[0]['error']}",
            hint="fix that line; PostgreSQL ignores the whole file until then",
        )
