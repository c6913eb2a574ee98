"""Another name for an instance: what the hosts say of it before anything is touched."""

from typing import TypeAlias

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.install.programs import LIBRARY
from tasks.removal import inherited, rename_door
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
            "/etc/systemd/system/odoo_vps_9.service",
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


def test_files_change_hands_while_both_users_are_there_and_before_they_move(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts
) -> None:
    own = instance.recovery.odoo.model_copy(update={"user": "odoo_vps_1"})
    there = instance.recovery.model_copy(update={"odoo": own})
    instance = instance.model_copy(update={"recovery": there})
    folder = {
        "missing *": "/srv/vps_1/sources\n",
        "stat *": "41e8 /\n41e8 /\n41e8 /srv/vps_1/trash\n",
    }
    due = FakeHost("due", {**folder, "test -e *": 0, "*": ""})
    hosts(FakeHost("uno"), due)

    inherited.keep(instance, heir)

    assert due.changes == [
        "pkill -KILL -u odoo_vps_1",
        "take /srv/vps_9 root 700",
        f"take {ROOM} root 700",
        "make user odoo_vps_9 /srv/vps_9/home",
        "give_tree /srv/vps_1/data_dir odoo_vps_1: odoo_vps_9:",
        f"rm -rf --one-file-system {ROOM}/data_dir",
        f"move /srv/vps_1/data_dir {ROOM}/data_dir",
    ] + [each for each in due.changes if "sources" in each]
    assert not [each for each in due.changes if "trash" in each], "it is on a disk of its own"

    after = FakeHost("due", {
        f"test -e {ROOM}": 0, f"test -e {ROOM}/data_dir": 0, "test -e *": 1, "*": "",
    })  # fmt: skip
    hosts(FakeHost("uno"), after)
    inherited.adopt(heir, "vps_1")

    assert [each for each in after.changes if ROOM in each] == [
        f"move {ROOM}/data_dir /srv/vps_9/data_dir",
        f"rm -rf --one-file-system {ROOM}",
    ]


def test_files_that_have_names_elsewhere_are_copied_again(
    instance: OdooInstance, heir: OdooInstance, hosts: Hosts
) -> None:
    answers: Answers = {
        "missing *": "", "stat *": "41e8 /\n" * 4, "test -e *": 0, "give_tree *": "a/b\n", "*": "",
    }  # fmt: skip
    due = FakeHost("due", answers)
    hosts(FakeHost("uno"), due)

    inherited.keep(instance, heir)

    assert not [each for each in due.changes if each.startswith("move")]


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
