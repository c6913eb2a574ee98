"""Whoever answers at the origin's address with another key gets neither password nor replica."""

from blocks.instance import OdooInstance
from flows.check import check
from tests.lab.machine import wait_until
from tests.oracles import Pair, ready

KEY = "/etc/ssl/private/middle.key"
MAKE = (
    f"openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=middle -keyout {KEY} "
    f"-out /etc/ssl/certs/middle.pem 2>/dev/null && chown postgres {KEY}"
)


def test_a_server_with_another_key_is_refused_by_the_standby(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    machine, version = uno.origin.machine, uno.origin.version
    log = f"/var/log/postgresql/postgresql-{version}-vps_uno.log"
    conf = f"/etc/postgresql/{version}/{uno.origin.cluster}/conf.d/zz-middle.conf"
    machine.run("sh", "-c", MAKE)
    machine.write(
        conf, f"ssl_cert_file = '/etc/ssl/certs/middle.pem'\nssl_key_file = '{KEY}'\n",
        owner="postgres",
    )  # fmt: skip
    uno.at_origin("SELECT pg_reload_conf()")
    before = uno.recovery.read(log).count("certificate verify failed")
    uno.at_origin("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    wait_until(
        lambda: uno.recovery.read(log).count("certificate verify failed") > before,
        "the standby refuses the other key",
    )
    assert uno.at_origin("SELECT count(*) FROM pg_stat_replication") == "0"

    machine.run("rm", conf)
    uno.at_origin("SELECT pg_reload_conf()")
    wait_until(uno.is_home, "the standby streams from its own origin again")
    ready(check(blocks["vps_uno"]))
