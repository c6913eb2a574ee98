"""What is measured while the recovery host serves: do customers work there, and for how long?"""

from contextlib import suppress
from functools import partial

from blocks.errors import RelevoError
from blocks.instance import OdooInstance, Place
from tasks.authority import keys
from tasks.postgres.observe import observe_or_why, unheard
from tasks.readiness import writable
from tasks.readiness.probes import ODOO, Ends, Need, files, http, odoo, origin_host
from tasks.receipts import receipt_files, receipts
from tasks.recovery import users
from tasks.serving import dns, https, renewal, site
from tasks.standby import replication


def roles(instance: OdooInstance, ends: Ends) -> str:
    """Say that the recovery host serves, which is no state to stay in; two writers are worse."""
    origin, recovery = instance.origin, instance.recovery
    if not ends.leads:
        raise RelevoError(f"customers are served from the recovery host, {recovery}")
    entitled = _entitled(instance)
    other = str(instance.opposite(entitled)) if entitled else "one of them"
    raise RelevoError(
        f"BOTH {origin} and {recovery} accept writes: {_right(entitled)}; power {other} off now"
    )


def _entitled(instance: OdooInstance) -> Place | None:
    """Whom the newest receipt gives the write right; none where there is none to be read."""
    with suppress(RelevoError):  # that both write is said in any case
        if known := receipts.newest(instance):
            return instance.origin if known.taker == instance.origin.kind else instance.recovery
    return None


def _right(entitled: Place | None) -> str:
    if entitled is None:
        return "no receipt that can be read says who has the write right"
    return f"the newest receipt gives the write right to {entitled}"


def _receipt(instance: OdooInstance) -> str:
    """The recovery host's own receipts are genuine, and the newest is its own."""
    kept = receipt_files.history(instance, instance.recovery)
    if not kept or kept[-1].taker != instance.recovery.kind:
        raise RelevoError(
            f"no receipt gives the write right of {instance.name} to {instance.recovery}, which "
            "was promoted by hand: failback corrects this"
        )
    return str(kept[-1])


def _origin(instance: OdooInstance) -> list[str]:
    """What becomes of the other end: does anything follow what customers write?"""
    origin, recovery = instance.origin, instance.recovery
    state, why = observe_or_why(origin)
    if state and state.is_standby and replication.is_streaming(instance, origin, recovery):
        return [f"{origin} follows {recovery}"]
    sentence = f"{origin} is {state}" if state else unheard(origin, why)
    return [sentence, f"{sentence}: what customers write is only on {recovery}"]


# What the failback will need, and customers until then.
NEEDS: tuple[Need, ...] = (
    Need(
        ODOO["recovery"], odoo(lambda instance: instance.recovery),
        tried="systemd is asked whether the unit runs, and would after a boot",
        remedy="run failover, which starts it", moves=("failover",),
    ),
    Need(
        "HTTP", http(lambda instance: instance.recovery),
        tried="Odoo is asked for a page as a browser asks, but not through nginx",
        remedy="read the journal of its unit there", moves=("failover",),
    ),
    Need(
        "site", partial(site.judge, form="serving"),
        tried="nginx is asked, by each name, for a page that this site alone has",
        remedy="run failover, which shows it again", moves=("failover",),
    ),
    Need(
        "certificates", partial(https.judge, form="serving"),
        tried="the certificate that nginx shows is checked as a browser does: names, days left, "
            "who signed it",
        remedy="renew it on the recovery host (docs/server.md)", moves=("failover",),
    ),
    Need(
        "certificates at the origin", renewal.at_origin,
        tried="the days that are left are read from the files that its nginx shows",
        remedy="renew it there (docs/server.md)", moves=("failback",), when=origin_host,
    ),
    Need(
        "names", lambda instance: dns.judge(instance, instance.recovery),
        tried="the zone's name servers are asked; once a day a record is written at the provider",
        remedy="run failover, which points them again", moves=("failover", "failback"),
    ),
    Need(
        "signing key", keys.measure, tried="the key of this runner is compared with those of both "
            "hosts",
        remedy="restore secrets.yaml from its backup, or run relevo rotate-key",
        moves=("failback",),
    ),
    Need(
        "receipts", _receipt, tried="each receipt is read, and its signature verified",
        remedy="run failback, which corrects it", moves=("failback",),
    ),
    Need(
        "files", files, tried="the engine looks for the file of each attachment",
        remedy="run restore-filestore for what lies in the trash; failback fetches what the origin "
        "has", moves=("failback",),
    ),
    Need(
        "users", users.judge, tried="the host is asked which users this instance has",
        remedy="run replicate after the failback", moves=("failback",),
    ),
    Need(
        "disk at the recovery", writable.disk(lambda instance: instance.recovery),
        tried="the free space is measured on each disk: data, WAL and files",
        remedy="free space there", moves=("failback",),
    ),
    Need(
        "origin", _origin, tried="the origin is asked what its PostgreSQL does",
        remedy="repair the origin, then run failback", moves=("failback", "rejoin"),
    ),
)  # fmt: skip
