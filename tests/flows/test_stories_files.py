"""A copy is good, and a check green, only where every database was read and seen whole."""

import json
from functools import partial
from pathlib import PurePosixPath

import pytest

from blocks.errors import CommandFailed, RelevoError, Unreachable
from blocks.instance import OdooInstance
from flows.rsync_filestore import rsync_filestore
from tasks.filestore import copies, judgement
from tasks.readiness import at_home, probes
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, control, need, standby

ENDED = "ActiveState=active\nSubState=exited\nResult=success\nExecMainStatus=0\n"
LEADS: dict[str, Answer] = {
    "look 13 main *": "5432 online f /var/lib/postgresql/13/main\n" + control("in_production"),
    "read /etc/odoo/odoo.conf": "[options]\ndb_user = odoo\n",
    "SELECT extract(epoch FROM now())*": (
        '[{"at": 1800000000.0, "lsn": "0/3000000", "next_xid": 700}]'
    ),
    "test -L *": 1,
    "*": "",
}


def _engine(verb: str, result: dict[str, object]) -> dict[str, Answer]:
    """A recovery host whose engine comes to this result; whatever else is asked goes well."""
    said = "RELEVO " + json.dumps({"result": result}) + "\n"
    return {
        f"end relevo-vps_1-engine-{verb}.service *": said,
        "systemctl show *": ENDED,
        **standby(),
        "*": "",
    }


@pytest.mark.parametrize("unread", [[], ["shut: role odoo may not connect to it"]])
def test_a_copy_is_noted_as_good_only_if_every_database_was_read(
    instance: OdooInstance, hosts: Hosts, unread: list[str]
) -> None:
    due = FakeHost("due", _engine("pass", {"fetched": 1, "pending": 0, "unread": unread}))
    hosts(FakeHost("uno", LEADS), due)

    said = ""
    try:
        rsync_filestore(instance)
    except RelevoError as error:
        said = str(error)

    assert ("shut: role odoo may not connect to it" in said) == bool(unread), said
    assert ("HINT: let Odoo's role connect to it" in said) == bool(unread)
    assert any("relevo-vps_1-filestore" in asked for asked in due.ran), "the rest is copied"
    assert any("notes/synced" in asked for asked in due.changes) == (not unread), due.changes


WHOLE = {
    "database": "shop", "rows": 7, "missing": 0, "wrong": 0, "agreed_lsn": "0/5000",
    "agreed_age_seconds": 3.0, "oldest_pending_seconds": 0.0, "unread": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({}, ""),
        ({"rows": 0, "agreed_lsn": "", "agreed_age_seconds": None}, ""),
        ({"unread": "role odoo may not connect to it"}, "not read (role odoo may not connect"),
        ({"rows": 0, "agreed_lsn": "", "unread": "it allows no connections"}, "never seen whole"),
        ({"agreed_lsn": "", "agreed_age_seconds": None}, "never seen whole"),
        ({"agreed_lsn": "", "agreed_age_seconds": None, "known_seconds": 3.0}, ""),
        (
            {"agreed_lsn": "", "agreed_age_seconds": None, "known_seconds": 601.0},
            "shop: 7 files, known for 10 min; never seen whole",
        ),
        ({"unread": "it belongs to other", "foreign": True}, ""),
        ({"elsewhere": 5000, "storage": "s3"}, ""),
        ({"agreed_age_seconds": 601.0}, "whole up to 0/5000, 10 min ago"),
    ],
)
def test_check_is_red_for_files_of_a_database_that_was_not_seen_whole_lately(
    instance: OdooInstance, hosts: Hosts, differs: dict[str, object], said: str
) -> None:
    hosts(
        FakeHost("uno", LEADS),
        FakeHost("due", _engine("verdict", {"databases": [WHOLE | differs]})),
    )

    try:
        wrong = ""
        need(at_home.NEEDS, "files").ask(instance)
    except RelevoError as error:
        wrong = error.message

    assert bool(wrong) == bool(said), wrong
    assert said in wrong


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        (
            {"elsewhere": 5000, "storage": "s3"},
            "shop: 5000 documents are kept in another storage ('s3'), which is not copied",
        ),
        (
            {"unread": "it belongs to another", "foreign": True},
            "shop: its files are not followed: it belongs to another",
        ),
    ],
    ids=["another-storage", "another-role"],
)
def test_check_board_and_report_say_what_is_not_copied(
    instance: OdooInstance, hosts: Hosts, differs: dict[str, object], said: str
) -> None:
    hosts(
        FakeHost("uno", LEADS),
        FakeHost("due", _engine("verdict", {"databases": [WHOLE | differs]})),
    )
    found = probes.Found()
    found.take("files", partial(need(at_home.NEEDS, "files").ask, instance))
    assert (found.failed, found.remarks) == ({}, [said])

    with terminal.without_server():
        assert said in judgement.judge(instance)


RUNS = "ActiveState=active\nSubState=running\nResult=success\nExecMainStatus=0\n"
WELL = {
    "instance": "vps_1", "state": "following", "said": "",
    "begun": 1000.0, "looked": 9999.0, "proved": 9950.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "conditions", "said"),
    [
        (RUNS, [WELL], ""),
        (
            RUNS.replace("running", "dead"),
            [WELL],
            "relevo-follow-odoo.service does not run on due",
        ),
        (RUNS, [], "relevo-follow-odoo.service on due does not follow it"),
        (RUNS, [WELL | {"looked": 9000.0}], "has not looked at the database for 17 min: following"),
        (
            RUNS,
            [WELL | {"proved": 0.0}],
            "has not proved that none is missing for 2 h: following",
        ),
        (RUNS, [WELL | {"begun": 9990.0, "looked": 0.0, "proved": 0.0, "state": "starting"}], ""),
    ],
    ids=["well", "dead", "not-followed", "hung", "never-proved", "just-begun"],
)
def test_check_is_red_while_nobody_follows_the_files_of_an_instance(
    instance: OdooInstance, hosts: Hosts, unit: str, conditions: list[object], said: str
) -> None:
    due = FakeHost("due", {
        "systemctl show *": unit,
        "SELECT extract(epoch FROM clock_timestamp())*": '[{"now": 10001.0, "up": 9000.0}]',
        "read /run/*/conditions.json": json.dumps({"at": 10000.0, "conditions": conditions}),
    })  # fmt: skip
    hosts(FakeHost("uno"), due)

    try:
        wrong = ""
        need(at_home.NEEDS, "follower").ask(instance)
    except RelevoError as error:
        wrong = error.message

    assert bool(wrong) == bool(said), wrong
    assert said in wrong


SHUT = (
    'rsync: [sender] send_files failed to open "/opt/odoo/secret.py": Permission denied (13)\n'
    "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c\n"
)


def test_a_file_that_the_origin_may_not_read_keeps_no_other_source_from_being_copied(
    instance: OdooInstance, hosts: Hosts
) -> None:
    sources = (PurePosixPath("/opt/odoo"), PurePosixPath("/opt/custom"))
    odoo = instance.origin.odoo.model_copy(update={"sources": sources})
    origin = instance.origin.model_copy(update={"odoo": odoo})
    two = instance.model_copy(update={"origin": origin})
    fine = 'skipping non-regular file "null"\n'
    due = FakeHost("due", {
        "date *": "2026-01-01 101500\n",
        "end relevo-vps_1-sources.service *": [SHUT, fine],
        "systemctl show *": ENDED,
        "install *": "installed",
        **standby(),
        "*": "",
    })  # fmt: skip
    hosts(FakeHost("uno", LEADS), due)

    with terminal.without_server(), pytest.raises(CommandFailed) as said:
        copies.pull(two, "sources")

    assert "1 files or folders of vps_1 cannot be read at uno and were not copied" in str(
        said.value
    )
    assert "/opt/odoo/secret.py: Permission denied (13)" in str(said.value)
    started = [asked for asked in due.ran if asked.startswith("start ")]
    trash = "--backup-dir=/srv/vps_1/trash/2026-01-01/sources-101500/opt"
    assert [f"{trash}/{name}" in asked for name, asked in zip(
        ("odoo", "custom", "custom"), started, strict=True
    )] == [True, True, True], started  # fmt: skip
    assert "--delete" not in started[0] + started[1]
    assert "--delete" in started[2], "what is gone is looked for where all could be read"
    assert any("notes/left-out-sources" in asked for asked in due.changes), due.changes


def test_check_names_the_devices_that_the_last_copy_has_left_out(
    instance: OdooInstance, hosts: Hosts
) -> None:
    kept = json.dumps({"count": 1, "named": ["null"]})
    note = {"read /var/lib/relevo/vps_1/notes/left-out-sources.json": kept}
    hosts(FakeHost("uno", LEADS), FakeHost("due", note | _engine("verdict", {"databases": []})))

    said = need(at_home.NEEDS, "files").ask(instance)

    assert said == [
        "no database has files", "1 devices in the sources of vps_1 are not copied: null",
    ]  # fmt: skip


FETCH = ("rsync", "-a", "vps_1:/opt/odoo/", "/srv/vps_1/sources/opt/odoo/")
BROKEN = "rsync: connection unexpectedly closed (0 bytes received so far) [receiver]\n"
NAMED_SO = 'rsync: mkdir "/srv/failed with status 255 (x)" failed: No space left on device (28)\n'


@pytest.mark.parametrize(
    ("ended", "said", "kind"),
    [
        *((("exit-code", status), BROKEN, Unreachable) for status in copies.CUT_OFF),
        (("exit-code", 12), f"relevo: refused: path\n{BROKEN}", CommandFailed),
        (("exit-code", 11), NAMED_SO, CommandFailed),
        (("signal", 12), "", CommandFailed),
    ],
)
def test_a_copy_is_tried_again_where_the_way_to_the_origin_broke_and_nowhere_else(
    instance: OdooInstance,
    hosts: Hosts,
    ended: tuple[str, int],
    said: str,
    kind: type[RelevoError],
) -> None:
    """The status decides: a file may have any name, and a gate that refuses says no each time."""
    shown = "ActiveState=failed\nSubState=failed\nResult={}\nExecMainStatus={}\n".format(*ended)
    hosts(FakeHost("uno"), FakeHost("due", {"systemctl show *": shown, "end *": said, "*": ""}))

    with pytest.raises(RelevoError, match="rsync failed on due") as failed:
        copies._rsync(instance, "sources", FETCH)

    assert type(failed.value) is kind
