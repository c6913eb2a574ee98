"""What a cancelled run says of both ends, and what it tells the operator to press."""

import pytest

from tasks.plan.aftermath_read import Aftermath, End

UNO, DUE = ("uno", "odoo.service"), ("due", "odoo_vps_1.service")


def aftermath(
    origin: str, recovery: str, *, odoo: tuple[bool, bool], going_on: tuple[str, ...] = ()
) -> Aftermath:
    return Aftermath(
        "vps_1", "failover",
        End(UNO[0], origin, UNO[1], odoo_runs=odoo[0]),
        End(DUE[0], recovery, DUE[1], odoo_runs=odoo[1]),
        going_on,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "recovery", "odoo", "served", "next_step"),
    [
        ("primary", "standby", (True, False), "customers are served from uno", "when you want to"),
        ("down", "primary", (False, True), "customers are served from due", "when you want to"),
        (
            "primary", "standby", (False, False), "uno accepts writes and its Odoo is off",
            "to stay on uno: systemctl enable --now odoo.service",
        ),
        (
            "silent", "primary", (False, False), "due accepts writes and its Odoo is off",
            "press failover again, which goes on from here",
        ),
        ("down", "standby", (False, False), "nobody accepts writes", "goes on from here"),
        ("primary", "primary", (True, True), "BOTH SERVERS ACCEPT WRITES", "power one of them off"),
    ],
)  # fmt: skip
def test_it_says_who_serves_and_what_to_press(
    origin: str, recovery: str, odoo: tuple[bool, bool], served: str, next_step: str
) -> None:
    found = aftermath(origin, recovery, odoo=odoo)

    assert found.sentence().startswith("failover of vps_1 was cancelled: " + served)
    assert next_step in found.hint()
    assert "press failover again" in found.hint() or "then press failover" in found.hint()


def test_it_names_a_long_command_that_outlives_the_run() -> None:
    unit = "relevo-vps_1-basebackup.service on uno"

    assert unit in aftermath("down", "primary", odoo=(False, True), going_on=(unit,)).sentence()
