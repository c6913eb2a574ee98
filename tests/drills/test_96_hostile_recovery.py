"""A recovery host gone mad: a healthy origin serves on, and starts."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.attacks import endless
from tests.attacks.endless import MB
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair

CONFIG = "/etc/relevo/guard/vps_uno/config.json"
GUARD, ANSWER = "/usr/local/lib/relevo/guard", "/usr/local/lib/relevo/right"
# Each ends by itself: it is not to outlive the test.
MAD = {
    "zeros without end": "#!/bin/sh\nexec timeout 40 cat /dev/zero\n",
    "lines without end": "#!/bin/sh\nexec timeout 40 yes unknown\n",
    "a line that never ends, slowly": (
        "#!/bin/sh\nfor n in $(seq 400); do printf x; sleep 0.1; done\n"
    ),
}
MEMORY = """
pid=$(systemctl show "$1" --property=MainPID --value)
awk '/^VmRSS/ {print $2}' "/proc/$pid/status"
"""


@contextmanager
def mad(pair: Pair, text: str) -> Iterator[None]:
    with endless.replaced(pair.recovery, ANSWER, text):
        yield
    pair.origin.machine.run("systemctl", "restart", "relevo-guard-vps_uno")


def _memory(machine: Machine) -> int:
    said = machine.run("sh", "-c", MEMORY, "m", "relevo-guard-vps_uno", check=False).stdout
    return int(said or 0) << 10


@pytest.mark.parametrize("what", MAD)
def test_a_healthy_origin_starts_whatever_the_recovery_host_answers(uno: Pair, what: str) -> None:
    """With as much memory as a small server has left; and soon."""
    machine = uno.origin.machine
    ask = f"ulimit -v 120000; exec timeout 60 {GUARD} {CONFIG} odoo"
    with mad(uno, MAD[what]):
        asked = machine.run("sh", "-c", ask, check=False)
        assert asked.returncode == 0, asked.stderr[-2000:]


def test_the_watcher_of_a_healthy_origin_keeps_nothing_of_what_never_ends(uno: Pair) -> None:
    machine = uno.origin.machine
    with mad(uno, MAD["zeros without end"]):
        machine.run("systemctl", "restart", "relevo-guard-vps_uno")
        machine.run("systemctl", "restart", "odoo")
        wait_until(lambda: uno.at_origin("SELECT 1") == "1", "PostgreSQL serves")
        peak = max(_memory(machine) for _ in range(30) if not machine.run("sleep", "0.2").stdout)
        active = machine.run("systemctl", "is-active", "odoo", check=False).stdout
        assert active == "active\n", "customers work on"
        assert peak < 100 * MB, f"the watcher has {peak // MB} MB"
    assert uno.is_home()
