"""What a set-up would be refused for later is said before its first change."""

import json

import pytest

from blocks.errors import CommandFailed, Refused, StatementFailed, Unreachable
from blocks.instance import OdooInstance
from flows.setup_primary import setup_primary
from tasks.filestore import key
from tasks.host import sshd
from tasks.logins import roles
from tasks.odoo import customers, service
from tasks.readiness import ahead
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, control, identity, standby

PRIMARY = "5432 online f /var/lib/postgresql/13/main postgres\n" + control("in_production")
SETTINGS = [
    {"name": name, "setting": value}
    for name, value in {
        "ssl": "on", "wal_level": "replica", "wal_log_hints": "off", "hot_standby": "on",
        "listen_addresses": "*", "max_wal_senders": "10", "max_replication_slots": "10",
        "wal_keep_size": "0", "max_slot_wal_keep_size": "-1",
    }.items()
]  # fmt: skip
ORIGIN: dict[str, Answer] = {
    "look 13 main *": PRIMARY,
    "grep *": 0,
    "SELECT name, setting *": json.dumps(SETTINGS),
    "SELECT name FROM pg_settings WHERE pending_restart": "[]",
    "SELECT DISTINCT name FROM pg_file_settings*": "[]",
    "SELECT coalesce(rolpassword*": "[]",
    "read /etc/postgresql/13/main/pg_hba.conf": "local all all peer\n",
    "SELECT DISTINCT l AS locale*": '[{"locale": "es_ES.UTF-8"}]',
    "SELECT spcname*": "[]",
    "SELECT sum(pg_database_size*": "1000000000",
    "read /etc/odoo/odoo.conf": "[options]\ndb_user = odoo\n",
    "started *": "",
    "SELECT d.datname*": '[{"name": "shop", "owner": "odoo", "role": "odoo", "may": true}]',
    "SELECT extname*": '[{"name": "plpgsql"}, {"name": "postgis"}]',
}
RECOVERY: dict[str, Answer] = {
    "test -e /etc/postgresql/13/vps_1/postgresql.conf": 1,
    "locale -a": "C\nC.UTF-8\nes_ES.utf8\n",
    "df *": "Avail\n9000000000\n",
    "missing *": "",
    "ss -Hltn *": "",
    "listens 5433": "",
}


def test_a_pair_that_fits_is_let_through(instance: OdooInstance, hosts: Hosts) -> None:
    hosts(FakeHost("uno", ORIGIN), FakeHost("due", RECOVERY))

    with terminal.without_server():
        ahead.require(instance)


def test_all_that_speaks_against_a_set_up_is_said_at_once_and_before_any_change(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """A locale that is lacking once restarted the customers' PostgreSQL before it was said."""
    uno = FakeHost("uno", {
        "SELECT name, setting * <- ['ssl']": '[{"name": "ssl", "setting": "off"}]',
        **ORIGIN,
        "SELECT name FROM pg_settings WHERE pending_restart": '[{"name": "shared_buffers"}]',
        "SELECT spcname*": '[{"spcname": "fast"}]',
    })  # fmt: skip
    due = FakeHost("due", {
        **RECOVERY,
        "locale -a": "C\n", "df *": "Avail\n1000\n",
        "missing *": "/usr/share/postgresql/13/extension/postgis.control\n",
        "listens 5433": "LISTEN 0 244 127.0.0.1:5433\n",
        "ss -Hltn *": "LISTEN\n", "systemctl is-active *": "inactive\n",
        "read /var/lib/relevo/ports.json": '{"instances": {"vps_2": {"http_port": 8169}}}',
    })  # fmt: skip
    hosts(uno, due)

    with terminal.without_server(), pytest.raises(Refused) as refused:
        ahead.require(instance)

    for said in (
        "uno does not offer TLS", "would also apply shared_buffers",
        "due lacks the locales of uno: es_ES.UTF-8", "tablespaces: fast",
        "due has 1.0 kB free", "shop uses postgis", "port 5433 on due is taken",
        "port 8169 on due is taken",
        "due has noted ports of vps_1 for other instances: http_port 8169 (vps_2)",
    ):  # fmt: skip
        assert said in refused.value.message
    assert refused.value.hint.endswith("nothing was changed, so run this again")
    assert uno.changes == due.changes == []


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        (
            "shared_preload_libraries", "pg_stat_statements, timescaledb",
            "due lacks libraries that PostgreSQL on uno loads: timescaledb",
        ),
        (
            "hba_file", "/etc/postgresql-common/pg_hba.conf",
            "PostgreSQL on uno reads /etc/postgresql-common/pg_hba.conf and not /etc/postgresql/",
        ),
    ],
)  # fmt: skip
def test_what_a_clone_would_not_start_with_and_files_that_nobody_reads_are_refused(
    instance: OdooInstance, hosts: Hosts, setting: str, value: str, said: str
) -> None:
    answer = json.dumps([{"name": setting, "setting": value}])
    uno = FakeHost("uno", {f"SELECT name, setting *'{setting}'*": answer, **ORIGIN})
    lib = "missing /usr/lib/postgresql/13/lib/pg_stat_statements.so *"
    due = FakeHost("due", {lib: "/usr/lib/postgresql/13/lib/timescaledb.so\n", **RECOVERY})
    hosts(uno, due)

    with terminal.without_server(), pytest.raises(Refused) as refused:
        ahead.require(instance)

    assert refused.value.message.startswith(said)
    assert uno.changes == due.changes == []


def test_a_restart_that_nobody_has_allowed_is_refused_before_anything_is_written(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """The settings once stood in conf.d by then, and the next boot would have used them."""
    uno, due = FakeHost("uno", ORIGIN), FakeHost("due", {**RECOVERY, "hold *": "held 1"})
    hosts(uno, due)

    with (
        terminal.without_server(),
        pytest.raises(Refused, match="must be restarted for wal_log_hints") as refused,
    ):
        setup_primary(instance, allow_restart=False)

    assert refused.value.hint.startswith("run this again with allow_restart")
    assert uno.changes == []
    assert [each for each in due.changes if not each.startswith("hold ")] == []

    with terminal.without_server(), pytest.raises(Refused, match="must be restarted"):
        ahead.require(instance, allow_restart=False)


def test_a_file_that_would_override_ours_is_refused_before_ours_is_written(
    instance: OdooInstance, hosts: Hosts
) -> None:
    beats = {"SELECT DISTINCT name FROM pg_file_settings*": '[{"name": "max_wal_senders"}]'}
    uno = FakeHost("uno", {**ORIGIN, **beats})
    hosts(uno, FakeHost("due", RECOVERY))

    with pytest.raises(Refused, match="overrides what replication needs: max_wal_senders"):
        ahead.require_origin(instance, allow_restart=True)

    assert uno.changes == []


def test_a_clone_without_room_is_refused_before_the_standby_is_touched(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Its settings were written first, for which the standby may have been restarted."""
    due = FakeHost("due", {**standby(), "locale -a": "es_ES.utf8\n", "df *": "Avail\n1000\n"})
    hosts(FakeHost("uno", ORIGIN), due)

    with pytest.raises(Refused, match=r"due has .* free, but a clone of uno needs"):
        ahead.require_clone(instance, reclone=True)

    assert due.changes == []


def test_a_copy_that_may_be_the_last_is_not_replaced_and_nothing_was_changed_for_it(
    instance: OdooInstance, hosts: Hosts
) -> None:
    other = control("in_production").replace(
        json.loads(identity("in_production"))["system_identifier"], "42"
    )
    uno = FakeHost("uno", {
        **ORIGIN, "look 13 main *": "5432 online f /pg/main\n" + other,
        "SELECT FROM pg_stat_*": "[]",
    })  # fmt: skip
    due = FakeHost("due", {
        **standby(), **RECOVERY, "test -e /etc/postgresql/13/vps_1/postgresql.conf": 0,
        "grep *": 0,
    })  # fmt: skip
    hosts(uno, due)

    with pytest.raises(Refused, match="uno is the cluster 42"):
        ahead.require(instance)

    assert uno.changes == due.changes == []


def test_an_instance_that_was_renamed_is_told_its_former_name(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """The hint of then, DROP ROLE, would have ended the replica."""
    hba = (
        "# relevo beta: begin\nhostssl replication replica_user 10.0.0.2/32 scram-sha-256\n"
        "# relevo beta: end\nlocal all all peer\n"
    )
    found = (
        '[{"password": "md5other", "rolcanlogin": true, "rolsuper": false, "rolreplication": 1}]'
    )
    uno = FakeHost("uno", {
        "SELECT coalesce(rolpassword*": found, "read /etc/postgresql/13/main/pg_hba.conf": hba,
    })  # fmt: skip
    hosts(uno, FakeHost("due"))
    streams, _ = roles.wanted(instance)

    with pytest.raises(Refused, match="is already replicated as beta") as refused:
        roles.require_ours(instance, instance.origin, streams, roles.find(instance.origin, streams))

    assert refused.value.hint.startswith("rename it back to beta in the inventory")
    assert "DROP" not in str(refused.value)


@pytest.mark.parametrize("slots", ['[{"slot_name": "beta"}]', "[]"])
def test_one_cluster_has_one_name_also_where_its_password_is_known(
    instance: OdooInstance, hosts: Hosts, slots: str
) -> None:
    hba = "# relevo beta: begin\nx\n# relevo beta: end\n"
    uno = FakeHost("uno", {"read *": hba, "SELECT slot_name*": slots})
    hosts(uno, FakeHost("due"))

    if slots == "[]":  # what is left of an instance that was taken out
        roles.require_one_name(instance, instance.origin)
    else:
        with pytest.raises(Refused, match="is already replicated as beta"):
            roles.require_one_name(instance, instance.origin)


@pytest.mark.parametrize(
    ("said", "there", "installed"),
    [
        (".ssh/authorized_keys", "", "/home/admin/.ssh/authorized_keys admin:admin 600"),
        ("/etc/ssh/keys/%u", "root:adm 640\n", "/etc/ssh/keys/admin root:adm 640"),
        ("/etc/ssh/keys/%u", "", "/etc/ssh/keys/admin root:root 644"),
    ],
)
def test_a_key_is_put_where_sshd_looks_for_it(
    instance: OdooInstance, hosts: Hosts, said: str, there: str, installed: str
) -> None:
    """Only sshd knows: AuthorizedKeysFile may name a folder that is root's."""
    uno = FakeHost("uno", {
        "/usr/sbin/sshd -T -C user=admin,host=10.0.0.2,addr=10.0.0.2": f"authorizedkeysfile {said}",
        "getent passwd admin": "admin:x:1:1::/home/admin:/bin/sh\n", "stat *": there,
        "test -e *": 0, "read *": "", "install *": "installed",
    })  # fmt: skip
    hosts(uno, FakeHost("due"))

    sshd.admit(instance.origin.host.shell(), "admin", peer="10.0.0.2", change=str.upper)

    assert [each.rpartition(" ")[0] for each in uno.changes] == [f"install {installed}"]


def test_what_ssh_said_decides_the_hint(instance: OdooInstance, hosts: Hosts) -> None:
    hosts(FakeHost("uno"), FakeHost("due", {"rsync *": 255}))

    with terminal.without_server(), pytest.raises(Refused, match="cannot fetch files") as refused:
        key.prove(instance)

    assert "firewall" not in refused.value.hint


NAMED = '[{{"name": "{}", "owner": "odoo", "role": "odoo", "may": true}}]'


def test_a_database_that_hangs_takes_no_other_with_it(instance: OdooInstance, hosts: Hosts) -> None:
    """Who waits too long for it closes the connection, under those that were asked beside it."""
    gone = Unreachable("uno did not answer", hint="")
    two = '[{"name": "a", "owner": "odoo", "role": "odoo", "may": true},' + NAMED.format("b")[1:]
    uno = FakeHost("uno", {
        "read *": "[options]\ndb_user = odoo\n", "started *": "", "SELECT d.datname*": two,
        "SELECT EXISTS*@a": [gone, '[{"has": true}]'], "SELECT EXISTS*@b": gone,
    })  # fmt: skip
    hosts(uno, FakeHost("due"))

    found = customers.odoo(instance.origin)

    assert found.names == ["a"]
    assert found.barred == {"b": "uno did not answer"}


def test_a_host_that_is_gone_is_no_database_that_hangs(
    instance: OdooInstance, hosts: Hosts
) -> None:
    gone = Unreachable("uno did not answer", hint="")
    uno = FakeHost("uno", {
        "read *": "[options]\n", "started *": "", "SELECT d.datname*": NAMED.format("a"),
        "SELECT EXISTS*": gone,
    })  # fmt: skip
    hosts(uno, FakeHost("due"))

    with pytest.raises(Unreachable, match="no database of PostgreSQL"):
        customers.odoo(instance.origin)


def test_databases_that_nobody_can_enter_keep_nginx_and_dns_waiting_for_nothing(
    instance: OdooInstance, hosts: Hosts
) -> None:
    shut = StatementFailed('could not access file "nope"')
    due = FakeHost("due", {
        "read *": "[options]\ndb_user = odoo\n", "started *": "",
        "SELECT d.datname*": NAMED.format("shop"),
        "SELECT EXISTS*": shut, "systemctl is-active *": "active\n",
    })  # fmt: skip
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        served = service.wait_until_serving(instance.recovery)
        with pytest.raises(CommandFailed, match="could not access file"):
            service.require_whole(instance, instance.recovery, served.outcome)

    assert served.names == []
