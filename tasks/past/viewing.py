"""Odoo on an instance as it was: for a person to look at, over the person's own ssh."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import CommandFailed
from tasks.host import files, layout
from tasks.host.job import show
from tasks.past import backup
from tasks.past.scratch import Past, words
from tasks.readiness import drill_steps
from tasks.run.document import Document
from tasks.run.step import log, step

PROXY = "/lib/systemd/systemd-socket-proxyd"
LOCAL_PORT = 8069
LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Laid:
    """How many files came out of the trash, and which ones nobody has."""

    from_trash: int
    missing: int
    documents: list[Document]

    def __str__(self) -> str:
        """
        >>> str(Laid(3, 1, []))
        '3 from the trash; 1 that nobody has'
        """
        return f"{self.from_trash} from the trash; {self.missing} that nobody has"


@contextmanager
def files_of_then(past: Past, databases: list[str]) -> Iterator[Laid]:
    """Lay what was deleted since beneath the files of now, for as long as this lasts."""
    shell, instance = past.stage.shell, past.stage.instance
    folder = layout.home(instance) / f"files-of-{past.stage.kind}"
    files.remove_tree(shell, folder)
    owner = files.owner(shell, instance.recovery.odoo.user)
    files.make_directory(shell, folder, owner=owner, mode="700")
    past.stage.beneath = folder
    try:
        yield _laid(past, folder, databases)
    finally:
        files.remove_tree(shell, folder)


@step("look for the files that {past.stage.instance.name} had")
def _laid(past: Past, folder: PurePosixPath, databases: list[str]) -> Laid:
    """Have a second name given to what only the trash has; name what nobody has."""
    made = backup.run(past, "link", folder, *databases)
    with understood(f"what {backup.PROGRAM.name} says"):
        return Laid(
            from_trash=int(made["linked"]),
            missing=sum(int(each) for each in made["missing"].values()),
            documents=[
                backup.document(database, each)
                for database, rows in made["documents"].items()
                for each in rows
            ],
        )


@contextmanager
def open_door(past: Past, minutes: int) -> Iterator[str]:
    """Serve Odoo, which has no network, on a socket that only the login of ssh may use."""
    stage = past.stage
    stage.seconds = minutes * 60 + drill_steps.START_SECONDS
    drill_steps.require_apart(stage)
    drill_steps.start_odoo(stage)
    path = PurePosixPath(f"/run/relevo-look-{stage.instance.name}.sock")
    unit = f"relevo-{stage.instance.name}-look-door"
    _close(past, unit)
    try:
        _listen(past, unit, path)
        yield _way(past, path)
    finally:
        _close(past, unit)


def _listen(past: Past, unit: str, path: PurePosixPath) -> None:
    stage, host = past.stage, past.stage.instance.recovery.host
    argv = (
        "systemd-run", "--quiet", "--collect", f"--unit={unit}",
        f"--socket-property=ListenStream={path}", f"--socket-property=SocketUser={host.user}",
        "--socket-property=SocketMode=0600", "--socket-property=RemoveOnStop=yes",
        "--property=DynamicUser=yes", "--property=PrivateNetwork=yes",
        f"--property=JoinsNamespaceOf={stage.unit('odoo')}",
        f"--property=RuntimeMaxSec={stage.seconds}",
        "--", PROXY, f"127.0.0.1:{stage.instance.recovery.odoo.http_port}",
    )  # fmt: skip
    stage.shell.run(argv)


def _close(past: Past, unit: str) -> None:
    units = (f"{unit}.socket", f"{unit}.service")
    past.stage.shell.run(("systemctl", "stop", *units), check=False, timeout_seconds=120)


def _way(past: Past, path: PurePosixPath) -> str:
    """How a person gets there: whoever may log in to the recovery host may look."""
    host = past.stage.instance.recovery.host
    return f"ssh -N -L {LOCAL_PORT}:{path} -p {host.port} {host.user}@{host.address}"


@step("keep {past.stage.instance.name} as it was open for {minutes} minutes", retries=0)
def stay(past: Past, minutes: int, way: str) -> None:
    """Say how to get there, and wait until the time is over."""
    log().info("run %s, and open http://localhost:%d", way, LOCAL_PORT)
    shell, unit, end = past.stage.shell, past.stage.unit("odoo"), time.monotonic() + minutes * 60
    while time.monotonic() < end:
        if not show(shell, unit).running:
            raise CommandFailed(
                f"Odoo of then has ended: {words(shell, unit)}", hint="run this again"
            )
        time.sleep(LOOK_SECONDS)
