"""What the drills of `relevo discover` have in common: somebody at a shell, and servers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from blocks.instance import OdooInstance
from deployments import inventory_file
from deployments.inventory import instances
from deployments.secrets import Secrets
from tests.lab.hosts import Origin
from tests.lab.lab import Lab
from tests.lab.machine import Machine, wait_until

ROOT = Path(__file__).parents[1]
FINGERPRINT = ("ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub")
DROP_IN = "/etc/systemd/system/odoo.service.d/clientes.conf"


def way(machine: Machine) -> str:
    return f"{machine.ssh_user}@{machine.address}:{machine.ssh_port}"


def words(lab: Lab, *origins: Origin) -> list[str]:
    """The command line of somebody who has compared the fingerprints at the servers."""
    machines = [*(each.machine for each in origins), lab.respaldo]
    prints = [each.run(*FINGERPRINT).stdout.split()[1] for each in machines]
    accepted = [word for each in prints for word in ("--accept-host-key", each)]
    ways = [way(each) for each in machines]
    return [*ways[:-1], "--recovery", ways[-1], "--key-file", str(lab.key), *accepted]


def relevo(folder: Path, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    """The command of somebody who has no server of Prefect's yet."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "RELEVO_LOG_DIR": str(folder / "runs"),
           "PYTHONPATH": str(ROOT)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "deployments", *arguments], cwd=folder, env=env,
        capture_output=True, text=True, check=False, timeout=1200, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def blocks(path: Path) -> dict[str, OdooInstance]:
    secrets = Secrets(path.with_name("secrets.yaml"))
    found = instances(inventory_file.read(path), secrets)
    secrets.save()
    return {each.name: each for each in found}


def entries(said: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(said)["instances"]
    return found


def replicated(folder: Path, *found: str) -> None:
    """Replicate what was found, all at once, and see that nothing about it is red."""
    told = relevo(folder, "replicate", "--all", "--at-most", "2").stdout
    assert f"{len(found)} of {len(found)} instances are well, 0 failed" in told
    for name in found:
        relevo(folder, "run", "check", name)


def restarted(origin: Origin) -> None:
    """Start Odoo anew, as its unit says now."""
    machine = origin.machine
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", origin.unit)
    ask = ("curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{origin.http_port}/web/login")
    wait_until(lambda: machine.run(*ask, check=False).returncode == 0, "Odoo answers", 90)
