"""A failover is rehearsed, and nobody notices but its report."""

import pytest

from blocks.errors import CommandFailed
from blocks.instance import OdooInstance
from flows.drill import drill
from flows.failback import failback
from flows.failover import failover
from tasks.authority import exposure
from tasks.readiness import drill_steps
from tasks.run import terminal
from tests.oracles import Pair, no_strangers

FILES = "find {} -type f -printf '%p %s %T@\\n' | sort | sha256sum"
CONFIG = "sha256sum $(find /etc/postgresql /etc/systemd/system /etc/nginx {} -type f | sort)"


def _replica(pair: Pair, block: OdooInstance) -> list[str]:
    """What a rehearsal must leave as it was on the recovery host."""
    files = FILES.format(f"{block.recovery.odoo.data_dir}/filestore")
    config = CONFIG.format(block.recovery.odoo.config)
    run = pair.recovery.run
    return [
        *(run("sh", "-c", each).stdout for each in (files, config)),
        pair.at_recovery("SELECT pg_is_in_recovery(), pg_postmaster_start_time()"),
        pair.at_recovery("SELECT pid FROM pg_stat_wal_receiver"),
        run("ls", "/var/lib/postgresql/" + str(pair.lab.generation.postgres)).stdout,
        run("sh", "-c", "mount | grep -c relevo; ls /run/relevo-drill", check=False).stdout,
    ]


def test_a_drill_shows_that_the_replica_would_serve_and_leaves_nothing_behind(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    block, since = blocks[uno.name], "SELECT backend_start FROM pg_stat_replication"
    before, streaming = _replica(uno, block), uno.at_origin(since)
    report = drill(block)
    assert _replica(uno, block) == before
    assert uno.at_origin(since) == streaming
    assert report.facts["databases that answered"] == "cliente1, cliente2"
    no_strangers(uno)


def test_a_drill_finds_what_would_stop_a_failover(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """Odoo's configuration at the recovery host is spoiled: build-service was long ago."""
    config = str(blocks[uno.name].recovery.odoo.config)
    good = uno.recovery.read(config)
    uno.recovery.write(config, good.replace("http_port = ", "http_port = nonsense"))
    try:
        with pytest.raises(CommandFailed, match="nonsense"):
            drill(blocks[uno.name])
    finally:
        uno.recovery.write(config, good)
    assert uno.is_home()
    no_strangers(uno)


def test_a_failover_does_not_wait_for_a_drill(
    uno: Pair, blocks: dict[str, OdooInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    block, wait = blocks[uno.name], drill_steps.wait_until_serving

    def wait_while_it_burns(stage: drill_steps.Stage) -> list[str]:
        assert failover(block).facts["may be lost"] == "nothing"
        return wait(stage)

    monkeypatch.setattr(drill_steps, "wait_until_serving", wait_while_it_burns)
    drill(block)
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"
    failback(block)
    with terminal.without_server():
        known = exposure.measure(block, lossless=False)
    assert known.last_commit, "no bound right after the way home"
    no_strangers(uno)
