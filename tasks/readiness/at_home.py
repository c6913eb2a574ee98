"""What check measures, place by place."""

from dataclasses import replace
from functools import partial

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from tasks.authority import guard, keys, promotable, stage
from tasks.build import build, carried, modules, packages
from tasks.build import programs_of_odoo as programs
from tasks.filestore import follower
from tasks.logins import login
from tasks.postgres.observe import observe, require_programs, unheard
from tasks.postgres.wal import Lsn
from tasks.readiness import compatibility, failed_over, preflight, sources, writable
from tasks.readiness import compatibility_rules as judge
from tasks.readiness import probes as need
from tasks.readiness.probes import (
    COMMITS,
    NOT_MEASURED,
    ODOO,
    ROLES,
    STREAM,
    Ends,
    Found,
    Need,
    odoo,
)
from tasks.receipts import receipt_files
from tasks.recovery import door, users
from tasks.run.moments import size
from tasks.serving import dns, https, site
from tasks.standby import clone, limits, replica, replication, slot
from tasks.synchronous import synchronous_state


def probe(instance: OdooInstance, ends: Ends) -> Found:
    """Ask all that makes sense: what a cluster that is down cannot say is no finding."""
    found, is_away = Found(), ends.recovery.is_primary
    found.take(ROLES, partial(failed_over.roles if is_away else roles, instance, ends))
    for each in failed_over.NEEDS if is_away else NEEDS:
        if each.when(ends):
            found.take(each.name, partial(each.ask, instance), remedy=each.remedy)
        else:
            found.facts[each.name] = NOT_MEASURED
    return found


def roles(instance: OdooInstance, ends: Ends) -> str:
    """Say that the origin is the primary and the recovery host its standby, as usual."""
    origin, recovery = ends.origin, ends.recovery
    if not recovery.answers and stage.leader_is_down(instance):
        raise RelevoError(
            f"customers were moved to {instance.recovery}, and its PostgreSQL is {recovery}: run "
            "failover, which starts it"
        )
    if origin is None:
        raise RelevoError(unheard(instance.origin, ends.why))
    if sentence := limits.why(recovery):
        raise RelevoError(sentence)
    if origin.is_primary and not recovery.answers:
        # One that was made meanwhile has no folder here, and ends the standby that replays it.
        clone.require_no_tablespaces(instance.origin)
    if not need.both(ends):
        raise RelevoError(
            f"{instance.origin} is {origin} and {instance.recovery} is {recovery}, but primary "
            "and standby are expected"
        )
    return f"{instance.origin} is primary, {instance.recovery} is standby"


def _moves(instance: OdooInstance) -> str:
    if sentence := stage.half_done(instance):
        raise RelevoError(f"{sentence}: run failback, which goes on from there")
    return "none under way"


def _stream(instance: OdooInstance) -> str:
    origin, recovery = instance.origin, instance.recovery
    replication.require_no_fork(recovery, origin)
    if not replication.is_streaming(instance, recovery, origin):
        raise RelevoError(f"{recovery} does not stream from {origin}")
    promotable.require_replay(recovery)
    sql = "SELECT pg_last_wal_replay_lsn()"
    replayed = Lsn.parse(recovery.cluster.value(recovery.host.shell(), sql))
    now = Lsn.parse(origin.cluster.value(origin.host.shell(), "SELECT pg_current_wal_lsn()"))
    return f"streaming, {size(max(0, now - replayed))} behind"


def _commits(instance: OdooInstance) -> str:
    """What the origin says of its commits; the other end's part where its PostgreSQL answers."""
    if observe(instance.recovery).answers:
        return synchronous_state.measure(instance)
    return synchronous_state.at_origin(instance)


def _guard(instance: OdooInstance) -> str:
    if sentence := guard.held(instance):
        raise RelevoError(sentence)
    known = guard.require_answered(instance)
    return f"{instance.origin} asks {instance.recovery}: epoch {known['epoch']}, {known['taker']}"


def _receipts(instance: OdooInstance) -> str:
    kept = [
        receipt_files.history(instance, place) for place in (instance.origin, instance.recovery)
    ]
    if kept[0] != kept[1]:
        raise RelevoError(
            f"{instance.origin} and {instance.recovery} keep different receipts of {instance.name}"
        )
    return str(kept[0][-1]) if kept[0] else "none yet"


def _built(instance: OdooInstance) -> list[str]:
    promotable.require_ready(instance)
    remarks = build.require_current(instance)
    return ["odoo.conf, unit and files are there, as the inventory says", *remarks]


def _parity(instance: OdooInstance) -> list[str]:
    require_programs(instance.recovery)
    replica.refuse_lacking_locales(instance)  # without its own a database lets nobody in
    pair = compatibility.measure(instance)
    if wrong := judge.wrong(pair):
        raise RelevoError("; ".join(wrong))
    return [str(pair), *judge.remarks(pair)]


# What a failover, and the way home after it, will need; docs/reference/needs.md is made of it.
NEEDS: tuple[Need, ...] = (
    Need(
        "moves", _moves, tried="the records of both hosts are read",
        remedy="run failback, which goes on from there", moves=need.EVERY_MOVE,
    ),
    Need(
        "users", users.judge, tried="the host is asked which users this instance has",
        remedy="run replicate", by=("preflight", "check"), hosts="recovery", before=True,
    ),
    Need(
        "door", door.judge, tried="the origin logs in through it at each build; check sees that "
            "it is closed",
        remedy="run replicate", moves=("failback", "rejoin"), by=("build", "check"),
        when=need.both,
    ),
    Need(
        "signing key", keys.measure, tried="the key of this runner is compared with those of both "
            "hosts",
        remedy="restore secrets.yaml from its backup, or run relevo rotate-key",
        moves=("replicate", *need.EVERY_MOVE), by=("preflight", "check"), before=True,
    ),
    Need(
        STREAM, _stream, tried="both clusters are asked how far they have written and replayed",
        remedy="read PostgreSQL's log on the recovery host", when=need.both,
    ),
    Need(
        "slot", slot.judge, tried="the origin is asked what its slot keeps",
        remedy="run replicate, which makes a new copy beside the old one", when=need.both,
    ),
    Need(
        "login at the origin", login.judge,
        tried="the recovery host logs in to its PostgreSQL, with the role that streams and with "
        "that of pg_rewind",
        remedy="run replicate, which creates the roles and admits them", moves=need.EVERY_MOVE,
        by=("check",), when=need.both,
    ),
    Need(
        COMMITS, _commits, tried="the origin is asked whether commits wait",
        remedy="run replicate", when=need.primary,
    ),
    Need(
        "guard", _guard, tried="the guard at the origin has asked, and got an answer",
        remedy="run replicate, which installs the guard", moves=need.EVERY_MOVE,
        by=("build", "check"), when=need.origin_host,
    ),
    Need(
        "receipts", _receipts, tried="each receipt is read at both hosts, its signature verified",
        remedy="compare them in /var/lib/relevo", moves=need.EVERY_MOVE, when=need.origin_host,
    ),
    Need(
        "parity", _parity,
        tried="versions (those of Relevo's programs too), locales, sorting, extensions, clocks and "
        "disks are compared",
        remedy="run replicate", moves=need.EVERY_MOVE, by=("preflight", "check"), when=need.both,
    ),
    Need(
        ODOO["origin"], odoo(lambda instance: instance.origin),
        tried="systemd is asked whether the unit runs, and would after a boot",
        remedy="start it there", moves=("failback",), when=need.primary, before=True,
    ),
    Need(
        "HTTP at the origin", need.http(lambda instance: instance.origin),
        tried="Odoo is asked for a page as a browser asks, but not through nginx",
        remedy="read the journal of its unit there", moves=("failback",), when=need.primary,
        before=True,
    ),
    Need(
        "service", _built,
        tried="odoo.conf, unit and site are rendered from the inventory, and compared with what "
            "is there; files and a free port are looked for",
        remedy="run build-service", by=("build", "check", "drill"), when=need.standby,
        hosts="recovery",
    ),
    Need(
        "site", partial(site.judge, form="standby"),
        tried="nginx there is asked, by each name, for a page that this site alone has",
        remedy="run build-service", by=("build", "check"), when=need.standby,
    ),
    Need(
        "nginx at the origin", site.beside,
        tried="its configuration is read: which names lead to Odoo, who may come in, what Odoo is "
        "told",
        remedy="add the names to domains", when=need.primary, before=True,
    ),
    Need(
        "certificates", partial(https.judge, form="standby"),
        tried="the certificate that nginx shows is checked as a browser does: names, days left, "
            "who signed it",
        remedy="run build-service", when=need.standby,
    ),
    Need(
        "names", lambda instance: dns.judge(instance, instance.origin),
        tried="the zone's name servers are asked; once a day a record is written at the provider",
        remedy="correct dns in the inventory",
        moves=("failover", "switchover", "failback"), when=need.primary, acts=True,
    ),
    replace(
        preflight.SETTINGS, ask=carried.measure, before=False, moves=("failover", "switchover"),
        tried="the start settings of the origin's Odoo are compared with the inventory, and with "
        "the last build",
    ),
    Need(
        "modules", modules.measure,
        tried="each module that a database has installed is looked for on the recovery host",
        remedy="run rsync-filestore with kind sources, then build-service", by=("build", "check"),
        when=need.standby,
    ),
    Need(
        "sources", sources.measure,
        tried="rsync is asked, as the copy asks it, which files of code have changed at the origin",
        remedy="run rsync-filestore with kind sources, then build-service", moves=("failover",),
        when=need.both,
    ),
    Need(
        "packages", packages.measure,
        tried="its Python imports what Odoo imported when it was built; the packages of its "
        "environment are compared with the list of the origin's",
        remedy="run build-service", by=("build", "check"), when=need.standby,
    ),
    Need(
        "programs of Odoo", programs.measure,
        tried="what the origin's Odoo uses is looked for: wkhtmltopdf, fonts, services of its host",
        remedy="install on the recovery host what the origin has", when=need.both,
    ),
    Need(
        "files", need.files, tried="the engine looks for the file of each attachment",
        remedy="run rsync-filestore", by=("check", "drill"), when=need.standby,
    ),
    Need(
        "follower", follower.judge, tried="the follower is asked when it last looked",
        remedy="run rsync-filestore", when=need.both,
    ),
    Need(
        "folders at the origin", writable.judge(lambda instance: instance.origin),
        tried="a file is made and removed in each folder that a move changes",
        remedy="make room there, or mount it writable again", moves=need.EVERY_MOVE,
        when=need.origin_host, acts=True,
    ),
    Need(
        "folders at the recovery", writable.judge(lambda instance: instance.recovery),
        tried="a file is made and removed in each folder that a move changes",
        remedy="make room there or mount it writable again; build-service makes a missing one",
        moves=need.EVERY_MOVE, when=need.standby, acts=True,
    ),
    Need(
        "disk at the origin", writable.disk(lambda instance: instance.origin),
        tried="the free space is measured on each disk: data, WAL and files",
        remedy="free space there", moves=("failback", "rejoin"), when=need.origin_host,
        before=True,
    ),
    Need(
        "disk at the recovery", writable.disk(lambda instance: instance.recovery),
        tried="the free space is measured on each disk: data, WAL and files",
        remedy="free space there", hosts="recovery",
    ),
)  # fmt: skip
