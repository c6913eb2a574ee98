"""Runs that end in the middle: one writes, the lock is free, the page says what to do.

Cancelled at different steps, unanswered, or left without their lock.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.lab.machine import wait_until
from tests.lab.trouble import LabError
from tests.oracles import Pair, no_strangers, one_writer, start_conf
from tests.stack import Stack

DAWDLE = "/run/systemd/system/{}.d/dawdle.conf"
RECEIVE = (
    "install -d -o postgres /tmp/others && runuser -u postgres -- "
    "setsid /usr/lib/postgresql/{version}/bin/pg_receivewal -D /tmp/others >/dev/null 2>&1 &"
)
ROLES = "SELECT pg_is_in_recovery(), pg_postmaster_start_time()"


@contextmanager
def dawdling(pair: Pair) -> Iterator[None]:
    """Odoo at the origin takes its time to stop, as one does that is at work."""
    machine, path = pair.origin.machine, DAWDLE.format(pair.origin.unit)
    machine.run("mkdir", "-p", path.rpartition("/")[0])
    machine.write(path, "[Service]\nExecStop=/bin/sleep 6\n")
    machine.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        machine.run("rm", path)
        machine.run("systemctl", "daemon-reload")


@contextmanager
def stalled(pair: Pair) -> Iterator[None]:
    """Somebody else's copy of the WAL stands still: the origin waits for it before it is down."""
    machine = pair.origin.machine
    machine.run("sh", "-c", RECEIVE.format(version=pair.lab.generation.postgres))
    streams = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pg_receivewal'"
    wait_until(lambda: pair.at_origin(streams) == "1", "it streams", 20)
    machine.run("pkill", "-STOP", "pg_receivewal")
    try:
        yield
    finally:
        machine.run("pkill", "-KILL", "pg_receivewal")
    machine.wait_until_succeeds("sh", "-c", "pg_lsclusters -h | grep -w down")


def test_a_failover_and_a_failback_cancelled_anywhere_end_well_when_pressed_again(
    uno: Pair, stack: Stack
) -> None:
    on = stack.schedules("vps_uno")
    with one_writer(uno):
        run = _waiting(stack, "failover")
        before = uno.at_origin(ROLES), uno.at_recovery(ROLES)
        assert "customers are served from uno" in _cancelled(uno, stack, run)
        assert (uno.at_origin(ROLES), uno.at_recovery(ROLES)) == before

        with dawdling(uno):
            said = _cancelled_at(uno, stack, "failover", "stop Odoo on uno")
        assert "press failover again when you want to finish it" in said
        enabled = uno.origin.machine.run("systemctl", "is-enabled", uno.origin.unit).stdout
        assert (enabled, stack.schedules("vps_uno")) == ("enabled\n", on)

        with dawdling(uno):
            run = _begun(stack, "failover", "stop Odoo on uno")
        with stalled(uno):
            wait_until(lambda: _role(uno.at_origin) == "down", "uno is being stopped", 120)
            said = _cancelled(uno, stack, run)
        assert "nobody accepts writes" in said
        stack.complete("failover/vps_uno", decide="plan only")
        assert "| what would be lost | nothing |" in stack.artifact("plan-failover-vps-uno")

        _cancelled_at(uno, stack, "failover", "promote respaldo")
        stack.complete("failover/vps_uno")
        assert not any(stack.schedules("vps_uno").values())

        uno.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 10) AS n", "cliente1")
        there = "make uno the standby of respaldo"
        said = _cancelled_at(uno, stack, "failback", there, reclone=True)
        assert "customers are served from respaldo" in said
        _cancelled_at(uno, stack, "failback", "demote respaldo, in favour of uno")
        stack.complete("failback/vps_uno")

    assert uno.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
    uno.at_origin("DROP TABLE outage", "cliente1")
    assert all(stack.schedules("vps_uno").values())
    beside = uno.origin.machine.run("find", "/var/lib/postgresql", "-name", "*.relevo-new")
    assert beside.stdout == "", "a clone that was cut off is left"
    no_strangers(uno)


def test_a_switchover_that_nobody_answers_changes_nothing_and_a_typed_yes_starts_it(
    uno: Pair, stack: Stack
) -> None:
    before, on = (uno.at_origin(ROLES), uno.at_recovery(ROLES)), stack.schedules("vps_uno")

    run = stack.press("switchover/vps_uno", decide="ask", wait_minutes=0.1)
    said = "the switchover of vps_uno was not approved within 0.1 minutes; nothing was changed"
    # Prefect's own clock may end it first, in words of its own; ours have the last word.
    wait_until(lambda: said in str(stack.state(run)["message"]), said, 120)
    assert stack.state(run)["type"] == "FAILED"
    assert (uno.at_origin(ROLES), uno.at_recovery(ROLES)) == before
    assert stack.schedules("vps_uno") == on
    _require_free(uno)

    run = _waiting(stack, "switchover")
    yes = {"instance_name": "vps_uno", "reason": "a planned move", "approved_by": "Ana"}
    assert stack.resume(run, **{**yes, "instance_name": "vps_dos"}) == "ACCEPT"
    wrong = "'vps_dos' was typed, and this plan is about vps_uno"
    wait_until(lambda: wrong in stack.said(run), "it says what is wrong", 60)
    wait_until(lambda: stack.state(run)["type"] == "PAUSED", "it asks once more", 60)
    assert stack.resume(run, **yes) == "ACCEPT"
    stack.require_complete(run)
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"
    assert re.search("approved by.*Ana", stack.artifact("switchover-vps-uno"))
    stack.complete("switchover/vps_uno", to="origin")
    no_strangers(uno)


def test_a_recovery_host_that_dies_in_a_planned_failover_leaves_the_origin_serving(
    uno: Pair, stack: Stack
) -> None:
    origin, unit = uno.origin.machine, uno.origin.unit
    with dawdling(uno):
        run = _begun(stack, "failover", "stop Odoo on uno")
        stopping = ("sh", "-c", f"systemctl is-active {unit} | grep -qx deactivating")
        origin.wait_until_succeeds(*stopping)
        uno.recovery.kill()
        state = stack.wait(run)
    assert state["type"] == "FAILED"
    assert "HINT" in state["message"]
    again = "nothing was handed over: Odoo on uno serves again"
    wait_until(lambda: again in stack.said(run), "the run says that Odoo serves again", 30)
    assert origin.run("systemctl", "is-enabled", unit).stdout == "enabled\n"
    origin.wait_for_port(uno.origin.http_port)

    uno.recovery.boot()
    wait_until(uno.is_home, "the standby follows again", 120)
    origin.run("systemctl", "stop", unit)
    state = stack.wait(stack.press("check/vps_uno"))
    assert f"{unit} on uno is not running, so customers cannot work" in state["message"]
    origin.run("systemctl", "start", unit)
    origin.wait_for_port(uno.origin.http_port)
    stack.complete("check/vps_uno")
    no_strangers(uno)


def _waiting(stack: Stack, procedure: str) -> str:
    """Press a button, and read its plan."""
    run = stack.press(f"{procedure}/vps_uno", decide="ask")
    wait_until(lambda: stack.state(run)["type"] == "PAUSED", "the plan waits for a yes", 120)
    return run


def _begun(stack: Stack, procedure: str, step: str, **parameters: object) -> str:
    """Press a button, and wait until a step begins."""
    run = stack.press(f"{procedure}/vps_uno", **parameters)
    begun = f"the step {step!r} begins"
    wait_until(lambda: any(name == step for name, _ in stack.tasks(run)), begun, 120)
    return run


def _cancelled_at(pair: Pair, stack: Stack, procedure: str, step: str, **more: object) -> str:
    """Press a button, and Cancel as soon as a step has begun; give what the run says at its end."""
    return _cancelled(pair, stack, _begun(stack, procedure, step, **more))


def _cancelled(pair: Pair, stack: Stack, run: str) -> str:
    """Cancel a run; require a free lock, and a sentence about how things are that is true."""
    stack.cancel(run)
    state = stack.wait(run)
    assert state["type"] == "CANCELLED", f"{state}\n{stack.said(run)}"
    _require_free(pair)
    said = _last_words(stack, run)
    assert _standing(pair) in said, said
    assert re.search("^HINT: .*press .* again", said, re.MULTILINE), said
    return said


def _require_free(pair: Pair) -> None:
    lock = f"/run/relevo/{pair.name}.lock"
    pair.recovery.run("flock", "--nonblock", lock, "true")


def _last_words(stack: Stack, run: str) -> str:
    """What a cancelled run says; logs arrive a moment after the state."""
    wait_until(lambda: "HINT" in stack.said(run), "the run says how things are", 30)
    return stack.said(run)[-3000:]


def _standing(pair: Pair) -> str:
    """Who serves, asked of the hosts themselves."""
    ends = (
        (pair.origin.machine, pair.origin.cluster, pair.origin.unit, pair.at_origin),
        (pair.recovery, pair.name, f"odoo_{pair.name}.service", pair.at_recovery),
    )
    for machine, cluster, unit, ask in ends:
        if _role(ask) == "f":
            if machine.run("systemctl", "is-active", unit, check=False).stdout != "active\n":
                return f"{machine.name} accepts writes and its Odoo is off"
            assert start_conf(machine, pair.lab.generation.postgres, cluster) == "auto"
            return f"customers are served from {machine.name}"
    return "nobody accepts writes, customers cannot work"


def _role(ask: Callable[[str], str]) -> str:
    try:
        return ask("SELECT pg_is_in_recovery()")
    except LabError:
        return "down"
