"""The lab's network: a bridge, and a namespace with one cable for each host."""

import hashlib
import os
import subprocess
from dataclasses import dataclass


def sh(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Network:
    """Names and addresses that belong to one lab and to no other on this machine."""

    name: str

    @property
    def tag(self) -> str:
        """Four characters, since an interface's name may have fifteen.

        >>> Network("relevo").tag == Network("relevo").tag != Network("other").tag
        True
        """
        return hashlib.sha256(self.name.encode()).hexdigest()[:4]

    @property
    def subnet(self) -> str:
        number = int(self.tag, 16)
        return f"10.{200 + number % 50}.{number // 256}"

    @property
    def bridge(self) -> str:
        return f"rl{self.tag}br"

    def namespace(self, host: str) -> str:
        return f"rl{self.tag}-{host}"

    def cable(self, host: str) -> str:
        return f"rl{self.tag}{host[:8]}"

    def address(self, number: int) -> str:
        return f"{self.subnet}.{number}"

    def up(self) -> None:
        if not sh("ip", "link", "show", self.bridge, check=False):
            sh("ip", "link", "add", self.bridge, "type", "bridge")
            sh("ip", "address", "add", f"{self.address(1)}/24", "dev", self.bridge)
            sh("ip", "link", "set", self.bridge, "up")

    def plug(self, host: str, number: int) -> None:
        """Give a host its namespace and its cable."""
        namespace, cable = self.namespace(host), self.cable(host)
        if namespace in sh("ip", "netns", "list").split():
            return
        sh("ip", "netns", "add", namespace)
        sh("ip", "link", "add", cable, "type", "veth", "peer", "name", "host0", "netns", namespace)
        sh("ip", "link", "set", cable, "master", self.bridge, "up")
        sh("ip", "-n", namespace, "link", "set", "lo", "up")
        sh("ip", "-n", namespace, "address", "add", f"{self.address(number)}/24", "dev", "host0")
        sh("ip", "-n", namespace, "link", "set", "host0", "up")

    def cut(self, host: str) -> None:
        sh("ip", "link", "set", self.cable(host), "down")

    def heal(self, host: str) -> None:
        sh("ip", "link", "set", self.cable(host), "up")

    def partition(self, host: str, other_address: str) -> None:
        """Drop what one host sends to another, while everybody else still reaches both."""
        sh("ip", "-n", self.namespace(host), "route", "replace", "blackhole", other_address)

    def mend(self, host: str, other_address: str) -> None:
        sh("ip", "-n", self.namespace(host), "route", "del", "blackhole", other_address, check=False)

    def down(self) -> None:
        for line in sh("ip", "netns", "list").splitlines():
            if (name := line.split()[0]).startswith(f"rl{self.tag}-"):
                sh("ip", "netns", "delete", name)
        # A namespace lives on until its last process is gone; its cable must not.
        for link in os.listdir("/sys/class/net"):
            if link.startswith(f"rl{self.tag}"):
                sh("ip", "link", "delete", link, check=False)
