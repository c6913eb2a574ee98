"""What a failed oracle saw is said, as in a test; a long run ends with its first failures."""

import pytest

pytest.register_assert_rewrite("tests.oracles")

FIRST, LENGTH = 12, 500


class FirstFailures:
    """Of many failures the first few have a cause of their own; the rest often follow from them."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and len(self.found) < FIRST:
            worker = getattr(report, "worker_id", "alone")
            crash = getattr(report.longrepr, "reprcrash", None)
            said = str(crash.message if crash else report.longrepr)
            self.found.append(f"[{worker}] {report.nodeid} ({report.when}): {said[:LENGTH]}")

    def pytest_unconfigure(self) -> None:
        if self.found:
            print("\nThe first failures, in their order:", *self.found, sep="\n")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FirstFailures())
