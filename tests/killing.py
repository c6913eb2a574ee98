"""A procedure that kills itself, as `kill -9` would, when it is about to take its n-th step."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import TypeVar

from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from deployments import cli, removal
from deployments.inventory import instances
from deployments.inventory_file import read
from deployments.secrets import Secrets
from flows.drill import drill
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from flows.rsync_filestore import rsync_filestore
from tasks.removal.removal import Wishes
from tasks.run import terminal

R = TypeVar("R")


def _failover(instance: OdooInstance) -> object:
    return failover.fn(instance, decide="unattended", reason="drill")


def _forced(instance: OdooInstance) -> object:
    return failover.fn(instance, decide="unattended", reason="drill", origin_is_down=True)


def _failback(instance: OdooInstance) -> object:
    return failback.fn(instance, decide="unattended", reason="drill")


PROCEDURES: dict[str, Callable[[OdooInstance], object]] = {
    "failover": _failover, "forced failover": _forced, "failback": _failback,
    "drill": drill.fn, "replicate": replicate.fn, "rsync-filestore": rsync_filestore.fn,
}  # fmt: skip
RENAME = "rename to "
KILLED, DONE, REFUSED = -signal.SIGKILL, 0, 3


def _act(procedure: str, inventory: Path, name: str) -> None:
    if procedure.startswith(RENAME):
        os.environ["RELEVO_LOG_DIR"] = str(inventory.parent / "logs")
        words = [name, procedure.removeprefix(RENAME), "--yes", "--reason", "drill"]
        if code := cli.main(["--inventory", str(inventory), "rename", *words]):
            os._exit(code)
        return
    secrets = Secrets(inventory.with_name("secrets.yaml"))
    instance = next(i for i in instances(read(inventory), secrets) if i.name == name)
    if procedure == "remove":
        removal.remove(instance, secrets, Wishes(), why="drill")
    else:
        PROCEDURES[procedure](instance)


def _procedure(
    inventory: Path,
    name: str,
    procedure: str,
    steps: int | str,
    said: Path,
    *,
    server: tuple[str, str],
) -> None:
    """Run a procedure as a shell without a server does, up to its n-th step, or one of a title.

    `server` is where a Prefect is that is only told of it, and how one logs in there.
    """
    take, taken = terminal.take, 0

    def take_until(title: str, act: Callable[[], R], *, retries: int) -> R:
        nonlocal taken
        taken += 1
        with said.open("a") as file:
            file.write(f"{taken} {title}\n")
        if steps == taken or (isinstance(steps, str) and title.startswith(steps)):
            os.kill(os.getpid(), signal.SIGKILL)
        return take(title, act, retries=retries)

    terminal.take = take_until
    updates = {PREFECT_API_URL: server[0], PREFECT_API_AUTH_STRING: server[1]}
    try:
        with (
            temporary_settings(updates) if server[0] else nullcontext(),
            terminal.without_server(),
        ):
            _act(procedure, inventory, name)
    except RelevoError as error:
        with said.open("a") as file:
            file.write(f"{error}\n")
        os._exit(REFUSED)


def begun(
    inventory: Path,
    name: str,
    procedure: str,
    said: Path,
    *,
    step: int | str = 0,
    server: tuple[str, str] = ("", ""),
) -> ForkServerProcess:
    """Begin a procedure in a process of its own, which dies before its n-th step."""
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # a killed run costs no import
    given, named = (inventory, name, procedure, step, said), {"server": server}
    process = context.Process(target=_procedure, args=given, kwargs=named)
    process.start()
    return process


def killed_at(
    inventory: Path,
    name: str,
    procedure: str,
    step: int | str,
    said: Path,
    *,
    server: tuple[str, str] = ("", ""),
) -> int:
    """Run a procedure in a process of its own that dies before its n-th step; give its end."""
    process = begun(inventory, name, procedure, said, step=step, server=server)
    process.join()
    assert process.exitcode is not None, "it was waited for"
    return process.exitcode
