"""Two folders, two clusters and a private sshd between them, in a network of their own."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from tasks.programs.filestore.engine import Engine
from tests.bench.measure import Group
from tests.engine.clusters import Twins
from tests.lab.machine import wait_until
from tests.stack import free_port

ROOT = Path(__file__).parents[2]
USER = "postgres"  # an account that every machine with PostgreSQL has
RTT_SECONDS, MBIT = 0.04, 100.0
POOL = 4 << 20


class Contents:
    """Realistic contents: log-normal sizes, partly compressible; or tiny ones."""

    def __init__(self, seed: int, *, tiny: bool) -> None:
        self.random, self.tiny = random.Random(seed), tiny
        self.noise = self.random.randbytes(POOL)
        words = [self.random.randbytes(4).hex() for _ in range(500)]
        self.text = " ".join(self.random.choice(words) for _ in range(POOL // 9)).encode()[:POOL]

    def make(self) -> bytes:
        size = (
            self.random.randrange(64, 1000)
            if self.tiny
            else int(min(2e6, max(64, self.random.lognormvariate(9.9, 1.084))))
        )
        kind = self.random.random()
        pool = self.noise if kind < 0.65 else self.text
        at = self.random.randrange(len(pool) - min(size, len(pool) - 1))
        body = pool[at : at + size - 16]
        if 0.65 <= kind < 0.85:
            half = len(body) // 2
            body = body[:half] + self.noise[at : at + len(body) - half]
        return self.random.randbytes(16) + body


class World:
    """An origin with N files and rows; a copy kept by rsync and one kept by the engine."""

    def __init__(self, folder: Path, files: int, *, tiny: bool, sshd: str) -> None:
        self.folder, self.files, self.sshd = folder, files, sshd
        self.contents = Contents(7, tiny=tiny)
        self.twins = Twins(folder)
        self.base = folder / "base"
        self.ports = {"lan": free_port(), "wan": free_port()}
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> "World":
        self.twins.start()
        self._start_sshd()
        self.add(self.files)
        for copy in (self.base / "filestore", self.twins.ours):
            shutil.rmtree(copy, ignore_errors=True)
            copy.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-al", self.twins.theirs, copy], check=True)
        self.twins.primary.sql("VACUUM ANALYZE ir_attachment")
        self.twins.catch_up()
        os.sync()
        return self

    def add(self, count: int) -> list[str]:
        """Save this many new documents at the origin; give their names."""
        made, store = [], self.twins.theirs / "shop"
        for shard in range(256):
            (store / f"{shard:02x}").mkdir(parents=True, exist_ok=True)
        rows = []
        for _ in range(count):
            content = self.contents.make()
            digest = hashlib.sha1(content).hexdigest()
            name = f"{digest[:2]}/{digest}"
            with open(f"{store}/{name}", "wb", buffering=0) as file:  # noqa: PTH123  # a million times
                file.write(content)
            rows.append((f"document {len(content)}", name, len(content)))
            made.append(name)
        copy = "COPY ir_attachment (name, store_fname, file_size) FROM STDIN"
        with self.twins.primary.connect() as session, session.cursor().copy(copy) as out:
            for row in rows:
                out.write_row(row)
        self.twins.catch_up()
        return made

    def forget(self, names: list[str], store: Path) -> None:
        """Take files away from a copy."""
        for name in names:
            (store / "shop" / name).unlink(missing_ok=True)

    def complete(self, names: list[str]) -> None:
        """Leave the engine's copy as whole as it was before a round."""
        for name in names:
            here = self.twins.ours / "shop" / name
            if not here.exists():
                here.hardlink_to(self.twins.theirs / "shop" / name)

    def settings(self, link: str, work: str) -> dict[str, object]:
        gate = f"/usr/bin/python3 -IS {self.twins.gate()[2]}"  # the far user may not enter a venv
        channel = ("ssh", "-F", str(self.folder / "ssh" / "config"),
                   "-o", "Ciphers=^aes128-gcm@openssh.com", link,
                   f"{gate} 'relevo files'")  # fmt: skip
        return {"channel": channel, "work": str(self.folder / "recovery" / work)}

    def engine(self, link: str, work: str = "work") -> Engine:
        return Engine(self.twins.settings(**self.settings(link, work)))

    def settings_file(self, link: str, work: str) -> Path:
        path = self.folder / f"{link}-{work}.json"
        path.write_text(self.twins.settings(**self.settings(link, work)).text())
        return path

    def rsync(self, link: str, target: Path | None = None) -> list[str]:
        """The runbook's own command."""
        source, into = f"{link}:{self.twins.data}/", f"{target or self.base}/"
        shell = f"ssh -F {self.folder / 'ssh' / 'config'}"
        words = ["rsync", "-azv", "--delete", "--partial", "--timeout=15", "-e", shell]
        return [*words, source, into]

    def _start_sshd(self) -> None:
        home = self.folder / "ssh"
        home.mkdir()
        for name in ("host", "key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True
            )
        shutil.copy(home / "key.pub", home / "authorized")
        known = (home / "host.pub").read_text()
        (home / "known").write_text(f"bench {known}")
        (home / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.ports['lan']}\nHostKey {home}/host\n"
            f"AuthorizedKeysFile {home}/authorized\nStrictModes no\nUsePAM no\nPidFile none\n"
        )
        entries = [
            f"Host {link}\n HostName 127.0.0.1\n Port {port}\n User {USER}\n"
            f" IdentityFile {home}/key\n IdentitiesOnly yes\n UserKnownHostsFile {home}/known\n"
            " HostKeyAlias bench\n BatchMode yes\n ServerAliveInterval 5\n"
            for link, port in self.ports.items()
        ]
        (home / "config").write_text("".join(entries))
        subprocess.run(["chown", "-R", USER, home], check=True)
        shutil.chown(home / "key", "root")
        self.server = Group("server")
        command = ["runuser", "-u", USER, "--", self.sshd, "-D", "-f", str(home / "sshd_config")]
        log = (home / "log").open("wb")
        self.processes.append(subprocess.Popen(self.server.within(command), stderr=log, cwd="/"))
        relay = ["relay", str(self.ports["wan"]), str(self.ports["lan"]), str(RTT_SECONDS)]
        self.processes.append(
            subprocess.Popen(
                Group("relay").within([
                    sys.executable, "-m", "tests.bench.relay", *relay[1:], str(MBIT),
                ]), cwd=ROOT,
            )
        )  # fmt: skip
        for link in self.ports:
            wait_until(partial(self._answers, link), f"sshd answers ({link})", 20)

    def _answers(self, link: str) -> bool:
        config = str(self.folder / "ssh" / "config")
        done = subprocess.run(["ssh", "-F", config, link, "true"], capture_output=True, check=False)
        return done.returncode == 0

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()  # runuser hands it on to sshd
            process.wait()
        self.twins.stop()


def drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")
    time.sleep(0.2)
