"""After a round trip, and all that the drills have done: no secret where it does not belong."""

import yaml

from tests.lab.lab import Lab
from tests.oracles import Pair
from tests.stack import Stack


def test_no_secret_is_in_what_prefect_keeps_or_in_any_log(
    lab: Lab, uno: Pair, dos: Pair, stack: Stack, inventory_path: "object"
) -> None:
    stack.complete("failover/vps_uno")
    stack.complete("failback/vps_uno")
    secrets = yaml.safe_load(inventory_path.with_name("secrets.yaml").read_text())  # type: ignore[attr-defined]
    words = [
        secret
        for entry in secrets.values()
        for secret in (
            entry["replication"],
            entry["rewind"],
            entry["signing"],
            *entry.get("dns", {}).values(),
        )
        if secret != lab.nameserver
    ]
    words += [words[-1].rsplit(":", 1)[1]] if ":" in words[-1] else []
    kept = stack.everything_stored()
    assert "failback-vps-uno" in kept, "the search looks at the right place"
    for word in words:
        assert word not in kept
        for machine in lab.machines:
            found = machine.run(
                "grep", "-rlF", "--exclude=pgpass", word,
                "/var/log", "/etc", "/run/relevo", "/var/lib/relevo", check=False,
            ).stdout  # fmt: skip
            assert found == "", f"{machine.name}: {found}"
            in_data = machine.run(
                "sh", "-c", f"grep -lF '{word}' /var/lib/postgresql/*/*/postgresql.auto.conf",
                check=False,
            ).stdout  # fmt: skip
            assert in_data == ""
    for pair in (uno, dos):
        pgpass = f"/var/lib/relevo/{pair.name}/postgres/pgpass"
        assert pair.recovery.run("stat", "-c", "%a %U", pgpass).stdout == f"600 db_{pair.name}\n"
