"""From an inventory to a replica that is ready."""

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.check import check
from tests.lab import inventory
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers, ready
from tests.stack import Stack


def test_replicate_makes_a_standby_that_is_ready(
    uno: Pair, dos: Pair, blocks: dict[str, OdooInstance]
) -> None:
    for pair in (uno, dos):
        assert pair.is_home()
        no_strangers(pair)
        ready(check(blocks[pair.name]))


def test_a_check_leaves_no_refused_login_in_the_log_of_either_cluster(
    lab: Lab, uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """A question that begins as root, in a database of that name, is refused and logged."""
    hosts = (uno.origin.machine, lab.respaldo)
    logs = ("sh", "-c", "cat /var/log/postgresql/*.log")
    before = {each.name: each.run(*logs).stdout.count("FATAL") for each in hosts}
    ready(check(blocks[uno.name]))
    said = {each.name: each.run(*logs).stdout for each in hosts}
    assert [name for name, text in said.items() if "root@root" in text] == []
    assert {name: text.count("FATAL") for name, text in said.items()} == before


def test_replicating_again_changes_nothing(lab: Lab, uno: Pair, stack: Stack) -> None:
    before = _fingerprint(lab, uno)
    stack.complete("replicate/vps_uno")
    assert _fingerprint(lab, uno) == before
    no_strangers(uno)


def test_what_a_run_that_died_has_installed_is_brought_into_force_by_the_next(
    uno: Pair, blocks: dict[str, OdooInstance], stack: Stack
) -> None:
    """The files stand as they should, and neither PostgreSQL nor the watcher has read them."""
    machine, kept = uno.origin.machine, uno.at_origin("SHOW wal_keep_size")
    folder = f"/etc/postgresql/{uno.origin.version}/{uno.origin.cluster}"
    hba, settings = f"{folder}/pg_hba.conf", f"{folder}/conf.d/relevo.conf"
    started = uno.at_origin("SELECT pg_postmaster_start_time()")
    machine.run("cp", "-a", hba, f"{hba}.whole")
    machine.run("cp", "-a", settings, f"{settings}.whole")
    machine.run("sed", "-i", "/relevo vps_uno: begin/,/relevo vps_uno: end/d", hba)
    machine.run("sed", "-i", "s/^wal_keep_size.*/wal_keep_size = 33/", settings)
    uno.at_origin("SELECT pg_reload_conf()")
    wait_until(lambda: uno.at_origin("SHOW wal_keep_size") == "33MB", "it is as before a run", 10)
    machine.run("mv", f"{hba}.whole", hba)
    machine.run("mv", f"{settings}.whole", settings)
    machine.run("touch", "/usr/local/lib/relevo/guard")
    with pytest.raises(Refused, match=r"relevo-guard-vps_uno.* still runs an older version of"):
        check(blocks["vps_uno"])

    stack.complete("replicate/vps_uno")

    assert uno.at_origin("SHOW wal_keep_size") == kept
    assert uno.at_origin("SELECT pg_postmaster_start_time()") == started
    ready(check(blocks["vps_uno"]))
    no_strangers(uno)


def _fingerprint(lab: Lab, pair: Pair) -> list[str]:
    """Every file that Relevo writes, and when the clusters were started."""
    files = (
        "find /etc/postgresql /var/lib/postgresql/.pgpass /usr/local/lib/relevo /etc/systemd/system"
        " /etc/tmpfiles.d /var/lib/relevo/vps_uno/postgres /home/*/.ssh"
        f" {inventory.BASE}/vps_uno/ssh {inventory.BASE}/vps_uno/odoo.conf -type f"
        " -exec sha256sum {} + 2>/dev/null | sort"
    )
    started = "SELECT pg_postmaster_start_time()"
    hashes = [m.run("sh", "-c", files).stdout for m in (pair.origin.machine, lab.respaldo)]
    return [*hashes, pair.at_origin(started), pair.at_recovery(started)]


def test_the_roles_have_no_more_than_they_need(uno: Pair) -> None:
    sql = (
        "SELECT string_agg(rolname || rolsuper || rolreplication || rolcreatedb, ' ' "
        "ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'replica%'"
    )
    assert uno.at_origin(sql) == "replica_rewindfalsefalsefalse replica_userfalsetruefalse"
    stored = (
        "SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid "
        "WHERE rolname LIKE 'replica%'"
    )
    assert uno.at_origin(stored) == "t"


def test_the_key_of_the_recovery_host_opens_no_shell_and_writes_nothing(uno: Pair) -> None:
    ssh = ("ssh", "-F", f"{inventory.BASE}/vps_uno/ssh/config")
    rsync, user = ("rsync", "--rsh", " ".join(ssh)), "odoo_vps_uno"
    listing = (*rsync, "--list-only", f"vps_uno:{uno.origin.data_dir}/")
    assert uno.recovery.run(*listing, user=user).stdout, "the key opens what it shall"
    for words in (
        (*ssh, "vps_uno", "id"),
        (*ssh, "vps_uno"),
        (*rsync, "/etc/hostname", "vps_uno:/tmp/stolen"),
        (*rsync, "/etc/hostname", f"vps_uno:{uno.origin.data_dir}/stolen"),
        (*rsync, "vps_uno:/etc/passwd", "/tmp/"),
        (*rsync, "--remove-source-files", f"vps_uno:{uno.origin.data_dir}/", "/tmp/x/"),
    ):
        assert uno.recovery.run(*words, user=user, check=False).returncode != 0, words
    assert uno.origin.machine.run("ls", uno.origin.data_dir).stdout.count("stolen") == 0
