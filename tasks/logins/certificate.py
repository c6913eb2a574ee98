"""TLS between the two clusters: each is told the other's certificate by the ssh that is trusted.

A server certificate that is its own root, as Debian's is, becomes the only root that the other
side believes: whoever sits in the middle of port 5432 has another key. One that an authority
signed cannot be pinned like this by libpq; then the way is encrypted, and said to be no more.
"""

from pathlib import PurePosixPath

from blocks.instance import OdooInstance, Place
from tasks.host import files, layout
from tasks.postgres.observe import observe
from tasks.run.step import log


def file_name(instance: OdooInstance, leader: Place) -> str:
    return f"relevo_{instance.name}_{leader.kind}.pem"


def path(instance: OdooInstance, node: Place, leader: Place) -> PurePosixPath:
    name = file_name(instance, leader)
    if node.cluster.confined:
        return layout.postgres(instance) / name
    return files.home(node.host.shell(), node.cluster.owner) / ".postgresql" / name


def pin(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Tell a node by which certificate it knows its leader."""
    there, here = leader.host.shell(), node.host.shell()
    source = _shown(leader)
    target = path(instance, node, leader)
    argv = ("openssl", "verify", "-CAfile", str(source), str(source))
    own_root = there.run(argv, user=leader.cluster.owner, check=False)
    if own_root.status == 0:
        text = shown(leader)
        files.install(here, target, text, owner=f"{node.cluster.owner}:", mode="600")
    else:
        log().warning("the certificate of PostgreSQL on %s cannot be pinned on %s", leader, node)
        files.remove(here, target)


def _shown(leader: Place) -> PurePosixPath:
    named = PurePosixPath(leader.cluster.value(leader.host.shell(), "SHOW ssl_cert_file"))
    return named if named.is_absolute() else observe(leader).directory / named


def shown(leader: Place) -> str:
    """The certificate with which a cluster is configured, as PEM.

    Read as its owner: which file that is, the customer's superuser says.
    """
    argv = ("cat", str(_shown(leader)))
    return leader.host.shell().run(argv, user=leader.cluster.owner).stdout


def options(instance: OdooInstance, node: Place, leader: Place) -> dict[str, str]:
    """What a connection of this node demands of its leader's certificate."""
    pinned = path(instance, node, leader)
    if files.exists(node.host.shell(), pinned):
        return {"sslmode": "verify-ca", "sslrootcert": str(pinned)}
    return {"sslmode": "require"}
