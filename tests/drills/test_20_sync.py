"""Files follow the documents, deletions wait, and a dead origin is said in one sentence."""

import hashlib
import time
from collections.abc import Iterator

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.reconcile_filestore import reconcile_filestore
from flows.restore_filestore import restore_filestore
from flows.rsync_filestore import rsync_filestore
from tasks.filestore import engine
from tests.lab.inventory import BASE
from tests.lab.machine import wait_until
from tests.oracles import Pair
from tests.stack import Stack

HELD = f"{BASE}/vps_uno/data_dir/filestore"
TRASH = f"{BASE}/vps_uno/trash"


def _count(pair: Pair, where: str) -> int:
    found = pair.recovery.run("find", where, "-type", "f").stdout
    return len(found.splitlines())


def _attach(pair: Pair, content: str, *, database: str = "cliente1") -> str:
    """Save a document at the origin as Odoo does: the file, then the row; give the file's name."""
    digest = hashlib.sha1(content.encode()).hexdigest()
    name, store = f"{digest[:2]}/{digest}", f"{pair.origin.data_dir}/filestore/{database}"
    write = f'install -d -o odoo -g odoo "{store}/{digest[:2]}" && printf %s "$1" >"{store}/{name}"'
    pair.origin.machine.run("sh", "-c", write, "write", content)
    pair.at_origin(
        "INSERT INTO ir_attachment (name, type, store_fname, file_size) "
        f"VALUES ('drill', 'binary', '{name}', {len(content)})",
        database,
    )
    return f"{database}/{name}"


def _caught_up(pair: Pair) -> None:
    lsn = pair.at_origin("SELECT pg_current_wal_lsn()")
    sql = f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'"
    wait_until(lambda: pair.at_recovery(sql) == "t", f"replay to {lsn}")


def _without_grace(instance: OdooInstance) -> OdooInstance:
    """An instance whose files go to the trash as soon as no document names them."""
    wishes = instance.filestore.model_copy(update={"grace_hours": 0.0})
    return instance.model_copy(update={"filestore": wishes})


def _here(pair: Pair, file: str) -> bool:
    digest = file.rsplit("/", 1)[1]
    said = pair.recovery.run("sha1sum", f"{HELD}/{file}", check=False).stdout
    return said.startswith(digest)


def test_a_deleted_document_s_file_goes_to_the_trash_after_the_grace_time_and_comes_back(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    file = _attach(uno, "short-lived")
    _caught_up(uno)
    rsync_filestore(blocks["vps_uno"])
    assert _here(uno, file)
    uno.at_origin("DELETE FROM ir_attachment WHERE name = 'drill'", "cliente1")
    uno.origin.machine.run("rm", f"{uno.origin.data_dir}/filestore/{file}")
    _caught_up(uno)
    reconcile_filestore(blocks["vps_uno"])
    assert _here(uno, file)

    reconcile_filestore(_without_grace(blocks["vps_uno"]))

    assert not _here(uno, file)
    found = uno.recovery.run("find", TRASH, "-name", file.rsplit("/", 1)[1]).stdout
    day = found.removeprefix(f"{TRASH}/").split("/")[0]
    assert restore_filestore(blocks["vps_uno"], day) >= 1
    assert _here(uno, file)


def test_a_file_that_is_gone_at_the_origin_is_given_back_to_it(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    file = _attach(uno, "lost at the origin")
    other = _attach(uno, "cut short at the origin")
    _caught_up(uno)
    rsync_filestore(blocks["vps_uno"])
    store = f"{uno.origin.data_dir}/filestore"
    uno.origin.machine.run("rm", f"{store}/{file}")
    uno.origin.machine.run("truncate", "-s", "5", f"{store}/{other}")
    rsync_filestore(blocks["vps_uno"])
    assert _here(uno, file)
    assert _here(uno, other)

    report = reconcile_filestore(blocks["vps_uno"])

    assert report.facts["given back to the origin"] == "2"
    for each in (file, other):
        said = uno.origin.machine.run("sha1sum", f"{store}/{each}").stdout
        assert said.startswith(each.rsplit("/", 1)[1])
        owner = uno.origin.machine.run("stat", "-c", "%U", f"{store}/{each}").stdout
        assert owner == "odoo\n"


def test_an_emptied_origin_is_refused_and_nothing_is_deleted(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    rsync_filestore(blocks["vps_uno"])
    before = _count(uno, HELD)
    store = f"{uno.origin.data_dir}/filestore"
    uno.origin.machine.run("mv", store, "/var/lib/unmounted")
    uno.origin.machine.run("install", "-d", "-o", "odoo", store)
    rsync_filestore(blocks["vps_uno"])
    with pytest.raises(Refused, match=r"files of vps_uno are gone or spoiled at uno"):
        reconcile_filestore(_without_grace(blocks["vps_uno"]))
    assert _count(uno, HELD) == before
    assert uno.origin.machine.run("find", store, "-type", "f").stdout == ""
    uno.origin.machine.run("rmdir", store)
    uno.origin.machine.run("mv", "/var/lib/unmounted", store)


@pytest.fixture
def unfollowed(uno: Pair, blocks: dict[str, OdooInstance]) -> Iterator[OdooInstance]:
    """An instance whose files come with a pass only, and not at once."""
    uno.recovery.run("systemctl", "stop", engine.follower(blocks["vps_uno"]))
    yield blocks["vps_uno"]
    engine.follow(blocks["vps_uno"])


def test_a_truncated_file_at_the_origin_is_never_taken_and_is_reported_by_name(
    uno: Pair, unfollowed: OdooInstance
) -> None:
    file = _attach(uno, "never whole anywhere")
    source = f"{uno.origin.data_dir}/filestore/{file}"
    uno.origin.machine.run("cp", "-a", source, "/root/whole")
    uno.origin.machine.run("truncate", "-s", "5", source)
    _caught_up(uno)

    report = reconcile_filestore(unfollowed)

    assert uno.recovery.run("test", "-e", f"{HELD}/{file}", check=False).returncode == 1
    assert [document.file for document in report.documents] == [file.partition("/")[2]]
    assert "1 wrong" in report.facts["database and files"]
    uno.origin.machine.run("cp", "-a", "/root/whole", source)

    def fetched() -> bool:  # what was spoiled is tried again later and later
        rsync_filestore(unfollowed)
        return _here(uno, file)

    wait_until(fetched, "the whole file is here", 120)


@pytest.fixture
def followed(uno: Pair, blocks: dict[str, OdooInstance]) -> OdooInstance:
    """An instance whose follower runs."""
    rsync_filestore(blocks["vps_uno"])
    return blocks["vps_uno"]


def _state(instance: OdooInstance) -> str:
    written = engine.written(instance)["conditions"]
    found = [each for each in written if each["instance"] == "vps_uno"]
    return str(found[0]["state"]) if found else ""


def test_the_follower_brings_files_at_once_and_catches_up_after_a_cut(
    uno: Pair, followed: OdooInstance
) -> None:
    wait_until(lambda: _state(followed) == "following", "the follower follows", 30)
    file = _attach(uno, "followed at once")
    wait_until(lambda: _here(uno, file), "the file is here", 10)

    uno.origin.machine.cut()
    late = _attach(uno, "written behind a cut cable")
    uno.origin.machine.heal()
    wait_until(lambda: _here(uno, late), "the file came after the cut", 120)
    assert _state(followed) in {"following", "away"}


def test_a_round_copies_all_but_the_one_whose_origin_is_cut_off_and_names_it(
    uno: Pair, dos: Pair, stack: Stack
) -> None:
    for pair in (uno, dos):
        pair.origin.machine.write(f"{pair.origin.data_dir}/beside.txt", pair.name)
    uno.origin.machine.cut()
    run = stack.press("copies/respaldo")
    state = stack.wait(run, 240)
    uno.origin.machine.heal()

    assert state["type"] == "FAILED", stack.said(run)
    assert "1 of 2 instances on respaldo were not copied" in state["message"]
    assert "vps_uno: " in state["message"]
    assert "vps_dos: " not in state["message"]
    here = f"{BASE}/{{}}/data_dir/beside.txt".format
    assert dos.recovery.read(here("vps_dos")) == "vps_dos"
    assert dos.recovery.run("test", "-e", here("vps_uno"), check=False).returncode == 1

    stack.complete("copies/respaldo")

    assert uno.recovery.read(here("vps_uno")) == "vps_uno"
    assert stack.tasks(run) == [], "a task for each step would cost the server more than the copy"


def test_a_round_leaves_one_alone_whose_schedule_somebody_has_switched_off(
    uno: Pair, dos: Pair, stack: Stack
) -> None:
    there = stack.request("GET", "/deployments/name/rsync-filestore/vps_uno")
    switch = f"/deployments/{there['id']}/schedules/{there['schedules'][0]['id']}"
    uno.origin.machine.write(f"{uno.origin.data_dir}/later.txt", "later")
    here = f"{BASE}/vps_uno/data_dir/later.txt"
    stack.request("PATCH", switch, {"active": False})
    try:
        stack.complete("copies/respaldo")
        page = stack.artifact("copies-respaldo")
        assert "| vps_uno | left alone: its schedule is off |" in page, page
        assert uno.recovery.run("test", "-e", here, check=False).returncode == 1
    finally:
        stack.request("PATCH", switch, {"active": True})
    stack.complete("copies/respaldo")
    assert uno.recovery.read(here) == "later"
    assert dos.is_home()


def test_an_origin_that_does_not_answer_fails_the_run_in_one_sentence_and_retry_goes_on(
    uno: Pair, stack: Stack
) -> None:
    uno.origin.machine.cut()
    begun = time.monotonic()
    run = stack.press("rsync-filestore/vps_uno-requirements")
    state = stack.wait(run, 120)
    took = time.monotonic() - begun
    uno.origin.machine.heal()
    assert state["type"] == "FAILED"
    assert "did not answer" in state["message"]
    assert "uno" in state["message"]
    assert "HINT:" in state["message"]
    assert took < 60, f"{took:.0f} s"
    stack.retry(run)
    assert stack.wait(run, 120)["type"] == "COMPLETED", stack.said(run)
