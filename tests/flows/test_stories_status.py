"""Who serves, as `relevo status` says it, and with which code it ends."""

import pytest

from blocks.errors import Unreachable
from blocks.instance import OdooInstance
from deployments import status
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts, control, dead, serving, standby


def origin(control: str) -> FakeHost:
    looks = {"look 13 main *": "5432 online f /var/lib/postgresql/13/main\n" + control}
    return FakeHost("uno", looks)


def silent() -> FakeHost:
    return FakeHost("due", {"*": Unreachable("due did not answer", hint="see that due is up")})


@pytest.mark.parametrize(
    ("ends", "served", "code"),
    [
        (("leads", "standby"), ("origin",), 0),
        (("dead", "serving"), ("recovery",), 0),
        (("leads", "serving"), ("origin", "recovery"), 1),
        (("dead", "standby"), (), 5),
        (("leads", "silent"), (), 5),
        (("dead", "silent"), (), 5),
    ],
)
def test_the_code_says_whether_it_is_known_who_serves(
    instance: OdooInstance, hosts: Hosts, ends: tuple[str, str], served: tuple[str, ...], code: int
) -> None:
    ones = {"leads": origin(control("in_production")), "dead": dead()}
    others = {
        "standby": FakeHost("due", standby()), "serving": FakeHost("due", serving()),
        "silent": silent(),
    }  # fmt: skip
    uno, due = ends
    hosts(ones[uno], others[due])

    known = code != 5
    (row,) = rows = status.measure([instance])

    assert (row.served_from, row.known) == (served, known)
    assert status.code(rows) == code
    line = list(status.lines(rows))[1]
    assert ("not known: " in line) == (not known)
    assert ("BOTH: uno and due" in line) == (len(served) > 1)


def test_two_that_accept_writes_are_told_though_of_another_instance_nothing_is_known(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(origin(control("in_production")), FakeHost("due", serving()))
    both = status.measure([instance])
    hosts(dead(), silent())
    unknown = status.measure([instance])

    assert status.code([*unknown, *both]) == status.code([*both, *unknown]) == 1
