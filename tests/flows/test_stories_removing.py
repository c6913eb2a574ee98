"""An instance is taken out only where customers lose nothing by it; what would go is said first."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.errors import Busy, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from deployments import removal as walk
from deployments.secrets import Secrets
from tasks.removal import leave_origin, leave_recovery, removal, words
from tasks.removal.removal import Survey, Wishes
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, begun, control, dead, standby
from tests.flows.test_stories_keys import AWAY, OLD, line

CONFIG = "test -e /etc/postgresql/13/{}/postgresql.conf"
ASIDE = "/var/lib/postgresql/13/main.quarantine-1-0-30"
SUMMARY = json.dumps({
    "fork": "0/3", "transactions": 2, "first": "a", "last": "b",
    "tables": [{
        "database": "c1", "table": "public.x", "model": "x.y", "rows": 5, "inserted": 5,
        "updated": 0, "deleted": 0,
    }],
})  # fmt: skip


def at_home(**more: Answer) -> dict[str, Answer]:
    """An origin whose customers work, with what a rewind has kept aside."""
    base: dict[str, Answer] = {
        "true": "",
        "look 13 main *": (
            "5432 online f /var/lib/postgresql/13/main\n" + control("in_production")
        ),
        CONFIG.format("main"): 0,
        "test -e *": 1,
        "find /var/lib/postgresql/13 *": f"{ASIDE}\0{ASIDE}.only-here\0/etc/passwd\0",
        f"read {ASIDE}.only-here/summary.json": SUMMARY,
        "SELECT name FROM pg_settings WHERE sourcefile = *": '[{"name": "wal_log_hints"}]',
        "SELECT FROM pg_stat_replication *": "[]",
        "receipts *": "",
    }
    return {**more, **base, **more}


def following(**more: Answer) -> dict[str, Answer]:
    base: dict[str, Answer] = {"true": "", "find *": "", "findmnt *": "/\n/proc\n", **standby()}
    return {**more, **base, **more}


def gone(name: str) -> FakeHost:
    return FakeHost(name, {"*": Unreachable(f"{name} did not answer")})


def seen(instance: OdooInstance, wishes: Wishes | None = None) -> Survey:
    with terminal.without_server():
        return removal.survey(instance, wishes or Wishes())


def refused(
    instance: OdooInstance, uno: FakeHost, due: FakeHost, wishes: Wishes | None = None
) -> str:
    """What is said and hinted where nothing was touched."""
    with pytest.raises(RelevoError) as error:
        seen(instance, wishes)
    assert (uno.changes, due.changes) == ([], []), "a look has changed something"
    return str(error.value)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            {"systemctl is-active odoo_vps_1.service": "active\n"},
            "customers of vps_1 are served from due\nHINT: run relevo failback vps_1 first",
        ),
        (
            {"read /var/lib/relevo/vps_1/failover.json": begun()},
            "a move of vps_1 to due was not finished\nHINT: run relevo failback vps_1",
        ),
        (
            {"look 13 vps_1 *": "5433 online f /var/lib/postgresql/13/vps_1\n"},
            "a move of vps_1 to due was not finished",
        ),
        (
            {"receipts *": f"{line(AWAY, OLD)}\nright\n\nsigners\n"},
            "a move of vps_1 to due was not finished",
        ),
    ],
    ids=["it serves", "a move was begun", "it leads", "it has the write right"],
)
def test_a_recovery_host_that_serves_or_is_in_a_move_is_not_taken_away(
    instance: OdooInstance, hosts: Hosts, answers: dict[str, Answer], said: str
) -> None:
    uno, due = FakeHost("uno", at_home()), FakeHost("due", following(**answers))
    hosts(uno, due)

    assert refused(instance, uno, due).startswith(said)


def test_an_origin_that_is_down_is_not_left_alone(instance: OdooInstance, hosts: Hosts) -> None:
    down = "5432 down unknown /var/lib/postgresql/13/main\n"
    uno, due = FakeHost("uno", at_home(**{"look 13 main *": down})), FakeHost("due", following())
    hosts(uno, due)

    assert "PostgreSQL on uno is down" in refused(instance, uno, due)


def test_an_instance_that_shares_its_users_is_given_its_own_first(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno, due = FakeHost("uno", at_home()), FakeHost("due", following())
    hosts(uno, due)
    shared = instance.model_copy(update={"settled": "shared"})

    assert "run replicate/vps_1 first" in refused(shared, uno, due)


@pytest.mark.parametrize("kind", ["origin", "recovery"])
def test_a_host_that_does_not_answer_is_gone_only_if_somebody_says_so(
    instance: OdooInstance, hosts: Hosts, kind: str
) -> None:
    uno = gone("uno") if kind == "origin" else FakeHost("uno", at_home())
    due = gone("due") if kind == "recovery" else FakeHost("due", following())
    hosts(uno, due)

    with pytest.raises(Unreachable, match="does not answer") as error:
        seen(instance)

    assert f"if it never will, add --{kind}-is-gone" in error.value.hint


@pytest.mark.parametrize("kind", ["origin", "recovery"])
def test_a_host_that_answers_is_not_gone(instance: OdooInstance, hosts: Hosts, kind: str) -> None:
    uno, due = FakeHost("uno", at_home()), FakeHost("due", following())
    hosts(uno, due)
    wishes = Wishes(origin_is_gone=kind == "origin", recovery_is_gone=kind == "recovery")

    assert f"leave out --{kind}-is-gone" in refused(instance, uno, due, wishes)


def test_a_disk_of_its_own_below_the_files_is_named_before_anything_is_deleted(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """No other disk is emptied, and its folder cannot be deleted: it ended half-way."""
    mounts = "/\n/srv\n/srv/vps_1/data_dir/filestore\n/srv/vps_10\n"
    uno, due = FakeHost("uno", at_home()), FakeHost("due", following(**{"findmnt *": mounts}))
    hosts(uno, due)

    said = refused(instance, uno, due)

    assert said.startswith("/srv/vps_1/data_dir/filestore on due is a disk of its own")
    assert "run umount /srv/vps_1/data_dir/filestore, and run this again" in said


@pytest.mark.parametrize("name", ["vps_1", "guard", "door"])
def test_what_runs_for_an_instance_is_stopped_by_its_whole_name(
    instance: OdooInstance, hosts: Hosts, name: str
) -> None:
    """A pattern like relevo-guard-* would stop the guards of all others."""
    due = FakeHost("due", following(**{"*": ""}))
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        leave_recovery.stop(instance.model_copy(update={"name": name}))

    patterns = {
        word for each in due.ran if "systemctl" in each or "stop-units" in each
        for word in each.split() if "*" in word
    }  # fmt: skip
    assert {each.strip("'") for each in patterns} == {f"relevo-door-{name}@*.service"}
    assert any(f"relevo-{name}-rewind.service" in each for each in due.ran)


def test_the_last_copy_is_deleted_only_if_that_is_asked_for(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno, due = dead(), FakeHost("due", following())
    hosts(uno, due)

    said = refused(instance, uno, due, Wishes(origin_is_gone=True))

    assert "the copy of vps_1 on due is all that is left of it" in said
    assert "copy away what somebody may want: /var/lib/postgresql/13/vps_1" in said
    assert seen(instance, Wishes(origin_is_gone=True, delete_kept=True)).last_copy


def test_a_recovery_host_that_serves_is_not_taken_away_though_the_origin_is_gone(
    instance: OdooInstance, hosts: Hosts
) -> None:
    answers: dict[str, Answer] = {"systemctl is-active odoo_vps_1.service": "active\n"}
    uno, due = dead(), FakeHost("due", following(**answers))
    hosts(uno, due)

    said = refused(instance, uno, due, Wishes(origin_is_gone=True, delete_kept=True))

    assert "stop odoo_vps_1.service there when nobody needs it any more" in said


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"SELECT FROM pg_stat_replication *": "[{}]"}, "due still follows uno"),
        (
            {"receipts *": f"{line(AWAY, OLD)}\nright\n\nsigners\n"},
            "gives the write right to due\nHINT: run relevo plan recovery-is-gone vps_1",
        ),
    ],
    ids=["it follows", "it has the write right"],
)
def test_a_recovery_host_is_not_taken_for_gone_while_the_origin_says_otherwise(
    instance: OdooInstance, hosts: Hosts, answers: dict[str, Answer], said: str
) -> None:
    uno, due = FakeHost("uno", at_home(**answers)), gone("due")
    hosts(uno, due)

    assert said in refused(instance, uno, FakeHost("due"), Wishes(recovery_is_gone=True))


def test_the_plan_names_what_goes_what_stays_and_what_nobody_else_has(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    site = {"find /etc/nginx/relevo/vps_1 *": "own/a.conf\0shown.conf\0certificates/x/a.pem\0"}
    hosts(FakeHost("uno", at_home()), FakeHost("due", following(**site)))

    found = walk.drawn(seen(instance), Secrets(tmp_path / "secrets.yaml"))
    page = words.page(found)

    assert "are served from uno, and notice nothing" in page
    assert "(in force until PostgreSQL is next restarted: wal_log_hints)" in page
    assert "the users odoo_vps_1 and db_vps_1" in page
    assert f"stays where it is (--delete-kept would delete it):\n  - {ASIDE} on uno: 5 rows" in page
    assert "/etc/passwd" not in page, "a name that is none of ours"
    nginx = "/etc/nginx/relevo/vps_1 on due: what people wrote for nginx (own/a.conf)"
    assert f"  - {nginx}\n" in page
    assert f"kept: {nginx}\n" in words.ended(found, [])
    asked = replace(found, delete_kept=True)
    assert "is deleted, as --delete-kept says:\n  - " + ASIDE in words.page(asked)
    assert f"kept: {ASIDE} on uno" in words.ended(found, [])
    assert ASIDE not in words.ended(asked, [])


def test_a_busy_instance_is_left_alone(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    busy: dict[str, Answer] = {"hold vps_1 remove 30": "busy 7 drill"}
    uno, due = FakeHost("uno", at_home()), FakeHost("due", following(**busy))
    hosts(uno, due)
    secrets = Secrets(tmp_path / "secrets.yaml")

    with terminal.without_server(), pytest.raises(Busy, match="7 drill"):
        walk.remove(instance, secrets, Wishes(), why="it moves")

    touched = [each for each in (*uno.changes, *due.changes) if not each.startswith("find ")]
    assert touched == ["hold vps_1 remove 30"]
    assert list(tmp_path.iterdir()) == []


def test_receipts_are_kept_here_with_their_keys_and_a_second_run_loses_none(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    """The second run finds none at the origin any more, and a false one at the other host."""
    secrets = Secrets(tmp_path / "secrets.yaml")
    told = "receipts/000002.json " + _packed(line(AWAY, OLD)) + "\n"
    false = "receipts/000001.ab.false " + _packed("no receipt") + "\n"
    uno = FakeHost("uno", {"all receipts *": [told, ""]})
    due = FakeHost("due", {"all receipts *": false})
    hosts(uno, due)

    with terminal.without_server():
        for why in ("it moves", ""):
            walk.keep_receipts(instance, secrets, Wishes(), why=why)

    path = walk.archive(instance, secrets)
    kept = json.loads(path.read_text())
    assert kept["receipts"] == {
        "uno": {"receipts/000002.json": line(AWAY, OLD)},
        "due": {"receipts/000001.ab.false": "no receipt"},
    }
    assert kept["why"] == "it moves"
    assert kept["keys"]["current"] != []
    assert oct(path.stat().st_mode)[-3:] == "600"
    another = instance.model_copy(update={"signing_key": SecretStr("a key of a later time")})
    assert walk.archive(another, secrets) != path


def _packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_spoiled_file_of_receipts_is_not_written_over(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    secrets = Secrets(tmp_path / "secrets.yaml")
    hosts(FakeHost("uno"), FakeHost("due"))
    path = walk.archive(instance, secrets)
    path.parent.mkdir()
    path.write_text("{")

    with terminal.without_server(), pytest.raises(Refused, match="cannot be read"):
        walk.keep_receipts(instance, secrets, Wishes(), why="it moves")

    assert path.read_text() == "{"


def test_the_ports_of_an_instance_that_is_taken_out_are_free_again(
    instance: OdooInstance, hosts: Hosts
) -> None:
    noted = {name: {"http_port": port} for name, port in (("vps_1", 8169), ("vps_2", 8269))}
    answers: dict[str, Answer] = {
        "read /var/lib/relevo/ports.json": json.dumps({"instances": noted}),
        "test -e /var/lib/relevo/ports.json": 0,
        "test -e *": 1, "install /var/lib/relevo/ports.json *": "installed\n",
        "missing *": "/var/lib/relevo\n/etc/relevo/guard\n",
        "rm *": "", "empty *": "", "find *": "",
    }  # fmt: skip
    due = FakeHost("due", answers)
    hosts(FakeHost("uno"), due)

    with terminal.without_server():
        leave_recovery.forget(instance)

    (written,) = [each for each in due.ran if each.startswith("install /var/lib/relevo/ports")]
    assert "root:root 600" in written
    assert not any("rm -f /var/lib/relevo/ports.json" in each for each in due.ran)
    (left,) = due.wrote
    assert json.loads(left)["instances"] == {"vps_2": {"http_port": 8269}}


ROLE_IS_OURS = json.dumps([{
    "password": "", "rolcanlogin": False, "rolsuper": False, "rolreplication": True,
}])  # fmt: skip
OURS = "# relevo vps_1: begin\nhostssl replication replica_user 10.0.0.2/32 scram\n"
OURS += "# relevo vps_1: end\n"
THEIRS = "host all replica_user,replica_rewind 10.0.0.9/32 scram-sha-256\n"


@pytest.mark.parametrize(
    ("hba", "sessions", "dropped"),
    [(OURS, "0\n", 2), (OURS + THEIRS, "0\n", 0), (OURS, "1\n", 0)],
    ids=["ours", "another line admits it", "somebody else is logged in"],
)
def test_a_role_that_somebody_else_uses_stays(
    instance: OdooInstance, hosts: Hosts, hba: str, sessions: str, dropped: int
) -> None:
    uno = FakeHost(
        "uno",
        {
            "SELECT coalesce(rolpassword, '') *": ROLE_IS_OURS,
            "read /etc/postgresql/13/main/pg_hba.conf": hba,
            "SELECT count(*) FROM pg_stat_activity *": sessions,
            "REVOKE EXECUTE *": "",
            "DROP ROLE *": "",
        },
    )
    hosts(uno, FakeHost("due"))

    with terminal.without_server():
        leave_origin.drop_roles(instance)

    assert len([each for each in uno.ran if each.startswith("DROP ROLE")]) == dropped


def test_the_guard_s_program_stays_while_a_start_still_asks_it(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Without the program that start would fail, and customers with it."""
    uno = FakeHost(
        "uno",
        {
            "test -e *": 1,
            "rm -f *": "",
            "empty *": "",
            "systemctl daemon-reload": "",
            "systemctl show *": "ExecCondition={ path=/usr/local/lib/relevo/guard ; }\n",
        },
    )
    hosts(uno, FakeHost("due"))

    with terminal.without_server(), pytest.raises(Refused, match="still asks the guard"):
        leave_origin.drop_guard(instance)

    assert not [each for each in uno.ran if each.startswith("rm -rf")]
