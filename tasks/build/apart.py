"""A customer's code run on the recovery host with nothing around it.

It has no network, no database and no other's files, and works as the user of its instance.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from blocks.instance import OdooInstance
from blocks.shell import Completed
from tasks.host import confine, layout


def run(
    instance: OdooInstance,
    argv: Sequence[str],
    *,
    seconds: int,
    environment: PurePosixPath,
    folder: PurePosixPath | None = None,
    writes: Sequence[PurePosixPath] = (),
    properties: Sequence[str] = (),
) -> Completed:
    """Run a command of an instance's Odoo, however it ends; it may write below `writes` alone."""
    recovery = instance.recovery
    found = confine.properties(
        writes=writes,
        network=False,
        hidden=(
            layout.ssh(instance), layout.postgres(instance), instance.directory / "engine",
            recovery.odoo.data_dir, instance.trash, recovery.cluster.sockets,
        ),
    )  # fmt: skip
    run = (
        "systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--uid={recovery.odoo.user}",
        f"--property=WorkingDirectory={folder or '/'}",
        f"--property=EnvironmentFile=-{environment}",
        f"--property=RuntimeMaxSec={seconds}",
        *confine.options((*found, *properties)), "--", *argv,
    )  # fmt: skip
    return recovery.host.shell().run(run, check=False, timeout_seconds=seconds + 30)
