"""The operator's desk: a real browser on the real UI, with the verbs of whoever sits there."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.drills.ui.reader import Reader
from tests.lab.trouble import LabError
from tests.stack import Stack
from tests.stack_api import PASSWORD

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_SECONDS = 240


class Desk:
    """One page, logged in."""

    def __init__(self, page: Page, stack: Stack, pictures: Path, reader: Reader) -> None:
        self.page, self.stack, self.pictures, self.reader = page, stack, pictures, reader
        self.base = stack.api.removesuffix("/api")
        self.run = self.deployment = ""

    def log_in(self) -> None:
        self.page.goto(self.base)
        self.page.locator("input").fill(f"relevo:{PASSWORD}")
        self.page.get_by_role("button", name="Login").click()
        expect(self.page.get_by_role("navigation", name="breadcrumb")).to_be_visible()

    def _go_to(self, page: str) -> None:
        """Choose from the list at the side, which a phone shows when it is asked to."""
        if self.reader.phone:
            self.page.get_by_role("button", name="Toggle Sidebar").click()
        self.page.get_by_role("link", name=page).click()
        if self.reader.phone:
            self.page.keyboard.press("Escape")  # as a tap beside the list

    def picture(self, name: str) -> None:
        """Keep what the operator sees now, once nothing moves any more."""
        self.page.wait_for_load_state("networkidle")
        self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")

    def find_button(self, flow: str, name: str = "any-instance") -> None:
        """Go to the deployments, look for a procedure, and open its form."""
        self._go_to("Deployments")
        self.page.get_by_placeholder("Search").fill(flow)
        listed = self.page.get_by_role("row").filter(has=self.page.get_by_role("link"))
        # What is clicked before the search has answered is what stands there a moment later.
        expect(listed.filter(has_not_text=flow)).to_have_count(0)
        row = self.page.get_by_role("row").filter(has_text=flow).filter(has_text=name)
        row.get_by_role("link", name=name, exact=True).click()
        self.page.wait_for_url("**/deployments/deployment/**")
        self.deployment = urlsplit(self.page.url).path.rsplit("/", 1)[-1]
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        expect(self.page.get_by_role("heading", name="Parameters")).to_be_visible()

    def choose(self, instance: str) -> None:
        self.page.get_by_text("Select a block...").click()
        self.page.get_by_role("option", name=instance.replace("_", "-")).click()

    def submit(self) -> None:
        self.page.get_by_role("button", name="Submit").click()

    def start(self, run_name: str) -> None:
        """Press Submit, and open the page of the run once it has its name."""
        self.submit()
        shown = self.page.get_by_role("button", name="View run")
        shown.wait_for()  # not in Python: the browser's requests go through this process
        self.run = self._newest_run()
        shown.click()
        self.page.wait_for_url(f"**/runs/flow-run/{self.run}**")
        # The page of the deployment stands there for a moment longer, with its earlier runs.
        # ("Logs" is a tab of a run from its first second; "Task Runs" only once it has some.)
        expect(self.page.get_by_role("tab", name="Logs")).to_be_visible()
        expect(self.page.get_by_role("main")).to_contain_text(
            run_name, timeout=PATIENCE_SECONDS * 1000
        )

    def _newest_run(self) -> str:
        """The run that was made last from the deployment whose form is open."""
        wanted = {
            "deployments": {"id": {"any_": [self.deployment]}},
            "sort": "EXPECTED_START_TIME_DESC", "limit": 1,
        }  # fmt: skip
        return str(self.stack.request("POST", "/flow_runs/filter", wanted)[0]["id"])

    def wait_for(self, state: str) -> None:
        """Wait until the badge at the top of the run's page shows this state, or another end."""
        ends = re.compile(f"^({state}|Completed|Failed|Crashed|Cancelled)$")
        badge = self.page.get_by_role("main").get_by_text(ends).first
        expect(badge).to_be_visible(timeout=PATIENCE_SECONDS * 1000)
        shown = badge.inner_text()
        assert shown == state, f"{shown}, not {state}: {self.stack.said(self.run)}"

    def newest_log_first(self) -> None:
        self.tab("Logs")
        self.page.get_by_role("combobox", name="log sort order").click()
        self.page.get_by_role("option", name="Newest to oldest").click()

    def from_menu(self, entry: str) -> Locator:
        """Choose from the menu at the top right of the run's page; return the dialog."""
        self.page.get_by_role("main").get_by_role("button", name="Open menu").first.click()
        self.page.get_by_role("menuitem", name=entry).click()
        return self.page.get_by_role("dialog").or_(self.page.get_by_role("alertdialog"))

    def retry(self) -> None:
        """Press Retry, and wait until the failure is history."""
        dialog = self.from_menu("Retry")
        self.picture("11-retry")
        dialog.get_by_role("button", name="Retry").click()
        failed = self.page.get_by_role("main").get_by_text("Failed", exact=True)
        expect(failed).to_have_count(0, timeout=PATIENCE_SECONDS * 1000)

    def fill_in(self, dialog: Locator, *, name: str, reason: str, by: str) -> None:
        for label, text in ((self.reader.approved, by), (self.reader.reason, reason)):
            dialog.get_by_label(label).fill(text)
        self.type_name(dialog, name)

    def type_name(self, dialog: Locator, name: str) -> None:
        """Type a name where the form says which."""
        dialog.get_by_label(re.compile(f"^{self.reader.type_name}")).fill(name)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def open_report(self, key: str) -> Locator:
        """Open what this run has left under a key; the page draws it piece by piece."""
        wanted = {"flow_run_id": {"any_": [self.run]}, "key": {"any_": [key]}}
        (report,) = self.stack.request("POST", "/artifacts/filter", {"artifacts": wanted})
        self.page.get_by_role("main").get_by_text(key, exact=True).first.click()
        self.page.get_by_role("main").locator(f"a[href*='{report['id']}']").first.click()
        self.page.wait_for_url(f"**/{report['id']}**")
        return self.page.get_by_role("main")


def _browser() -> str:
    """The browser of this machine."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise LabError(f"none of {', '.join(BROWSERS)} is installed", hint="install Chromium")
    return found


@contextmanager
def opened(stack: Stack, pictures: Path, reader: Reader) -> Iterator[Desk]:
    """Open a browser that speaks to this machine and to nobody else."""
    expect.set_options(timeout=60_000)  # of the page; a run has PATIENCE_SECONDS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_browser(), args=list(OPTIONS))
        context = browser.new_context(
            viewport=reader.screen, is_mobile=reader.phone, has_touch=reader.phone,
            color_scheme="light", timezone_id="UTC",
        )  # fmt: skip
        context.set_default_timeout(60_000)
        context.route(lambda url: urlsplit(url).hostname != "127.0.0.1", lambda r: r.abort())
        desk = Desk(context.new_page(), stack, pictures, reader)
        try:
            desk.log_in()
            yield desk
        except BaseException:
            desk.page.screenshot(path=pictures / "where-it-failed.png")
            raise
        finally:
            browser.close()
