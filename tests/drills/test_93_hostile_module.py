"""A customer's module: what it does where the recovery host imports it, by day and in a drill."""

import pytest

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from flows.build_service import build_service
from flows.drill import drill
from flows.rsync_filestore import rsync_filestore
from tasks.odoo import service
from tasks.run import terminal
from tests.attacks import canary, days, tricks
from tests.attacks.oracle import Stage, only_own
from tests.oracles import no_strangers


def test_a_module_gets_nothing_of_another_customer_when_it_is_tried_or_rehearsed(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """It runs as somebody who has this customer's things alone, and leaves nothing behind."""
    block = blocks["vps_uno"]
    with tricks.module(stage.attacker, block), canary.untouched(*stage.hosts):
        build_service(block)
        tried = stage.collect()
        assert "module" in {each.name for each in tried}, "the payload has run in the try"
        left = [f"the try has left {each}" for each in stage.left_behind()]
        breaches = [each for one in tried for each in one.breaches(stage)]

        stage.sweep()
        drill(block)
        rehearsed = stage.collect()
        assert "module" in {each.name for each in rehearsed}, "the payload has run in the drill"
        left += [f"the drill has left {each}" for each in stage.left_behind()]
        breaches += [each for one in rehearsed for each in one.breaches(stage, network=False)]
    assert not breaches + left, "\n".join([*left, *breaches[:30]])
    no_strangers(stage.attacker)


def test_links_in_place_of_an_instances_folders_lead_root_nowhere(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """Odoo's user puts links to a folder of root's where Relevo keeps its trash and the rest."""
    block = blocks["vps_uno"]
    with (
        canary.untouched(stage.recovery),
        tricks.links(stage.recovery, stage.own.odoo, stage.folder),
    ):
        days.live(block, rsync_filestore, lambda each: rsync_filestore(each, "sources"))
        days.live(block, days.reconcile_filestore)
    days.live(block, rsync_filestore)
    assert stage.attacker.is_home()


def test_a_file_that_root_is_just_writing_cannot_be_swapped_for_a_link(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """Odoo's user swaps whatever appears beside its files, thousands of times a second."""
    block, own = blocks["vps_uno"], stage.own.odoo
    with canary.untouched(stage.recovery), tricks.swapping(stage.recovery, own, stage.folder):
        for _ in range(3):
            days.live(block, rsync_filestore)
        days.live(block, build_service)


def test_whoever_listens_on_another_odoos_port_is_not_taken_for_it(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """Odoo of the other customer does not even run, and its customers' logins would go here."""
    dos, block = stage.victim, blocks["vps_dos"]
    with (
        tricks.squatting(stage.recovery, stage.own.odoo, dos.http_port),
        terminal.without_server(),
        pytest.raises(RelevoError),
    ):
        service.wait_until_serving(block.recovery)


def test_an_option_of_pip_among_the_packages_of_the_origin_installs_nothing(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    block = blocks["vps_uno"]
    stage.recovery.run("sh", "-c", tricks.PACKAGES, user=stage.own.odoo)
    with tricks.freezing(stage.attacker, *tricks.OPTIONS):
        stage.sweep()
        days.live(block, lambda each: rsync_filestore(each, "requirements"), build_service)
        loot = only_own(stage)
    days.live(block, lambda each: rsync_filestore(each, "requirements"))
    assert not [each.name for each in loot], "no setup.py of the customer's has run"
