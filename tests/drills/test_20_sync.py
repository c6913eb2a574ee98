"""Files follow, deletions wait, and a dead origin is said in one sentence."""

import time

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.rsync_filestore import rsync_filestore
from tests.lab.inventory import BASE
from tests.oracles import Pair
from tests.stack import Stack

HELD = f"{BASE}/vps_uno/data_dir/filestore"


def _count(pair: Pair, where: str) -> int:
    found = pair.recovery.run("find", where, "-type", "f").stdout
    return len(found.splitlines())


def test_a_deleted_file_goes_to_the_trash(uno: Pair, blocks: dict[str, OdooInstance]) -> None:
    rsync_filestore(blocks["vps_uno"])
    victim = uno.origin.machine.run(
        "sh", "-c", f"find {uno.origin.data_dir}/filestore/cliente1 -type f | head -1"
    ).stdout.strip()
    inner = victim.removeprefix(f"{uno.origin.data_dir}/filestore/")
    content = uno.origin.machine.run("sha1sum", victim).stdout.split()[0]
    uno.origin.machine.run("mv", victim, "/root/kept")
    rsync_filestore(blocks["vps_uno"])
    found = uno.recovery.run("find", f"{BASE}/vps_uno/trash", "-name", victim.split("/")[-1])
    assert content in found.stdout
    assert inner not in uno.recovery.run("find", HELD).stdout
    uno.origin.machine.run("mv", "/root/kept", victim)
    rsync_filestore(blocks["vps_uno"])
    assert inner in uno.recovery.run("find", HELD).stdout


def test_an_emptied_origin_is_refused_and_nothing_is_deleted(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    rsync_filestore(blocks["vps_uno"])
    before = _count(uno, HELD)
    store = f"{uno.origin.data_dir}/filestore"
    uno.origin.machine.run("mv", store, "/var/lib/unmounted")
    uno.origin.machine.run("install", "-d", "-o", "odoo", store)
    with pytest.raises(Refused, match=r"files of vps_uno .* are gone at the origin"):
        rsync_filestore(blocks["vps_uno"])
    assert _count(uno, HELD) == before
    uno.origin.machine.run("rmdir", store)
    uno.origin.machine.run("mv", "/var/lib/unmounted", store)


def test_a_truncated_file_at_the_origin_never_replaces_the_good_copy(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    rsync_filestore(blocks["vps_uno"])
    victim = uno.origin.machine.run(
        "sh", "-c", f"find {uno.origin.data_dir}/filestore/cliente1 -type f -size +1k | head -1"
    ).stdout.strip()
    uno.origin.machine.run("cp", "-a", victim, "/root/whole")
    uno.origin.machine.run("truncate", "-s", "5", victim)
    rsync_filestore(blocks["vps_uno"])
    copy = victim.replace(uno.origin.data_dir, f"{BASE}/vps_uno/data_dir")
    name = victim.rsplit("/", 1)[1]
    assert uno.recovery.run("sha1sum", copy).stdout.split()[0] == name
    uno.origin.machine.run("cp", "-a", "/root/whole", victim)


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
