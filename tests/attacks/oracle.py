"""What an attack brought: nothing but the attacker's own, or a list of breaches."""

import base64
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks.instance import OdooInstance
from tests.attacks import identity, looter, planted
from tests.attacks.identity import Identity
from tests.attacks.planted import Planted
from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.oracles import Pair

LOOTER = Path(__file__).with_name("looter.py")
TOOL, CONFIG = "/usr/share/relevo-loot", looter.CONFIG
# What an instance's user has no business to change.
ROOTS_OWN = (
    "/etc", "/etc/passwd", "/etc/shadow", "/etc/cron.d", "/etc/systemd/system", "/etc/sudoers.d",
    "/etc/nginx", "/etc/nginx/*", "/etc/relevo*", "/root", "/root/*", "/usr/local/lib/relevo",
    "/usr/local/lib/relevo/*", "/var/lib/relevo", "/var/lib/relevo/*", "/var/lib/relevo/*/*",
    "/var/log/relevo", "/opt/odoouser/respaldo_filestore", "/var/lib/postgresql",
)  # fmt: skip
VICTIMS = (
    "/opt/odoouser/respaldo_filestore/{0}", "/opt/odoouser/respaldo_filestore/{0}/*",
    "/var/lib/postgresql/*/{0}", "/etc/postgresql/*/{0}", "/etc/postgresql/*/{0}/*",
    "/run/relevo-postgresql/{0}",
)  # fmt: skip
FIND = (
    "find /var/tmp /tmp /dev/shm /run /opt /home /var/lib /root /var/relevo-loot -xdev "
    "-name 'loot-*.json' -type f 2>/dev/null"
)
# The journal, and what Relevo's own long commands have said.
SAID = """
journalctl -q -o cat --no-pager --since "$1" | grep -aF "$2"
find /var/log/relevo -type f -newermt "$1" -exec grep -ahF "$2" {} + 2>/dev/null
"""
STRANGERS = {"root", "postgres", "admin", "sysop", "www-data"}


@dataclass(frozen=True)
class Loot:
    """What one payload says of itself, and what it got."""

    facts: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.facts["name"])

    @property
    def user(self) -> str:
        return str(self.facts["user"])

    @property
    def unit(self) -> str:
        return str(self.facts["unit"])

    def breaches(self, stage: "Stage", *, network: bool = True) -> list[str]:
        """Say what it got that is not the attacker's own."""
        facts, who = self.facts, f"{self.name} as {self.user} in {self.unit or 'no unit'}"
        found = [f"{who}: is of a foreign identity"] if self.user in stage.foreign else []
        found += [f"{who}: has {each}" for each in stage.planted.found_in(json.dumps(facts))]
        found += [f"{who}: reads the environment of {each}" for each in facts["environments"]]
        for place, role, database, said in facts["clusters"]:
            if f"port={stage.victim.port}" in place:
                found.append(f"{who}: is {role} in {database} at {place} ({said[:60]})")
        logins = [*facts["passwords"], *facts["logins"]]
        found += [f"{who}: logs in, {each}" for each in logins if stage.is_victims(each)]
        found += [f"{who}: may write {each}" for each in facts["writable"]]
        found += [f"{who}: sudo makes it {facts['sudo']}"] if facts["sudo"] else []
        if not network:
            found += [f"{who}: reaches {each}" for each in facts["network"]]
        return found


class Stage:
    """Where the attacks take place: the attacker's instance, its neighbour, and the secrets."""

    def __init__(self, attacker: Pair, victim: Pair, block: OdooInstance) -> None:
        """`block` is the victim's, whose passwords must stay where they are."""
        self.attacker, self.victim, self.lab = attacker, victim, attacker.lab
        self.own = identity.of(attacker)
        self.foreign = STRANGERS | identity.of(victim).users
        self.planted: Planted = planted.plant(victim, attacker, block)
        for machine in self.hosts:
            self._furnish(machine)
        self.sweep()

    @property
    def recovery(self) -> Machine:
        return self.attacker.recovery

    @property
    def hosts(self) -> list[Machine]:
        return [self.attacker.origin.machine, self.recovery]

    @property
    def folder(self) -> str:
        """The attacker's folder on the recovery host."""
        return f"{identity.BASE}/respaldo_filestore/{self.attacker.name}"

    def is_victims(self, words: list[str]) -> bool:
        names = (self.victim.name, self.victim.origin.address, f":{self.victim.port}")
        return any(name in word for name in names for word in words)

    def _furnish(self, machine: Machine) -> None:
        """Put the payload where everybody may run it: it is what the attacker brings along."""
        machine.write(TOOL, LOOTER.read_text(), mode=0o755)
        machine.write(CONFIG, json.dumps(self._targets()), mode=0o644)
        machine.run("install", "-d", "-m", "1777", "/var/relevo-loot")

    def _targets(self) -> dict[str, Any]:
        lab: Lab = self.lab
        ports = (self.attacker.port, self.victim.port)
        addresses = ("127.0.0.1", self.recovery.address)
        return {
            "ports": [(address, port) for address in addresses for port in ports],
            "logins": [(o.ssh_user, o.address, o.ssh_port) for o in lab.origins],
            "network": [*((o.address, o.ssh_port) for o in lab.origins), (lab.nameserver, 53)],
            "roots_own": [*ROOTS_OWN, *(each.format(self.victim.name) for each in VICTIMS)],
            "drops": ["/var/relevo-loot", f"{self.folder}/data_dir", f"{self.folder}/trash"],
        }

    def sweep(self) -> None:
        """Forget what earlier attacks brought and left."""
        for machine in self.hosts:
            for loot in self.collect(machine) if hasattr(self, "since") else ():
                if pid := self.is_left(machine, loot):
                    machine.run("kill", "-KILL", str(pid))
            machine.run("sh", "-c", f"{FIND} | tr '\\n' '\\0' | xargs -0 rm -f")
        self.since = f"@{float(self.recovery.run('date', '+%s.%N').stdout):.3f}"

    def collect(self, machine: Machine | None = None) -> list[Loot]:
        """Everything that payloads brought since the last sweep, by whichever way."""
        found: dict[tuple[str, str, float], Loot] = {}
        for each in [machine] if machine else self.hosts:
            for text in [*_in_files(each), *self._in_journal(each)]:
                facts = json.loads(text)
                found[facts["name"], facts["user"], facts["at"]] = Loot(facts)
        return sorted(found.values(), key=lambda loot: float(loot.facts["at"]))

    def _in_journal(self, machine: Machine) -> list[str]:
        said = machine.run("sh", "-c", SAID, "said", self.since, looter.MARK, check=False).stdout
        found = []
        for line in said.splitlines():
            with suppress(ValueError, zlib.error):  # a line may have been cut
                packed = base64.b64decode(line.partition(looter.MARK)[2])
                found.append(zlib.decompress(packed).decode())
        return found

    def is_left(self, machine: Machine, loot: Loot) -> int:
        """Tell whether the process that a payload left behind lives on: its number."""
        pid = int(loot.facts["left"])
        said = machine.run("cat", f"/proc/{pid}/cmdline", check=False).stdout if pid else ""
        return pid if looter.LEFT in said else 0

    def left_behind(self) -> list[str]:
        """Processes on the recovery host that outlived what they came with."""
        loot = self.collect(self.recovery)
        return [f"{one.name} of {one.unit}" for one in loot if self.is_left(self.recovery, one)]


def only_own(stage: Stage, act: Callable[[], object] | None = None) -> list[Loot]:
    """Run an attack, and insist that it brought nothing but the attacker's own."""
    if act is not None:
        stage.sweep()
        act()
    loot = stage.collect()
    breaches = [each for one in loot for each in one.breaches(stage)]
    assert not breaches, "\n".join(dict.fromkeys(breaches[:30]))
    return loot


def _in_files(machine: Machine) -> list[str]:
    paths = machine.run("sh", "-c", FIND, check=False).stdout.splitlines()
    return [machine.read(path) for path in paths]


__all__ = ["Identity", "Loot", "Stage", "only_own"]
