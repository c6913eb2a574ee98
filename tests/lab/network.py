"""The lab's network: a switch in a namespace of its own, and a cable to each host."""

import hashlib
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DROP = """table bridge {table} {{ chain forward {{ type filter hook forward priority 0;
{rules} }}; }}
"""
DROP_FROM = 'iifname "{a}" oifname "{b}" drop;'


def sh(*command: str, check: bool = True, stdin: str = "", output: Path | None = None) -> str:
    """Run a command on this machine; into a file where it goes on in the background."""
    if output is not None:
        with output.open("ab") as log:
            subprocess.run(
                command, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )  # fmt: skip
        return ""
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=stdin)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Network:
    """Names and addresses that belong to one lab and to no other on this machine.

    The switch has its own namespace, out of reach of this machine's firewall (Docker's drops
    what is bridged) and of the hosts' own.
    """

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
    def link(self) -> str:
        """This machine's own cable into the switch."""
        return f"rl{self.tag}"

    @property
    def switch(self) -> str:
        return self.namespace("switch")

    def namespace(self, host: str) -> str:
        return f"rl{self.tag}-{host}"

    def address(self, number: int) -> str:
        return f"{self.subnet}.{number}"

    def namespaces(self) -> list[str]:
        """What this lab has, left by whom it may."""
        known = [line.split()[0] for line in sh("ip", "netns", "list").splitlines() if line]
        return [name for name in known if name.startswith(self.namespace(""))]

    def up(self) -> None:
        """Set up the switch, with a cable to this machine."""
        if self.switch in self.namespaces():
            return
        if taken := sh("ip", "-o", "route", "show", "root", f"{self.subnet}.0/24"):
            raise RuntimeError(
                f"{self.subnet}.0/24 is in use here: {taken.strip()}\n"
                "HINT: choose another RELEVO_LAB_NAME; the subnet follows from it"
            )
        sh("ip", "netns", "add", self.switch)
        self._ip("link", "add", "switch", "type", "bridge")
        self._ip("link", "set", "switch", "up")
        sh("ip", "link", "add", self.link, "type", "veth",
           "peer", "name", "runner", "netns", self.switch)  # fmt: skip
        self._ip("link", "set", "runner", "master", "switch", "up")
        sh("ip", "address", "add", f"{self.address(1)}/24", "dev", self.link)
        sh("ip", "link", "set", self.link, "up")

    def plug(self, host: str, number: int) -> None:
        """Give a host its namespace and its cable."""
        namespace = self.namespace(host)
        if namespace in self.namespaces():
            return
        sh("ip", "netns", "add", namespace)
        self._ip("link", "add", host, "type", "veth", "peer", "name", "host0", "netns", namespace)
        self._ip("link", "set", host, "master", "switch", "up")
        sh("ip", "-n", namespace, "link", "set", "lo", "up")
        sh("ip", "-n", namespace, "address", "add", f"{self.address(number)}/24", "dev", "host0")
        sh("ip", "-n", namespace, "link", "set", "host0", "up")

    def cut(self, host: str) -> None:
        """Pull a host's cable."""
        self._ip("link", "set", host, "down")

    def heal(self, host: str) -> None:
        """Plug it in again."""
        self._ip("link", "set", host, "up")

    def partition(self, a: str, b: str, *, image: Path, one_way: bool = False) -> None:
        """Drop what two hosts send each other, or what the first sends the second.

        Everybody else still reaches both.
        """
        self.mend(a, b, image=image)
        rules = DROP_FROM.format(a=a, b=b) + ("" if one_way else DROP_FROM.format(a=b, b=a))
        self._nft(image, DROP.format(table=_between(a, b), rules=rules))

    def mend(self, a: str, b: str, *, image: Path) -> None:
        """Let two hosts talk again."""
        table = _between(a, b)
        self._nft(image, f"add table bridge {table}; delete table bridge {table}")

    def down(self) -> None:
        """Remove every namespace and cable, and whatever still lives in them."""
        for name in self.namespaces():
            for process in sh("ip", "netns", "pids", name, check=False).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            sh("ip", "netns", "delete", name)
        # A namespace lives on until its last process is gone; its cable must not.
        for link in Path("/sys/class/net").iterdir():
            if link.name.startswith(self.link):
                sh("ip", "link", "delete", link.name, check=False)

    def _ip(self, *words: str) -> None:
        sh("ip", "-n", self.switch, *words)

    def _nft(self, image: Path, rules: str) -> None:
        """The image has nft; this machine need not."""
        sh("ip", "netns", "exec", self.switch, "chroot", str(image), "nft", rules)


def _between(a: str, b: str) -> str:
    """Name the cut between two hosts, whichever is named first.

    >>> _between("uno", "dos") == _between("dos", "uno") == "between_dos_uno"
    True
    """
    return "between_" + "_".join(sorted((a, b)))
