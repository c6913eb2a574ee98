"""An instance gets another name: its files stay where they are, its customers notice nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from tests.drills.test_13_remove import STARTED, anew, seen
from tests.killing import DONE, KILLED, RENAME, killed_at
from tests.lab import inventory
from tests.lab.client import Client, audit
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers, ready
from tests.stack import Stack

NEW = "vps_nueva"
FILES = r"""
cd {}/{}/data_dir/filestore && find . -type f ! -name '*.relevo-part' -printf '%i %p\n' | sort
"""
# What nobody else has: a file with names in the trash and in data_dir, as after a restore; folders
# deeper than a process may have files open; directives for nginx, which name this Odoo.
OWN = r"""
cd {base}/{name} && owner=$(stat -c %U data_dir) && day=trash/2026-01-01
runuser -u "$owner" -- mkdir -p "$day"
file=$(find data_dir/filestore -type f ! -name '*.relevo-part' | sort | head -n 1)
runuser -u "$owner" -- ln "$file" "$day/kept"
cd "$day" && runuser -u "$owner" -- python3 -c '
import os
for _ in range(1200):
    os.mkdir("d")
    os.chdir("d")
'
mkdir -p /etc/nginx/relevo/{name}/own
echo 'client_body_timeout 61s; # odoo_{name}' >/etc/nginx/relevo/{name}/own/people.conf
"""
KEPT = r"""
cd {base}/{name}
stat -c '%h %U' trash/2026-01-01/kept
find trash/2026-01-01 -type d -name d | wc -l
cat /etc/nginx/relevo/{name}/own/people.conf
"""
AWAY = "rm -rf {base}/{name}/trash/2026-01-01 /etc/nginx/relevo/{name}/own"
MARK = "# the first of all customers\n"


def inodes(pair: Pair) -> set[str]:
    script = FILES.format(inventory.BASE, pair.name)
    return set(pair.recovery.run("sh", "-c", script).stdout.splitlines())


def at_recovery(pair: Pair, script: str) -> list[str]:
    text = script.replace("{base}", str(inventory.BASE)).replace("{name}", pair.name)
    return pair.recovery.run("sh", "-ec", text).stdout.splitlines()


def require_kept(pair: Pair) -> None:
    """See that all of OWN is there, under the new name."""
    own = f"client_body_timeout 61s; # odoo_{pair.name}"
    assert at_recovery(pair, KEPT) == [f"2 odoo_{pair.name}", "1200", own]


def processes(pair: Pair) -> tuple[str, str]:
    """When PostgreSQL was started at the origin, and which process is Odoo there."""
    argv = ("systemctl", "show", pair.origin.unit, "--property=MainPID,NRestarts")
    return pair.at_origin(STARTED), pair.origin.machine.run(*argv).stdout


def of(pair: Pair, name: str) -> list[str]:
    """What names an instance on either host; the trash keeps links of sources as they were."""
    machines = (pair.origin.machine, pair.recovery)
    lines = [line for each in machines for line in sorted(seen(each))]
    return [line for line in lines if name in line and "/trash/" not in line.partition(" ")[0]]


def named(stack: Stack) -> set[str]:
    """What Prefect has of any instance."""
    found = stack.request("POST", "/deployments/filter", {"limit": 200})
    found += stack.request("POST", "/block_documents/filter", {})
    return {str(each["name"]).replace("-", "_") for each in found}


def is_told_of(stack: Stack, name: str) -> bool:
    return any(name in each for each in named(stack))


@pytest.fixture
def written(lab: Lab, stack: Stack, inventory_path: Path) -> Iterator[tuple[Path, str]]:
    """The inventory and its text; where a drill left other names in it, all is made anew."""
    before = inventory_path.read_text()
    yield inventory_path, before
    if inventory_path.read_text() != before:
        anew(lab, stack, inventory_path)


def test_an_instance_is_renamed_though_it_is_killed_and_nothing_of_the_old_name_is_left(
    uno: Pair,
    stack: Stack,
    blocks: dict[str, OdooInstance],
    customer: Callable[..., Client],
    written: tuple[Path, str],
) -> None:
    """Rows and files are written meanwhile; it can be failed over and home under its new name."""
    inventory_path, text = written
    inventory_path.write_text(MARK + text.replace("  vps_uno:\n", "  vps_uno: # the oldest\n"))
    with stack.unscheduled():
        client = customer(uno)
        wait_until(lambda: len(inodes(uno)) > 10, "files have followed", 60)
        at_recovery(uno, OWN)
        before, running = inodes(uno), processes(uno)
        said, server = stack.folder / "said", (stack.api, stack.env["PREFECT_API_AUTH_STRING"])
        new = Pair(uno.lab, NEW, uno.origin, uno.port, uno.http_port)

        def rename(until: int | str = 0) -> int:
            words = (inventory_path, uno.name, RENAME + NEW, until, said)
            return killed_at(*words, server=server)

        assert rename("delete the files of") == KILLED, said.read_text()
        assert uno.name in yaml.safe_load(inventory_path.read_text())["instances"]
        assert rename("copy the filestore of") == KILLED, said.read_text()
        assert NEW in yaml.safe_load(inventory_path.read_text())["instances"]
        acknowledged = client.acknowledged
        assert rename() == DONE, said.read_text()[-3000:]

        assert acknowledged < client.acknowledged
        assert client.refused == 0, client.last_refusal
        assert processes(new) == running, "something was restarted at the origin"
        assert before <= inodes(new), "files have travelled again"
        assert of(new, uno.name) == []
        require_kept(new)
        assert inventory_path.read_text() == (
            MARK + text.replace("  vps_uno:\n", f"  {NEW}: # the oldest\n")
        )
        secrets = yaml.safe_load(inventory_path.with_name("secrets.yaml").read_text())
        assert uno.name not in secrets
        assert secrets[NEW]["dns"] == inventory.dns(uno.lab)
        assert is_told_of(stack, NEW)
        assert not is_told_of(stack, uno.name)
        ready(check(blocks[NEW]))

    with stack.unscheduled():  # those of the new name as well
        stack.complete("board/all-instances")  # which switches on what a shell could not
        no_strangers(new)

        client.stop()
        failover(blocks[NEW], reason="drill")
        there = audit(uno.recovery.address, uno.http_port, client.journal)
        assert there.whole, (there.lost_rows, there.broken_files)
        failback(blocks[NEW])
        no_strangers(new)

        stack.env.setdefault("RELEVO_LOG_DIR", str(stack.folder / "runs"))
        argv = ("--inventory", str(inventory_path), "rename", NEW, uno.name, "--yes")
        stack.run(*argv, "--reason", "drill")
        assert of(uno, NEW) == []
        require_kept(uno)
        at_recovery(uno, AWAY)
        stack.complete("board/all-instances")
        no_strangers(uno)
    inventory_path.write_text(text)
