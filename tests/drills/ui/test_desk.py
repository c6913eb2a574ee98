"""The nights an operator has: a dead server, a step that fails; and fingers that slip."""

import os

import pytest
from playwright.sync_api import expect

from tests.drills.ui.desk import Desk
from tests.drills.ui.reader import ENGLISH, SPANISH
from tests.lab import names
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers

BROKEN = "/etc/nginx/conf.d/broken.conf"
# `make screenshots` walks through each night in both languages; `make test`, through each in one.
BOTH = (ENGLISH, SPANISH) if os.environ.get("RELEVO_SCREENSHOTS") else ()


def open_form(desk: Desk, flow: str) -> None:
    """By the button of all instances, or on a phone by the instance's own."""
    if desk.reader.phone:
        desk.find_button(flow, "vps_uno")
        desk.picture("1-form")
    else:
        desk.find_button(flow)
        desk.choose("vps_uno")


@pytest.mark.parametrize("reader", [ENGLISH], indirect=True, ids=str)
def test_a_form_refuses_nonsense_before_there_is_a_run(desk: Desk) -> None:
    desk.find_button("failover")
    made = desk.stack.runs("failover/any-instance")
    desk.submit()
    expect(desk.page.get_by_text("'instance' is a required property", exact=True)).to_be_visible()
    desk.choose("vps_uno")
    desk.picture("1-form")
    desk.page.get_by_label("wait_minutes").fill("-3")
    desk.submit()
    expect(
        desk.page.get_by_text("-3 is less than or equal to the minimum of 0", exact=True)
    ).to_be_visible()
    assert desk.stack.runs("failover/any-instance") == made


@pytest.mark.parametrize("reader", BOTH or [SPANISH], indirect=True, ids=str)
def test_a_dead_origin_is_failed_over_and_brought_home_by_somebody_at_a_browser(
    uno: Pair, desk: Desk
) -> None:
    says = desk.reader
    uno.origin.machine.crash()
    open_form(desk, "failover")
    desk.start(says.fail_over)

    desk.wait_for("Paused")
    desk.picture("2-waiting-for-a-yes")
    dialog = desk.from_menu("Resume")
    expect(dialog).to_contain_text(says.exposure)
    expect(dialog).to_contain_text(says.will_then)
    expect(dialog).to_contain_text(says.is_down)
    desk.picture("3-plan")

    desk.fill_in(dialog, name="vps_dos", reason="the hoster confirms a fire", by="Ana")
    dialog.get_by_role("switch").click()
    dialog.get_by_role("button", name="Resume").click()
    # Not in Python before that: the browser's requests go through this process.
    expect(desk.page.get_by_text("Flow run resumed")).to_be_visible()
    wait_until(lambda: ENGLISH.wrong in desk.stack.said(desk.run), "it says what is wrong", 120)
    desk.page.reload()  # what it shows may be of the pause before
    desk.wait_for("Paused")
    dialog = desk.from_menu("Resume")
    expect(dialog).to_contain_text(says.wrong)
    desk.picture("4-wrong-name")
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "t"

    desk.fill_in(dialog, name="VPS-UNO", reason="the hoster confirms a fire", by="Ana")
    dialog.get_by_role("switch").click()
    dialog.get_by_role("button", name="Resume").click()
    desk.wait_for("Completed")
    desk.picture("5-failed-over")
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"
    assert names.lookup(uno.lab.nameserver, f"cliente1.{names.ZONE}") == uno.recovery.address
    desk.tab("Artifacts")
    report = desk.open_report("failover-vps-uno")
    expect(report).to_contain_text("the hoster confirms a fire")
    expect(report).to_contain_text("Ana")
    desk.picture("6-report")

    uno.origin.machine.boot()
    open_form(desk, "failback")
    desk.start(says.bring_back)
    desk.wait_for("Paused")
    dialog = desk.from_menu("Resume")
    expect(dialog).to_contain_text(says.rejoins)
    desk.picture("7-plan-of-the-failback")
    desk.fill_in(dialog, name="vps_uno", reason="it is repaired", by="Ana")
    dialog.get_by_role("button", name="Resume").click()
    desk.wait_for("Completed")
    desk.tab("Artifacts")
    expect(desk.open_report("failback-vps-uno")).to_contain_text(says.home)
    desk.picture("8-home")
    no_strangers(uno)


@pytest.mark.parametrize("reader", BOTH or [ENGLISH], indirect=True, ids=str)
def test_a_failed_step_is_found_mended_and_retried_without_another_question(
    uno: Pair, desk: Desk
) -> None:
    uno.recovery.write(BROKEN, "this is no directive;\n")
    try:
        desk.find_button("failover", "vps_uno")
        expect(desk.page.get_by_text("Select a block...")).to_have_count(0)
        desk.start(desk.reader.fail_over)
        desk.wait_for("Paused")
        dialog = desk.from_menu("Resume")
        desk.fill_in(dialog, name="vps_uno", reason="a planned move", by="Ana")
        dialog.get_by_role("button", name="Resume").click()

        desk.wait_for("Failed")
        desk.tab("Task Runs")
        expect(desk.page.get_by_text(desk.reader.show_site)).to_be_visible()
        desk.picture("9-failed-step")
        desk.newest_log_first()
        expect(desk.page.get_by_text("unknown directive").first).to_be_visible()
        desk.picture("10-why-it-failed")
    finally:
        uno.recovery.run("rm", "-f", BROKEN)

    desk.retry()
    desk.wait_for("Completed")
    desk.picture("12-retried")
    steps = [name for name, _ in desk.stack.tasks(desk.run)]
    assert steps.count(desk.reader.note_approval) == 1
    desk.stack.complete("failback/vps_uno")
    no_strangers(uno)
