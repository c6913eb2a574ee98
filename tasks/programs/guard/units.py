"""Units of systemd's, asked and stopped."""

from __future__ import annotations

import time

from ..bounded import run
from ..journal import say

ODOO_SECONDS = 3
STOP_SECONDS = 120


def systemctl(*words: str) -> str:
    try:
        return run(["systemctl", *words], seconds=STOP_SECONDS).text.strip()
    except OSError as error:
        say(f"systemctl {' '.join(words)} has failed: {error}")
        return ""


def active(unit: str) -> bool:
    return systemctl("is-active", unit) in {"active", "activating", "deactivating", "reloading"}


def stop_odoo(unit: str) -> None:
    """Stop a unit within seconds, whatever it is busy with."""
    systemctl("stop", "--no-block", unit)
    deadline = time.monotonic() + ODOO_SECONDS
    while active(unit) and time.monotonic() < deadline:
        time.sleep(0.1)
    if active(unit):
        systemctl("kill", "--signal=KILL", unit)
        systemctl("stop", unit)
    say(f"{unit} is {'still up' if active(unit) else 'down'}")
