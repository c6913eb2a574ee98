"""What lies on other disks is measured there, and what is mounted or linked is not lost."""

from pathlib import PurePosixPath

import pytest

from blocks.errors import CommandFailed, Refused, RelevoError
from blocks.instance import OdooInstance
from tasks.filestore import leftout
from tasks.host import files
from tasks.logins import login
from tasks.readiness import at_home, preflight, probes
from tasks.run import terminal
from tasks.standby import clone, rejoin, rewind
from tasks.standby.way import Way
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, control, need, serving
from tests.flows.test_stories_cloning import leading

DATA = "/var/lib/postgresql/13/main"
STOPPED = f"5432 down unknown {DATA}\n" + control("in_production")
FILES = "/var/lib/odoo/.local/share/Odoo"


@pytest.mark.parametrize(
    ("wal", "files", "said"),
    [
        (90, 90, ""),
        (5, 90, f"uno has only 5 bytes free on the disk of {DATA}/pg_wal"),
        (90, 5, f"uno has only 5 bytes free on the disk of {FILES}"),
    ],
)
def test_each_disk_on_which_something_grows_is_asked_for_its_room(
    instance: OdooInstance, hosts: Hosts, wal: int, files: int, said: str
) -> None:
    """That of the WAL, or of the files, may be another than that of the data."""
    free = f"Avail 1B-blocks File\n90 100 {DATA}\n{wal} 100 {DATA}/pg_wal\n{files} 100 {FILES}\n"
    uno = FakeHost("uno", {"look 13 main *": STOPPED, "df *": free})
    hosts(uno, FakeHost("due"))

    try:
        wrong = ""
        need(at_home.NEEDS, "disk at the origin").ask(instance)
    except RelevoError as error:
        wrong = error.message

    assert wrong == said
    assert any(asked.endswith(f" {DATA} {DATA}/pg_wal {FILES}") for asked in uno.ran)


def test_a_folder_of_files_that_is_not_made_yet_has_no_disk(
    instance: OdooInstance, hosts: Hosts
) -> None:
    free = f"Avail 1B-blocks File\n90 100 {DATA}\n90 100 {DATA}/pg_wal\n"
    hosts(FakeHost("uno", {"look 13 main *": STOPPED, "df *": free}), FakeHost("due"))

    assert need(at_home.NEEDS, "disk at the origin").ask(instance) == "90 bytes free"


IDLE = "ActiveState=inactive\nSubState=dead\nResult=success\nExecMainStatus=0\n"
ENDED = IDLE.replace("dead", "exited")
LIMITS = "100\n8\n10\n0\n64\n"
REWIND, RECLONE = Way("rewind", "it wrote after the fork"), Way("reclone", "it has no hints")


def _stopped(wal: str = "folder", free: int = 10**12) -> FakeHost:
    return FakeHost("uno", {
        "look 13 main *": STOPPED, "wal-is *": f"{wal}\n", "systemctl show *": IDLE,
        "test -e *": 1, "find *": "", "du -sLB1 *": f"200000000 {DATA}\n",
        "df *": f"Avail\n{free}\n",
    })  # fmt: skip


@pytest.mark.parametrize(
    ("uno", "way", "said"),
    [
        (_stopped(), REWIND, ""),
        (_stopped(), RECLONE, ""),
        (_stopped(free=1 << 20), REWIND, "needed to keep what only it has before it is rewound"),
        (_stopped(free=1 << 20), RECLONE, "uno has 1.0 MB free, but a clone of due needs"),
        (_stopped(free=1 << 20), Way("follow", "it stopped cleanly"), ""),
        (_stopped("mount"), RECLONE, "pg_wal on uno is a mount point, so no clone can take"),
        (_stopped("mount"), REWIND, ""),
        (_stopped("link"), RECLONE, ""),
    ],
)
def test_a_way_home_for_which_there_is_no_room_is_refused_by_its_plan(
    instance: OdooInstance, hosts: Hosts, uno: FakeHost, way: Way, said: str
) -> None:
    """The copy that is kept aside once was refused when the origin had been stopped for it."""
    due = FakeHost("due", {"SELECT sum(pg_database_size*": "1000000000", **leading(), **serving()})
    hosts(uno, due)

    try:
        wrong = ""
        rejoin.require_room(instance, instance.origin, instance.recovery, way)
    except Refused as error:
        wrong = error.message

    assert bool(wrong) == bool(said), wrong
    assert said in wrong


def test_no_clone_takes_the_place_of_a_folder_in_which_a_disk_is_mounted(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """The next boot would hide the clone's own WAL behind that of the old data directory."""
    uno = _stopped("mount")
    hosts(uno, FakeHost("due", serving()))

    with terminal.without_server(), pytest.raises(Refused, match="is a mount point") as refused:
        clone.make(instance, instance.origin, instance.recovery)

    assert "make pg_wal a link to a folder on it" in refused.value.hint
    assert uno.changes == []


def test_a_copy_that_is_there_already_needs_no_room(instance: OdooInstance, hosts: Hosts) -> None:
    uno = _stopped(free=1)
    uno.answers = {**uno.answers, "test -e *": 0}
    hosts(uno, FakeHost("due"))

    kept = rewind.keep(instance, instance.origin)

    assert kept.name.startswith("main.quarantine-1-")


def test_what_is_kept_aside_has_its_name_when_the_disk_has_its_content(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """pg_rewind writes over the only other copy next: a power cut then left 200 empty files."""
    uno = _stopped()
    uno.answers = {
        **uno.answers, "rm -rf *": 0, "make_directory *": 0, "start *": "", "end *": "",
        "sync *": 0, "move *": 0, "systemctl show *": [IDLE, IDLE, ENDED],
    }  # fmt: skip
    hosts(uno, FakeHost("due"))

    kept = rewind.keep(instance, instance.origin)

    last = uno.changes[-2:]
    assert last == [f"sync --file-system {kept}.partial", f"move {kept}.partial {kept}"]


def test_a_folder_that_du_cannot_read_whole_is_measured_all_the_same(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """PostgreSQL may run while it is measured; without a word of du there is nothing to measure."""
    hosts(FakeHost("uno", {"du *": 1}), FakeHost("due"))

    with pytest.raises(CommandFailed, match="du failed on uno"):
        files.used_bytes(instance.origin.host.shell(), PurePosixPath("/pg"), user="postgres")


@pytest.mark.parametrize(("is_link", "said"), [(0, "is a link: a move does not"), (1, "")])
def test_sessions_that_lie_elsewhere_are_said_and_left_there(
    instance: OdooInstance, hosts: Hosts, is_link: int, said: str
) -> None:
    hosts(FakeHost("uno", {f"test -L {FILES}/sessions": is_link}), FakeHost("due"))

    assert said in "".join(leftout.sessions(instance))
    assert bool(leftout.sessions(instance)) == bool(said)


NO_SOCKET = (
    'psql said: psql: error: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" '
    "failed: No such file or directory\n"
)


def test_a_cluster_whose_socket_is_elsewhere_is_not_said_to_be_starting(
    instance: OdooInstance, hosts: Hosts
) -> None:
    listed = f"13 main 5432 online postgres {DATA} /var/log/x.log\n"
    there: dict[str, Answer] = {
        "pg_lsclusters *": listed, "look 13 main *": f"5432 online unknown {DATA}\n{NO_SOCKET}",
    }  # fmt: skip
    hosts(FakeHost("uno", there), FakeHost("due"))

    with pytest.raises(Refused, match=r"has no socket in /.*: add that folder to its unix_socket"):
        need(preflight.NEEDS, "cluster of the origin").ask(instance)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("SSL error: certificate verify failed", "renew the certificate of PostgreSQL on uno"),
        ('FATAL: no pg_hba.conf entry for host "10.0.0.2"', "look in pg_hba.conf on uno for a"),
        ("FATAL: password authentication failed", "read the end of PostgreSQL's log on uno"),
        ("connection timed out", "open this port on uno for 10.0.0.2 in every firewall"),
    ],
)
def test_a_login_that_fails_is_mended_where_it_failed(
    instance: OdooInstance, said: str, hint: str
) -> None:
    """All of them once led to a firewall."""
    assert login._hint(instance.recovery, instance.origin, said).startswith(hint)


def test_a_standby_that_a_new_tablespace_has_ended_is_down_for_that(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """It has no such folder, and PostgreSQL of a standby ends at what it cannot replay."""
    leads = f"5432 online f {DATA}\n" + control("in_production")
    down = "5433 down unknown /pg/vps_1\n" + control("in_archive_recovery")
    due = FakeHost("due", {"look 13 vps_1 *": down, "read *": "", "configured *": LIMITS})
    spaces = '[{"spcname": "fast"}]'
    hosts(FakeHost("uno", {"look 13 main *": leads, "SELECT spcname *": spaces}), due)

    with pytest.raises(Refused, match="uno keeps data in tablespaces: fast"):
        at_home.roles(instance, probes.look_at_both(instance))
