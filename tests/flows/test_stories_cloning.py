"""What a new clone brings along, what it leaves of what was there, and when none is made."""

import json
from pathlib import PurePosixPath

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.run import terminal
from tasks.standby import clone, rejoin, replica, replication
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, control, identity, standby

FRESH = PurePosixPath("/var/lib/postgresql/13/fresh")
SYSTEM = json.loads(identity("in_production"))["system_identifier"]
ARCHIVES = "shared_buffers = '8GB'\narchive_mode = 'on'\narchive_command = 'pgbackrest %p'\n"


def leading(system_identifier: str = SYSTEM) -> dict[str, Answer]:
    """What a leader answers of itself."""
    row = {
        "position": "0/5000000", "segment": "000000010000000000000005",
        "system_identifier": system_identifier,
    }  # fmt: skip
    return {
        "SELECT pg_current_wal_lsn() AS position*": json.dumps([row]),
        "SELECT pg_read_file(* <- 'pg_wal/*": "",
    }


def down(name: str, port: int, control_data: str) -> dict[str, Answer]:
    """A cluster that was stopped."""
    return {f"look 13 {name} *": f"{port} down unknown /pg/{name}\n{control_data}"}


def test_an_origin_that_is_cloned_anew_keeps_what_alter_system_had_set_there(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Its archive is in no other file: without it there would be no backup from here on."""
    there = down("main", 5432, control("in_production"))
    own = {"read *auto_conf.json": "", "read /pg/main/postgresql.auto.conf": ARCHIVES}
    hosts(FakeHost("uno", there | own), FakeHost("due", leading()))

    text = rejoin._alter_system(instance, instance.origin, instance.recovery, FRESH)

    assert text == ARCHIVES


def test_what_a_rewind_has_overwritten_is_taken_from_the_record(
    instance: OdooInstance, hosts: Hosts
) -> None:
    kept = {"read *auto_conf.json": json.dumps({"text": ARCHIVES})}
    hosts(FakeHost("uno", kept), FakeHost("due"))

    text = rejoin._alter_system(instance, instance.origin, instance.recovery, FRESH)

    assert text == ARCHIVES


@pytest.mark.parametrize(
    "there",
    [
        pytest.param("", id="nothing"),
        pytest.param(control("in_production").replace(SYSTEM, "1"), id="a_new_cluster"),
    ],
)
def test_a_recovery_host_gets_the_origin_s_settings_without_its_archive(
    instance: OdooInstance, hosts: Hosts, there: str
) -> None:
    made = {
        "read *auto_conf.json": "", f"read {FRESH}/postgresql.auto.conf": ARCHIVES,
        "grep *MemTotal*": "MemTotal:       33554432 kB\n",
    }  # fmt: skip
    hosts(FakeHost("uno", leading()), FakeHost("due", down("vps_1", 5433, there) | made))

    text = rejoin._alter_system(instance, instance.recovery, instance.origin, FRESH)

    assert text == "shared_buffers = '8GB'\n"


def test_buffers_for_which_the_recovery_host_has_no_memory_are_left_out_and_said(
    instance: OdooInstance, hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    """With them PostgreSQL does not start there: pgtune sets them by ALTER SYSTEM."""
    made = {
        "read *auto_conf.json": "", f"read {FRESH}/postgresql.auto.conf": ARCHIVES,
        "grep *MemTotal*": "MemTotal:       8388608 kB\n",
    }  # fmt: skip
    hosts(FakeHost("uno", leading()), FakeHost("due", down("vps_1", 5433, "") | made))

    with terminal.without_server(), caplog.at_level("WARNING", "relevo"):
        text = rejoin._alter_system(instance, instance.recovery, instance.origin, FRESH)

    assert text == ""
    assert "due has too little memory for the shared_buffers of uno (8GB)" in caplog.text


ASIDE = PurePosixPath("/pg/vps_1.quarantine-1-0-15CEAD8")
EMPTY = control("in_production").replace("in production", "shut down")


@pytest.mark.parametrize(
    ("moved_aside", "deleted"),
    [
        pytest.param(EMPTY, True, id="made_and_never_used"),
        pytest.param(control("in_production"), False, id="it_crashed_and_cannot_say"),
        pytest.param(control("shut_down"), False, id="somebody_s_tables"),
        pytest.param(control("shut_down_in_recovery"), False, id="a_standby"),
        pytest.param(1, False, id="unreadable"),
    ],
)
def test_of_what_was_moved_aside_only_an_empty_cluster_is_deleted(
    instance: OdooInstance, hosts: Hosts, moved_aside: Answer, *, deleted: bool
) -> None:
    """Beside it may lie the last copy of writes that a failover gave up."""
    due = FakeHost("due", {"*pg_controldata *": moved_aside, "rm -rf *": 0})
    hosts(FakeHost("uno"), due)

    replica._delete_if_never_used(instance.recovery, ASIDE)

    removed = [asked for asked in due.ran if asked.startswith("rm ")]
    assert removed == ([f"rm -rf --one-file-system {ASIDE}"] if deleted else [])


def new_origin() -> FakeHost:
    """A VPS that was reinstalled: its cluster answers, and is another."""
    other = control("in_production").replace(SYSTEM, "42")
    return FakeHost("uno", {"look 13 main *": f"5432 online f /pg/main\n{other}"})


def test_an_origin_that_was_reinstalled_does_not_push_the_good_copy_aside(
    instance: OdooInstance, hosts: Hosts
) -> None:
    streams = {"SELECT FROM pg_stat_*": "[]"}
    uno, due = new_origin(), FakeHost("due", standby())
    uno.answers = {**uno.answers, **streams}
    hosts(uno, due)

    with (
        terminal.without_server(),
        pytest.raises(Refused, match=f"cluster 42, .* {SYSTEM}") as refused,
    ):
        replica.clone(instance, reclone=False)

    assert "basebackup with reclone" in refused.value.hint
    assert uno.changes == due.changes == []


def test_a_clone_of_a_new_origin_that_is_here_already_is_gone_on_with(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """The run that was asked for it died before it could note which cluster this is now."""
    other = control("in_archive_recovery").replace(SYSTEM, "42")
    there = {"look 13 vps_1 *": f"5433 online t /pg/vps_1\n{other}"}
    hosts(new_origin(), FakeHost("due", standby() | there))

    replica._require_same_origin(instance)


def test_a_standby_that_streams_and_stands_still_gets_nothing_handed_over(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is what one looks like that has forked, and whose leader is further by now."""
    serves = {"look 13 vps_1 *": "5433 online f /pg/vps_1\n" + control("in_production")}
    stuck = {
        "SELECT greatest(pg_last_wal_receive_lsn()*": "0/4FFFF00\n",
        "SELECT coalesce(pg_last_wal_replay_lsn() >= * <- '0/5000000'": "f\n",
        "SELECT pg_last_wal_replay_lsn()": "0/4000000\n",
    }
    hosts(FakeHost("uno", stuck), FakeHost("due", serves | leading()))
    monkeypatch.setattr(replication, "REPLAY_SECONDS", 0)

    with terminal.without_server(), pytest.raises(Refused, match="it has 0/4000000") as refused:
        replication.require_replayed(instance.origin, instance.recovery)

    assert "it has forked" in refused.value.hint


def test_a_pg_rewind_that_goes_on_by_itself_is_not_called_dead(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Its run was cancelled, or its worker died; a clone beside it would cost hours."""
    there = down("main", 5432, control("in_production"))
    shown = "ActiveState=active\nSubState=running\nResult=success\nExecMainStatus=0\n"
    job = {"systemctl show relevo-vps_1-rewind.service *": shown}
    hosts(FakeHost("uno", there | job), FakeHost("due", leading()))

    way = rejoin.choose(instance, instance.origin, instance.recovery)

    assert (way.kind, "under way" in way.why) == ("rewind", True)


def test_a_clone_says_whether_it_is_the_first_or_was_asked_for(instance: OdooInstance) -> None:
    assert replica._why(instance, reclone=False) == "due has no copy of uno that could follow it"
    assert replica._why(instance, reclone=True) == "the operator asked for it"


def test_a_node_that_rejoins_is_told_the_certificate_that_its_leader_has_today(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """One that was renewed while the other side served once left a way home without its end."""
    uno = FakeHost("uno", {
        "SHOW ssl_cert_file": "/etc/ssl/pg.pem\n", "openssl verify *": 0,
        "cat /etc/ssl/pg.pem": "new",
        "SELECT restart_lsn *": '[{"reserved": true, "active": false}]', "CHECKPOINT": "",
    })  # fmt: skip
    home = {"getent passwd postgres": "postgres:x:1:1::/pg:/bin/sh\n", "install *": "installed"}
    due = FakeHost("due", home)
    hosts(uno, due)

    rejoin._prepare(instance, instance.recovery, instance.origin)

    assert [each.split()[1] for each in due.changes if each.startswith("install ")] == [
        "/pg/.postgresql/relevo_vps_1_origin.pem"
    ]


@pytest.mark.parametrize(
    ("version", "offers", "unpacks", "packed"),
    [(17, "t\n", 0, True), (17, "f\n", 0, False), (17, "t\n", 1, False), (13, "t\n", 0, False)],
    ids=["both", "the server has no zstd", "the program has no zstd", "too old"],
)
def test_a_base_backup_is_compressed_where_both_ends_know_how(
    instance: OdooInstance, hosts: Hosts, *, version: int, offers: str, unpacks: int, packed: bool
) -> None:
    def released(place: Place) -> Place:
        cluster = place.cluster.model_copy(update={"version": version})
        return place.model_copy(update={"cluster": cluster})

    origin, recovery = released(instance.origin), released(instance.recovery)
    hosts(
        FakeHost("uno", {clone.PACKS: offers}),
        FakeHost("due", {f"unpacks /usr/lib/postgresql/{version}/bin/pg_basebackup": unpacks}),
    )

    assert clone.is_packed(recovery, origin) is packed
