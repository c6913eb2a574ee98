"""What is not PostgreSQL's or ssh's usual way, at the origin or here."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from flows.basebackup import basebackup
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from flows.switchover import switchover
from tasks.plan import measure, summary
from tasks.readiness import ahead
from tasks.run import terminal
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, no_strangers, ready

Blocks = dict[str, OdooInstance]
# The one limit that costs nothing, and one that is an older name in pg_control.
RAISED = {"max_connections": (100, 150), "max_locks_per_transaction": (64, 80)}
ASIDE = ("find", "/var/lib/postgresql", "-maxdepth", "2", "-name", "*.quarantine-*")


def _restart(machine: Machine, version: int, cluster: str) -> None:
    machine.run("systemctl", "restart", f"postgresql@{version}-{cluster}")


def _raise(pair: Pair, **limits: int) -> None:
    """Raise limits at the origin, as its owner would."""
    for name, value in limits.items():
        pair.at_origin(f"ALTER SYSTEM SET {name} = {value}")
    _restart(pair.origin.machine, pair.origin.version, pair.origin.cluster)


def _held_up(block: OdooInstance, said: str) -> None:
    def told() -> bool:
        with pytest.raises(RelevoError) as refused:  # it may just be going down
            check(block)
        return said in refused.value.message

    wait_until(told, f"check says: {said}", 60)


def test_limits_raised_at_the_origin_are_named_and_a_forced_failover_goes_on_with_them(
    uno: Pair, blocks: Blocks
) -> None:
    block, machine = blocks[uno.name], uno.origin.machine
    _raise(uno, **{name: value for name, (_, value) in RAISED.items()})
    for name, (former, value) in RAISED.items():
        _held_up(block, f"{name} is {former} there and must be {value}")
    with pytest.raises(Refused, match="run replicate"):
        failover(block)

    replicate(block)
    assert uno.at_recovery("SHOW max_connections") == "150"
    ready(check(block))

    _raise(uno, max_connections=160)
    _held_up(block, "max_connections is 150 there and must be 160")
    machine.kill()
    failover(block, origin_is_down=True, reason="drill")
    assert uno.at_recovery("SHOW max_connections") == "160"

    # The other way round: who serves has raised one, and the origin has to follow.
    uno.at_recovery("ALTER SYSTEM SET max_connections = 170")
    _restart(uno.recovery, uno.origin.version, uno.name)
    machine.boot()
    failback(block)
    assert uno.at_origin("SHOW max_connections") == "170"

    # It follows, and has made no restartpoint on the new timeline yet.
    unit = f"postgresql@{uno.origin.version}-{uno.name}"
    aside = uno.recovery.run(*ASIDE).stdout
    uno.recovery.run("systemctl", "kill", "--signal=KILL", unit)
    replicate(block)
    assert uno.recovery.run(*ASIDE).stdout == aside, "it followed, and was not copied anew"
    ready(check(block))
    no_strangers(uno)


def _hang_up(pair: Pair) -> None:
    """End every ssh session at the origin: the next one has to log in."""
    machine = pair.origin.machine
    machine.run("systemctl", "restart", "ssh")
    machine.run("pkill", "-KILL", "-x", "sshd", "-u", pair.origin.ssh_user, check=False)
    there = ("pgrep", "-x", "sshd", "-u", pair.origin.ssh_user)
    wait_until(lambda: machine.run(*there, check=False).returncode == 1, "nobody is in", 10)


@contextmanager
def _another_file(machine: Machine, path: str, *change: str) -> Iterator[None]:
    """Have a file of a host another one for a while."""
    machine.run("cp", "-a", path, f"{path}.kept")
    try:
        machine.run(*change)
        yield
    finally:
        machine.run("mv", f"{path}.kept", path)


KEY = "/etc/ssh/ssh_host_ed25519_key"
OTHER_KEY = f"rm -f {KEY}; ssh-keygen -q -t ed25519 -N '' -f {KEY}"


def test_an_origin_with_another_host_key_or_no_login_for_us_is_not_called_down(
    uno: Pair, blocks: Blocks
) -> None:
    block, machine = blocks[uno.name], uno.origin.machine
    forced = {"origin_is_down": True, "reason": "it does not answer"}
    with (
        _another_file(machine, f"{KEY}.pub", "true"),
        _another_file(machine, KEY, "sh", "-c", OTHER_KEY),
    ):
        _hang_up(uno)
        with pytest.raises(Refused, match=r"the host key of uno .* has changed"):
            check(block)
        with pytest.raises(
            Refused, match=r"whether uno is down is not known: the host key of uno .* has changed"
        ):
            failover(block)
        with terminal.without_server():
            drawn = measure.draw(block, "failover")
        assert "the host key of uno" in summary.summary(drawn)
        # It streams, though nobody writes: it is alive whatever is said.
        with pytest.raises(Refused, match="is still running: respaldo received WAL from it"):
            failover(block, **forced)  # type: ignore[call-overload]
    keys = f"/home/{uno.origin.ssh_user}/.ssh/authorized_keys"
    with _another_file(machine, keys, "truncate", "-s", "0", keys):
        _hang_up(uno)
        with pytest.raises(Refused, match="cannot log in to uno"):
            check(block)
        with pytest.raises(
            Refused, match=r"(uno is running, but the SSH login failed|uno is still running: )"
        ):
            failover(block, **forced)  # type: ignore[call-overload]
    _hang_up(uno)
    assert uno.is_home()
    ready(check(block))


def test_a_connection_that_the_origin_has_ended_fails_no_command(uno: Pair, blocks: Blocks) -> None:
    """sshd was killed a moment ago, and this side may not have heard of it yet."""
    shell, machine = blocks[uno.name].origin.host.shell(), uno.origin.machine
    for _ in range(10):
        assert shell.run(("hostname",)).stdout.strip() == "uno"
        machine.run("pkill", "-KILL", "-x", "sshd", "-u", uno.origin.ssh_user)
        assert shell.run(("hostname",)).stdout.strip() == "uno"


def test_an_origin_whose_cluster_was_wiped_is_down_and_comes_back_by_a_clone(
    uno: Pair, blocks: Blocks
) -> None:
    block, machine = blocks[uno.name], uno.origin.machine
    cluster = (str(uno.origin.version), uno.origin.cluster)
    machine.run("systemctl", "stop", uno.origin.unit)
    machine.run("pg_dropcluster", "--stop", *cluster)
    with terminal.without_server():
        drawn = measure.draw(block, "failover")
    assert drawn.situation.origin == "gone"
    assert not drawn.situation.refusals
    with pytest.raises(Refused, match="failing over now may lose"):
        failover(block)

    failover(block, origin_is_down=True, reason="somebody has wiped it")

    with pytest.raises(Refused, match=r"there is no cluster .* on uno") as refused:
        failback(block)
    assert "pg_createcluster" in refused.value.hint
    machine.run("pg_createcluster", "--start-conf=manual", *cluster)
    failback(block, reclone=True)
    replicate(block)
    ready(check(block))
    no_strangers(uno)


def test_keys_are_put_where_sshd_of_the_origin_looks_for_them(uno: Pair, blocks: Blocks) -> None:
    machine, user = uno.origin.machine, uno.origin.ssh_user
    usual, other = f"/home/{user}/.ssh/authorized_keys", f"/etc/ssh/keys/{user}"
    ours = machine.read(usual)
    machine.write(other, ours, mode=0o644)
    machine.write("/etc/ssh/sshd_config.d/keys.conf", "AuthorizedKeysFile /etc/ssh/keys/%u\n")
    machine.run("chmod", "755", "/etc/ssh/keys")
    machine.run("sed", "-i", f"/relevo {uno.name}: begin/,/end/d", other)
    machine.run("mv", usual, f"{usual}.away")
    machine.run("systemctl", "reload", "ssh")
    try:
        replicate(blocks[uno.name])
        assert f"# relevo {uno.name}: begin" in machine.read(other)
        ready(check(blocks[uno.name]))
    finally:
        machine.run("mv", f"{usual}.away", usual)
        machine.run("rm", "-rf", "/etc/ssh/sshd_config.d/keys.conf", "/etc/ssh/keys")
        machine.run("systemctl", "reload", "ssh")


def test_a_cluster_that_wants_a_password_of_us_is_quoted(uno: Pair, blocks: Blocks) -> None:
    machine, block = uno.origin.machine, blocks[uno.name]
    hba = f"/etc/postgresql/{uno.origin.version}/{uno.origin.cluster}/pg_hba.conf"
    unit = f"postgresql@{uno.origin.version}-{uno.origin.cluster}"
    with _another_file(machine, hba, "sed", "-i", "1i local all postgres md5", hba):
        machine.run("systemctl", "reload", unit)
        for ask in (check, replicate):
            with pytest.raises(Refused, match=r"refuses our login .*password"):
                ask(block)
    machine.run("systemctl", "reload", unit)
    ready(check(block))


PEM, PRIVATE = "/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/ssl/private/ssl-cert-snakeoil.key"
SHORT = (
    f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {PRIVATE} -out {PEM} -days 2 -subj /CN=x"
)


def test_a_certificate_of_postgresql_that_is_new_or_ends_is_said_before_the_stream_breaks(
    uno: Pair, blocks: Blocks
) -> None:
    machine, block = uno.origin.machine, blocks[uno.name]
    unit = f"postgresql@{uno.origin.version}-{uno.origin.cluster}"
    with _another_file(machine, PRIVATE, "true"), _another_file(machine, PEM, "sh", "-c", SHORT):
        with pytest.raises(Refused, match="certificate of PostgreSQL on uno has changed"):
            check(block)
        machine.run("systemctl", "reload", unit)
        for told in (replicate, check):
            with pytest.raises(Refused, match="certificate of PostgreSQL on uno ends in 1 days"):
                told(block)
    machine.run("systemctl", "reload", unit)
    replicate(block)
    ready(check(block))
    assert uno.is_home()


# Argument: Odoo's data_dir.
ELSEWHERE = """
set -e
mkdir -m 700 "$1/lost+found"
[ -d "$1/sessions" ] || install -d -o odoo -g odoo "$1/sessions"
mv "$1/sessions" /srv/sessions
ln -s /srv/sessions "$1/sessions"
"""
BACK = 'rm "$1/sessions"; mv /srv/sessions "$1/sessions"; rmdir "$1/lost+found"'


def test_a_data_dir_that_is_a_disk_of_its_own_and_sessions_that_are_a_link_go_home_as_they_were(
    uno: Pair, blocks: Blocks
) -> None:
    machine, block = uno.origin.machine, blocks[uno.name]
    data = str(block.origin.odoo.data_dir)
    machine.run("sh", "-c", ELSEWHERE, "elsewhere", data)
    try:
        assert "sessions on uno is a link" in check(block).facts["files"]
        switchover(block)
        switchover(block, to="origin")
        assert machine.run("readlink", f"{data}/sessions").stdout == "/srv/sessions\n"
        assert machine.run("stat", "-c", "%U %a", f"{data}/lost+found").stdout == "root 700\n"
    finally:
        machine.run("sh", "-c", BACK, "back", data)
    ready(check(block))
    no_strangers(uno)


def test_what_a_set_up_lacks_and_a_name_that_was_changed_are_refused_before_any_change(
    uno: Pair, blocks: Blocks
) -> None:
    machine, block = uno.origin.machine, blocks[uno.name]
    folder = f"/etc/postgresql/{uno.origin.version}/{uno.origin.cluster}"
    started = uno.at_origin("SELECT pg_postmaster_start_time()")
    renamed = block.model_copy(update={"name": "vps_eins"})
    uno.recovery.write("/usr/local/bin/locale", "#!/bin/sh\necho C\n", mode=0o755)
    try:
        with pytest.raises(Refused, match="respaldo lacks the locales of uno: "):
            basebackup(block, reclone=True)
        with terminal.without_server(), pytest.raises(Refused) as refused:
            ahead.require(renamed)
    finally:
        uno.recovery.run("rm", "/usr/local/bin/locale")
    assert "is already replicated as vps_uno" in refused.value.message
    assert "rename it back to vps_uno in the inventory" in refused.value.hint
    assert (
        machine.run("grep", "-c", "vps_eins", f"{folder}/pg_hba.conf", check=False).stdout == "0\n"
    )
    assert uno.at_origin("SELECT pg_postmaster_start_time()") == started
    ready(check(block))
    no_strangers(uno)
