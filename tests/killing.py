"""A procedure that kills itself, as `kill -9` would, when it is about to take its n-th step."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TypeVar

from blocks.errors import RelevoError
from deployments.inventory import instances, read
from deployments.secrets import Secrets
from flows.failback import failback
from flows.failover import failover
from tasks import bare

R = TypeVar("R")
PROCEDURES: dict[str, Callable[..., object]] = {"failover": failover.fn, "failback": failback.fn}
KILLED, DONE, REFUSED = -signal.SIGKILL, 0, 3


def _procedure(inventory: Path, name: str, procedure: str, steps: int, said: Path) -> None:
    """Run a procedure as a shell without a server does, up to its n-th step."""
    secrets = Secrets(inventory.with_name("secrets.yaml"))
    instance = next(i for i in instances(read(inventory), secrets) if i.name == name)
    take, taken = bare.take, 0

    def take_until(title: str, act: Callable[[], R], *, retries: int) -> R:
        nonlocal taken
        taken += 1
        with said.open("a") as file:
            file.write(f"{taken} {title}\n")
        if taken == steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return take(title, act, retries=retries)

    bare.take = take_until
    try:
        with bare.without_server():
            PROCEDURES[procedure](instance, decide="unattended", reason="drill")
    except RelevoError as error:
        with said.open("a") as file:
            file.write(f"{error}\n")
        os._exit(REFUSED)


def killed_at(inventory: Path, name: str, procedure: str, step: int, said: Path) -> int:
    """Run a procedure in a process of its own that dies before its n-th step; give its end."""
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # a killed run costs no import
    process = context.Process(target=_procedure, args=(inventory, name, procedure, step, said))
    process.start()
    process.join()
    assert process.exitcode is not None, "it was waited for"
    return process.exitcode
