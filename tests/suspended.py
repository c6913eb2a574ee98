"""A run that acts again and again, in a process of its own: `suspended INVENTORY NAME WHO KIND`.

Each of its commands leaves a mark on the host. It says "held" and "acted", and goes on until it is
refused; the new one, until its standard input ends.
"""

import itertools
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from blocks.errors import Busy
from blocks.instance import OdooInstance
from deployments.inventory import instances
from deployments.inventory_file import read
from deployments.secrets import Secrets
from tasks.host import files, lock
from tasks.host.job import run_job
from tasks.run import terminal
from tests.stack import ROOT

MARKS = PurePosixPath("/var/tmp/relevo-marks")  # a host of the lab's
FILES = PurePosixPath("/var/lib/relevo-marks")
MARK = f'echo "$1 $(date +%s.%N)" >>{MARKS}'
LEASE_SECONDS, BEAT_SECONDS = 3, 1
REFUSED = 3
OLD, COPY, NEW = "failback", "rsync-filestore", "failover"

Act = Callable[[OdooInstance, str], None]


def _at_recovery(instance: OdooInstance, text: str) -> None:
    instance.recovery.host.shell().run(("sh", "-c", MARK, "mark", text))


def _at_origin(instance: OdooInstance, text: str) -> None:
    instance.origin.host.shell().run(("sh", "-c", MARK, "mark", text))


def _as_another(instance: OdooInstance, text: str) -> None:
    instance.origin.host.shell().run(("sh", "-c", MARK, "mark", text), user="postgres")


def _by_sql(instance: OdooInstance, text: str) -> None:
    origin = instance.origin
    sql = f"COPY (SELECT '{text} ' || extract(epoch FROM clock_timestamp())) TO PROGRAM "
    origin.cluster.execute(origin.host.shell(), f"{sql}'cat >>{MARKS}'")


def _by_job(instance: OdooInstance, text: str) -> None:
    argv = ("sh", "-c", MARK, "mark", text)
    shell = instance.recovery.host.shell()
    run_job(shell, f"{instance.name}-filestore", argv, user="root", timeout_seconds=60)


def _by_files(instance: OdooInstance, text: str) -> None:
    files.install(instance.origin.host.shell(), FILES / text.replace(" ", "-"), text)


KINDS: dict[str, Act] = {
    "shell, recovery": _at_recovery,
    "shell, origin": _at_origin,
    "another user": _as_another,
    "sql": _by_sql,
    "job": _by_job,
    "files": _by_files,
}
# Where each leaves its marks.
AT_RECOVERY = {"shell, recovery", "job"}


class Run:
    """Such a run, which can be stopped and woken."""

    def __init__(self, inventory: Path, name: str, who: str, kind: str) -> None:
        words = (str(inventory), name, who, kind)
        self.process = subprocess.Popen(
            (sys.executable, "-m", "tests.suspended", *words),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip

    def wait_until(self, said: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == said:
                return
        assert self.process.stderr is not None
        raise AssertionError(f"it ended before {said!r}: {self.process.stderr.read()}")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)

    def end(self, timeout_seconds: float = 60) -> tuple[int, str]:
        """Wait for its end; give its status and its last words."""
        _, said = self.process.communicate(timeout=timeout_seconds)
        return self.process.returncode, said

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def main(inventory: str, name: str, who: str, kind: str) -> int:
    lock.LEASE_SECONDS, lock.BEAT_SECONDS = LEASE_SECONDS, BEAT_SECONDS
    path = Path(inventory)
    secrets = Secrets(path.with_name("secrets.yaml"))
    instance = next(i for i in instances(read(path), secrets) if i.name == name)
    acts = list(KINDS.values()) if kind == "all" else [KINDS[kind]]
    try:
        with terminal.without_server(), lock.held(instance, who, preempt=who == NEW):
            print("held", flush=True)
            for number in itertools.count():
                for act in acts:
                    act(instance, f"{who} {number}")
                if number == 0:
                    print("acted", flush=True)
                if who == NEW and select.select([sys.stdin], [], [], 0.3)[0]:
                    return 0
    except Busy as error:
        print(error, file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
