"""What a run that died has installed and not yet brought into force, the next one does."""

import json
import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from tasks.authority import guard
from tasks.build import build
from tasks.filestore import engine
from tasks.install import programs
from tasks.postgres import cluster, cluster_settings, hba, postgresql_conf
from tasks.run import terminal
from tasks.standby import replica
from tasks.synchronous import synchronous
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, control, serving, standby

RELOAD = "SELECT pg_reload_conf()"
DAEMON_RELOAD = "systemctl daemon-reload"
PENDING = "SELECT name FROM pg_settings WHERE pending_restart"
LOOK: dict[str, Answer] = {"look 13 main *": "5432 online f /pg/main\n" + control("in_production")}
NAMES = "SELECT name, setting FROM pg_settings * <- ['synchronous_standby_names']"

SETTINGS = [
    {"name": name, "setting": value}
    for name, value in {
        "wal_level": "replica", "listen_addresses": "*", "ssl": "on",
        "max_replication_slots": "10", "wal_keep_size": "0", "max_slot_wal_keep_size": "-1",
        **dict.fromkeys(postgresql_conf.HOT_STANDBY, "100"),
    }.items()
]  # fmt: skip


def loading(*, unread: bool) -> dict[str, Answer]:
    """A cluster whose files stand as they should, and which has read them or not."""
    return {
        "install *": "same",
        "read /etc/postgresql/*": "",
        "SELECT bool_or(change *": "t\n" if unread else "f\n",
        "SELECT pg_conf_load_time()": ["before", "after"],
        RELOAD: "t",
    }


@pytest.mark.parametrize("unread", [True, False])
def test_settings_that_stand_in_their_file_are_read(
    instance: OdooInstance, hosts: Hosts, unread: bool
) -> None:
    uno = FakeHost("uno", {
        **loading(unread=unread), **LOOK, PENDING: "[]",
        "SELECT slot_name FROM *": "[]",
        "SELECT name, setting *": json.dumps(SETTINGS),
        "SELECT name, applied, error *": '[{"name": "wal_level", "applied": true, "error": null}]',
    })  # fmt: skip
    hosts(uno, FakeHost("due"))

    with terminal.without_server():
        cluster_settings.configure(instance, instance.origin, allow_restart=False)

    assert (RELOAD in uno.ran) is unread


@pytest.mark.parametrize("unread", [True, False])
def test_doors_that_stand_in_their_file_are_opened(
    instance: OdooInstance, hosts: Hosts, unread: bool
) -> None:
    uno = FakeHost("uno", {**loading(unread=unread), **LOOK, "SELECT line_number, *": "[]"})
    hosts(uno, FakeHost("due"))

    with terminal.without_server():
        hba.admit(instance, instance.origin, instance.recovery, odoo_role="odoo")

    assert (RELOAD in uno.ran) is unread
    asked = next(each for each in uno.ran if each.startswith("SELECT bool_or"))
    assert "pg_hba.conf" in asked
    assert "pg_ident.conf" in asked


@pytest.mark.parametrize(("pending", "restarts"), [(["max_connections"], 1), ([], 0)])
def test_a_standby_is_restarted_for_what_it_has_read_and_does_not_do(
    instance: OdooInstance, hosts: Hosts, pending: list[str], restarts: int
) -> None:
    due = FakeHost("due", {
        **loading(unread=True), "grep *": 0, "SELECT name, setting *": json.dumps(SETTINGS),
        PENDING: json.dumps([{"name": name} for name in pending]), "configured *": "100 " * 5,
        "systemctl restart postgresql@13-vps_1.service": 0, **standby(),
    })  # fmt: skip
    hosts(FakeHost("uno", {"SELECT name, setting *": json.dumps(SETTINGS)}), due)

    with terminal.without_server():
        replica.configure(instance)

    assert RELOAD in due.ran
    assert due.ran.count("systemctl restart postgresql@13-vps_1.service") == restarts


@pytest.mark.parametrize(("listed", "reloads"), [(0, 1), (1, 0)])
def test_systemd_is_told_of_a_cluster_that_it_would_still_start(
    instance: OdooInstance, hosts: Hosts, listed: int, reloads: int
) -> None:
    wanted = "/run/systemd/generator/postgresql.service.wants/postgresql@13-main.service"
    answers: dict[str, Answer] = {"install *": "same", f"test -e {wanted}": listed}
    uno = FakeHost("uno", {**answers, DAEMON_RELOAD: 0})
    hosts(uno, FakeHost("due"))

    cluster.start_at_boot(instance.origin, "manual")

    assert uno.ran.count(DAEMON_RELOAD) == reloads


def test_the_guard_that_stands_there_is_the_one_that_watches(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno = FakeHost("uno", {"install *": "same", "systemctl *": 0, **LOOK})
    hosts(uno, FakeHost("due", {"install */vps_1/signers *": "installed", **standby()}))

    with terminal.without_server():
        guard.install(instance)

    watcher = "relevo-guard-vps_1.service"
    assert uno.changes[-3:] == [
        DAEMON_RELOAD, f"systemctl enable {watcher}", f"systemctl restart {watcher}",
    ]  # fmt: skip


def test_a_watcher_that_runs_an_older_program_is_no_green_one(
    instance: OdooInstance, hosts: Hosts
) -> None:
    said = {"answered": True, "known": {"epoch": 1, "taker": "origin"}}
    uno = FakeHost("uno", {
        "/usr/local/lib/relevo/guard * ask": json.dumps(said),
        "systemctl show *": "ExecCondition={ path=/usr/local/lib/relevo/guard ; }",
        "systemctl is-active *": "active\n",
        "outdated relevo-guard-vps_1.service *": "/usr/local/lib/relevo/guard\n",
    })  # fmt: skip
    hosts(uno, FakeHost("due"))

    with pytest.raises(Refused, match="still runs an older version of /usr/local") as refused:
        guard.require_answered(instance)

    assert "run replicate" in refused.value.hint


def test_commits_that_still_wait_are_let_go_although_the_file_has_gone(
    instance: OdooInstance, hosts: Hosts
) -> None:
    names = [{"name": "synchronous_standby_names", "setting": 'FIRST 1 ("vps_1")'}]
    answers: dict[str, Answer] = {"missing *": "/conf\n", "rm *": 0, NAMES: json.dumps(names)}
    uno = FakeHost("uno", {**loading(unread=False), **answers, **LOOK})
    hosts(uno, FakeHost("due"))
    roles = instance.replication.model_copy(update={"synchronous": "go_on"})

    synchronous.suspend(instance.model_copy(update={"replication": roles}))

    assert RELOAD in uno.ran


def test_systemd_reads_the_unit_of_odoo_that_stands_there(
    instance: OdooInstance, hosts: Hosts
) -> None:
    unit: dict[str, Answer] = {"install *": "same", DAEMON_RELOAD: 0, "systemd-analyze *": 0}
    no_boot = "systemctl disable odoo_vps_1.service"
    due = FakeHost("due", {**unit, no_boot: 0, **standby()})
    hosts(FakeHost("uno"), due)
    with terminal.without_server():
        build.adopt(instance)
    assert DAEMON_RELOAD in due.ran
    assert no_boot in due.ran

    due = FakeHost("due", {**unit, **serving()})
    hosts(FakeHost("uno"), due)
    with terminal.without_server():
        build.adopt(instance)
    assert no_boot not in due.ran, "customers are served from there"


@pytest.mark.parametrize(("unread", "begins"), [("/filestore.pyz\n", 1), ("", 0)])
def test_a_follower_that_runs_an_older_program_is_started_anew(
    instance: OdooInstance, hosts: Hosts, unread: str, begins: int
) -> None:
    """A pass over the files had put the newer program there, and nobody told the follower."""
    runs = "ActiveState=active\nSubState=running\nResult=success\nExecMainStatus=0\n"
    unit = engine.follower(instance)
    due = FakeHost("due", {
        "install *": 0, f"systemctl show {unit}.service *": runs,
        f"outdated {unit}.service *": unread, "systemctl is-enabled *": "enabled\n",
        "systemctl *": 0, "systemd-run *": 0,
    })  # fmt: skip
    hosts(FakeHost("uno"), due)

    engine.follow(instance)

    assert due.ran.count(f"systemctl restart {unit}.service") == begins
    assert DAEMON_RELOAD not in due.ran


def test_a_follower_whose_unit_was_written_and_never_enabled_starts_at_the_next_boot(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """The run that wrote it had died; it runs now, and would be gone after a boot."""
    runs = "ActiveState=active\nSubState=running\nResult=success\nExecMainStatus=0\n"
    unit = engine.follower(instance)
    due = FakeHost("due", {
        "install *": "same", f"systemctl show {unit}.service *": runs,
        f"outdated {unit}.service *": "", "systemctl is-enabled *": "disabled\n",
        "systemctl *": 0,
    })  # fmt: skip
    hosts(FakeHost("uno"), due)

    engine.follow(instance)

    assert due.ran.index(DAEMON_RELOAD) < due.ran.index(f"systemctl enable {unit}.service")


@pytest.mark.parametrize(
    ("started", "unread"),
    [
        ("Thu 2026-01-01 10:00:09 UTC", ["late"]),
        ("Thu 2026-01-01 10:00:10 UTC", []),
        ("Thu 2026-01-01 10:00:11 UTC", []),
        ("", ["early", "late"]),
    ],
)
def test_a_unit_has_read_what_was_written_before_it_was_started(
    tmp_path: Path, started: str, unread: list[str]
) -> None:
    """Run for real, with a systemctl of our own."""
    path = tmp_path / "systemctl"
    path.write_text(f"#!/bin/sh\necho '{started}'\n")
    path.chmod(0o755)
    times = {"early": 1767261605.0, "late": 1767261610.5}  # 10:00:05, 10:00:10
    for name, at in times.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    files = [str(tmp_path / each) for each in times]
    argv = ["sh", "-c", programs.OUTDATED, "outdated", "u", *files]
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    said = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout

    assert [PurePosixPath(line).name for line in said.splitlines()] == unread


def test_a_file_that_is_not_there_is_an_error_and_not_an_old_one(tmp_path: Path) -> None:
    host = FakeHost("uno", {"outdated *": CommandFailed("find: no such file")})
    with pytest.raises(CommandFailed):
        programs.outdated(host.shell(), "u", PurePosixPath(tmp_path / "none"))
