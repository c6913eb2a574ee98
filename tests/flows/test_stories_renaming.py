"""Another name for an instance: what the hosts say of it before anything is touched."""

from typing import TypeAlias

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.install.programs import LIBRARY
from tasks.removal import inherited, rename_door
from tasks.serving import site
from tasks.serving.site_files import SITES
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, standby

ROOM = "/srv/vps_9/of-vps_1"
Answers: TypeAlias = "dict[str, Answer]"
FREE: Answers = {
    "missing *": "", "test -e *": 1, "getent *": 2, "read */pg_hba.conf": "",
    "SELECT slot_name *": "[]",
}  # fmt: skip


@pytest.fixture
def heir(instance: OdooInstance) -> OdooInstance:
    place = instance.recovery
    cluster = place.cluster.model_copy(update={"name": "vps_9"})
    odoo = place.odoo.model_copy(update={"unit": "odoo_vps_9.service", "user": "odoo_vps_9"})
    there = place.model_copy(update={"cluster": cluster, "odoo": odoo})
    folder = instance.directory.with_name("vps_9")
    return instance.model_copy(update={"name": "vps_9", "recovery": there, "directory": folder})


@pytest.fixture
def both(instance: OdooInstance, heir: OdooInstance) -> tuple[OdooInstance, OdooInstance]:
    return instance, heir


def free(host: str, **more: Answer) -> FakeHost:
    """A host that knows nothing of the new name."""
    paths = {
        "uno": ("/var/lib/relevo/vps_9", "/etc/relevo/guard/vps_9", f"{LIBRARY}/vps_9-gate"),
        "due": (
            "/etc/postgresql/13/vps_9", "/var/lib/relevo/vps_9",
            "/etc/systemd/system/odoo_vps_9.service", "/etc/nginx/relevo/vps_9",
        ),
    }  # fmt: skip
    missing = "".join(f"{path}\n" for path in paths[host])
    return FakeHost(host, {**more, **FREE, "missing *": missing, **more})


@pytest.mark.parametrize(
    ("where", "answers", "said"),
    [
        ("due", {"missing *": "/etc/postgresql/13/vps_9\n"}, "/var/lib/relevo/vps_9 is on due"),
        ("due", {"test -e /srv/vps_9": 0}, "/srv/vps_9 is on due"),
        ("due", {"getent *": "db_vps_9:x:998:"}, "due has the user db_vps_9"),
        ("uno", {"missing *": ""}, "/etc/relevo/guard/vps_9 is on uno"),
        (
            "uno",
            {"read */pg_hba.conf": "# relevo vps_9: begin\n# relevo vps_9: end\n"},
            "pg_hba.conf of 13/main on uno names it",
        ),
        ("uno", {"SELECT slot_name *": '[{"slot_name": "vps_9"}]'}, "uno has a replication slot"),
    ],
)
def test_a_name_that_a_host_has_is_refused(
    both: tuple[OdooInstance, OdooInstance], hosts: Hosts, where: str, answers: Answers, said: str
) -> None:
    found = {each: free(each, **(answers if each == where else {})) for each in ("uno", "due")}
    hosts(found["uno"], found["due"])

    with pytest.raises(Refused) as error:
        rename_door.require(*both, allow_restart=False)

    assert "the name vps_9 is in use" in str(error.value)
    assert said in str(error.value)
    assert found["uno"].changes == found["due"].changes == []


def test_what_an_earlier_run_has_kept_for_the_name_is_no_other_use_of_it(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts
) -> None:
    there: Answers = {"test -e /srv/vps_9": 0, f"test -e {ROOM}": 0}
    hosts(free("uno"), free("due", **there))

    assert rename_door._at_recovery(instance, heir) == []
    assert rename_door._at_origin(heir) == []


@pytest.mark.parametrize(
    ("mounts", "freed"), [("/var\n/var\n", 3 << 30), ("/data\n/var\n", 0)],
    ids=["one disk", "another disk"],
)  # fmt: skip
def test_the_room_of_the_old_copy_counts_where_the_new_one_will_be(
    instance: OdooInstance, hosts: Hosts, mounts: str, freed: int
) -> None:
    there: Answers = {"test -e *": 0, "stat *": mounts, "du *": f"{3 << 30}\t/x\n"}
    due = FakeHost("due", {**there, **standby(), **there})
    hosts(
        FakeHost("uno", {"SELECT sum(pg_database_size(oid)) FROM pg_database": "3000000000"}), due
    )

    assert rename_door.freed_bytes(instance) == freed


def test_a_disk_that_is_too_small_even_without_the_old_copy_is_refused_before(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts
) -> None:
    there: Answers = {
        "test -e *": 0,
        "stat *": "/var\n/var\n",
        "du *": "1000\t/x\n",
        "df *": "Avail\n5000\n",
    }
    size = "SELECT sum(pg_database_size(oid)) FROM pg_database"
    uno, due = FakeHost("uno", {size: "5000"}), FakeHost("due", {**there, **standby(), **there})
    hosts(uno, due)
    needs = rename_door._needs(heir)

    assert needs["clone"].ask(instance) == "there is room for a clone when the old one is gone"
    uno.answers = {size: "5001"}
    with pytest.raises(Refused, match=r"due has 6\.0 kB free, but a clone of uno needs 5\.0 kB"):
        needs["clone"].ask(instance)


def own(instance: OdooInstance) -> OdooInstance:
    """The instance with a user of its own, as most have."""
    odoo = instance.recovery.odoo.model_copy(update={"user": "odoo_vps_1"})
    there = instance.recovery.model_copy(update={"odoo": odoo})
    return instance.model_copy(update={"recovery": there})


def keeping(**more: Answer) -> FakeHost:
    """A recovery host on which data_dir and trash are, and no sources."""
    known: Answers = {
        f"test -e {ROOM}/trash": 1, "test -e /etc/nginx/*": 1, "test -e *": 0,
        "missing *": "/srv/vps_1/sources\n", "stat *": "41e8 /\n" * 3,
        "give_tree *": "0 \n0 \n", "outside *": "0 \n0 \n", "*": "",
    }  # fmt: skip
    return FakeHost("due", {**more, **known, **more})


def test_files_change_hands_together_while_both_users_are_there_and_before_they_move(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts
) -> None:
    due = keeping()
    hosts(FakeHost("uno"), due)

    inherited.keep(own(instance), heir)

    assert due.changes == [
        "pkill -KILL -u odoo_vps_1",
        "take /srv/vps_9 root 700",
        f"take {ROOM} root 700",
        "make user odoo_vps_9 /srv/vps_9/home",
        "give_tree /srv/vps_1/data_dir odoo_vps_1: odoo_vps_9: /srv/vps_1/trash",
        f"rm -rf --one-file-system {ROOM}/data_dir",
        f"move /srv/vps_1/data_dir {ROOM}/data_dir",
        f"rm -rf --one-file-system {ROOM}/trash",
        f"move /srv/vps_1/trash {ROOM}/trash",
    ]


def test_what_waits_is_put_in_its_place(heir: OdooInstance, hosts: Hosts) -> None:
    due = FakeHost("due", {
        f"test -e {ROOM}": 0, f"test -e {ROOM}/data_dir": 0, "test -e *": 1, "*": "",
    })  # fmt: skip
    hosts(FakeHost("uno"), due)

    inherited.adopt(heir, "vps_1")

    first = next(each for each in due.changes if ROOM in each)
    assert first == f"move {ROOM}/data_dir /srv/vps_9/data_dir"
    assert due.changes[-1] == f"rm -rf --one-file-system {ROOM}"


@pytest.mark.parametrize(
    ("found", "goes"), [("", True), ("/srv/vps_9/trash/2026-11-01", False)],
    ids=["an empty one", "a full one"],
)  # fmt: skip
def test_a_trash_goes_for_no_other_that_holds_something(
    heir: OdooInstance, hosts: Hosts, found: str, *, goes: bool
) -> None:
    """Somebody has run replicate by hand in between: both trashes are kept."""
    answers: Answers = {
        f"test -e {ROOM}": 0, f"test -e {ROOM}/trash": 0,
        "test -e /srv/vps_9/trash": [0, 1] if goes else 0,
    }  # fmt: skip
    due = FakeHost("due", {**answers, "test -e *": 1, "find /srv/vps_9/trash *": found, "*": ""})
    hosts(FakeHost("uno"), due)

    inherited.adopt(heir, "vps_1")

    assert (f"move {ROOM}/trash /srv/vps_9/trash" in due.changes) is goes
    assert f"rm -rf --one-file-system {ROOM}/trash" not in due.changes
    if not goes:
        assert f"rm -rf --one-file-system {ROOM}" not in due.changes


def test_files_that_have_names_elsewhere_are_copied_again(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts
) -> None:
    due = keeping(**{"give_tree *": "1 data_dir/a/b\n0 \n", "outside *": "1 data_dir/a\n0 \n"})
    hosts(FakeHost("uno"), due)

    assert inherited.require(own(instance), heir) == {
        instance.directory / "data_dir": (
            "files there have other names elsewhere: data_dir/a (1 in all)"
        ),
    }
    inherited.keep(own(instance), heir)

    moved = [each for each in due.changes if each.startswith("move")]
    assert moved == [f"move /srv/vps_1/trash {ROOM}/trash"]


LINKED_TRASH: Answers = {
    "stat *": "41e8 /\n41e8 /\na1ff /\n", "give_tree *": "0 \n", "outside *": "0 \n",
}  # fmt: skip
TAKEN_TRASH: Answers = {"give_tree *": "0 \n2 trash/a\n", "outside *": "0 \n2 trash/a\n"}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (LINKED_TRASH, "it is on another disk, or a link\nHINT: move what it holds into a folder"),
        (
            TAKEN_TRASH,
            "files there have other names elsewhere: trash/a (2 in all)\nHINT: run find /",
        ),
    ],
    ids=["a link", "names elsewhere"],
)
def test_a_trash_that_cannot_be_kept_is_never_dropped(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts, answers: Answers, said: str
) -> None:
    """Before anything is touched; and where it has become so since, it stays where it is."""
    due = keeping(**answers)
    hosts(FakeHost("uno"), due)
    for act in (inherited.require, inherited.keep):
        with pytest.raises(Refused) as error:
            act(own(instance), heir)
        assert "the trash /srv/vps_1/trash on due would be lost" in error.value.message
        assert said in str(error.value)
        if act is inherited.require:
            assert due.changes == []

    assert not [each for each in due.changes if each.startswith(("rm", "move"))]


def test_a_file_that_has_two_names_for_a_moment_is_no_obstacle(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts
) -> None:
    answers: Answers = {"outside *": ["0 \n1 trash/a\n", "0 \n0 \n"]}
    due = keeping(**answers)
    hosts(FakeHost("uno"), due)

    assert inherited.require(own(instance), heir) == {}


@pytest.mark.parametrize("path", [f"{ROOM}/trash", "/etc/nginx/relevo/vps_9.of-vps_1"])
def test_a_trash_or_a_site_that_waits_is_not_written_over_by_another(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts, path: str
) -> None:
    there: Answers = {f"test -e {path}": 0, "test -e /etc/nginx/relevo/vps_1": 0}
    due = keeping(**{**there, "find /etc/nginx/relevo/vps_1 *": "own/a.conf\0"})
    hosts(FakeHost("uno"), due)

    with pytest.raises(Refused, match=f"{path} on due waits for vps_9 since an earlier rename"):
        inherited.require(own(instance), heir)


SITE, WAITING = "/etc/nginx/relevo/vps_1", "/etc/nginx/relevo/vps_9.of-vps_1"


def test_a_site_waits_for_the_new_name_with_its_certificates_and_what_people_wrote(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts
) -> None:
    """A certificate that was renewed here is the newest of all, and nobody copies directives."""
    site_there: Answers = {f"test -e {SITE}": 0, f"test -e {WAITING}": 1, "empty *": ""}
    due = FakeHost("due", {**site_there, "test -e *": 1, "rm *": "", "move *": ""})
    hosts(FakeHost("uno"), due)

    site.forget(instance, heir="vps_9")

    assert due.changes[-2:] == [f"move {SITE} {WAITING}", f"empty {SITE}/own {SITE} {SITES}"]
    assert not [each for each in due.ran if "rm" in each and ("/own" in each or "pem" in each)]

    before = "proxy_pass http://odoo_vps_1;\n"
    answers: Answers = {
        f"test -e {WAITING}": 0, "test -e /etc/nginx/relevo/vps_9": [1, 0], "test -e *": 1,
        "find /etc/nginx/relevo/vps_9 *": "own/a.conf\0own/words\0fullchain.pem\0",
        "read /etc/nginx/relevo/vps_9/own/a.conf": before, "move *": "", "install *": "installed",
    }  # fmt: skip
    after = FakeHost("due", answers)
    hosts(FakeHost("uno"), after)

    inherited.adopt(heir, "vps_1")

    assert f"move {WAITING} /etc/nginx/relevo/vps_9" in after.changes
    assert after.wrote == ["proxy_pass http://odoo_vps_9;\n"]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (("vps_1",), "the cluster 13/vps_1 is still on due"),
        (
            (ROOM,),
            f"due has no copy of the database of vps_9 now, and its files wait in {ROOM} there",
        ),
        (("vps_9",), "the replica of vps_9 on due is not whole yet"),
        ((), "the replica of vps_9 on due is not whole yet"),
    ],
)
def test_an_error_in_between_says_what_there_is(
    both: tuple[OdooInstance, OdooInstance], hosts: Hosts, there: tuple[str, ...], said: str
) -> None:
    old, heir = both
    known: Answers = {
        f"test -e /etc/postgresql/13/{name}/postgresql.conf": 0 for name in there if name != ROOM
    }
    waiting: Answers = {f"test -e {ROOM}": 0} if ROOM in there else {}
    due = FakeHost("due", {**known, **waiting, "test -e *": 1, "read *": ""})
    hosts(FakeHost("uno"), due)

    assert rename_door.whereabouts(heir, old.name, begun=old) == said
    assert due.changes == []
