"""The filestore engine on the recovery host: installed, run, and what it said.

It is one file of Python's standard library, tasks/programs/filestore, which runs there as Odoo's
user and asks the standby over its own socket.
"""

import contextlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from blocks import answers
from blocks.errors import CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.shell import Shell
from tasks.filestore import key
from tasks.host import confine, files, layout, systemd_unit
from tasks.host.job import LOGS, run_job, show
from tasks.install import programs
from tasks.notices import progress
from tasks.odoo import odoo_conf
from tasks.programs.filestore.settings import Settings
from tasks.run.step import log
from tasks.standby import replica

PROGRAM = PurePosixPath("/usr/local/lib/relevo/filestore.pyz")
PASS_SECONDS = 24 * 3600
MARK = "RELEVO "
# What the engine ends with, and whether another try may help.
KINDS: dict[str, type[RelevoError]] = {
    "OriginAway": Unreachable,
    "ClusterAway": Unreachable,
    "Refusal": Refused,
}
STATUSES = (0, 1, 75, 76, 77)
CIPHERS = "Ciphers=^aes128-gcm@openssh.com"  # half the time of ssh's own choice, where it is known

Facts = dict[str, Any]


def work(instance: OdooInstance) -> PurePosixPath:
    """Where the engine keeps what it knows of an instance."""
    return instance.directory / "engine"


def settings_path(instance: OdooInstance) -> PurePosixPath:
    return work(instance) / "settings.json"


def install(shell: Shell) -> None:
    """Put the program on the recovery host."""
    programs.install_program(shell, PROGRAM, "filestore")


def _role(instance: OdooInstance) -> str:
    """The role of Odoo: as it was built, and of the origin before that.

    An origin whose settings could not be carried over any more is no reason to copy no files.
    """
    recovery = instance.recovery
    text = files.read(recovery.host.shell(), recovery.odoo.config)
    return odoo_conf.database_role(text, default="") or replica.odoo_role(instance)


def ensure(instance: OdooInstance) -> None:
    """Install the program and what it has to know of an instance; the origin must answer."""
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    wishes, owner = instance.filestore, files.owner(shell, recovery.odoo.user)
    install(shell)
    files.make_directory(shell, work(instance), owner=owner, mode="750")
    settings = Settings(
        instance=instance.name,
        origin=str(instance.origin),
        socket=str(recovery.cluster.sockets),
        port=recovery.cluster.port,
        role=_role(instance),
        filestore=str(recovery.odoo.data_dir / "filestore"),
        work=str(work(instance)),
        trash=str(instance.trash),
        channel=(*key.ssh(instance), "-o", CIPHERS, instance.name, "relevo files"),
        grace_seconds=wishes.grace_hours * 3600,
        max_deleted_share=wishes.max_deleted_share,
        scrub_days=wishes.scrub_days,
    )
    files.install(shell, settings_path(instance), settings.text(), owner=owner, mode="640")


def run(instance: OdooInstance, verb: str, *options: str) -> Facts:
    """Run the engine to its end; give what it found, or raise what it complains of."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    output = run_job(
        shell,
        f"{instance.name}-engine-{verb}",
        ("python3", "-I", str(PROGRAM), verb, str(settings_path(instance)), *options),
        user=user,
        timeout_seconds=PASS_SECONDS,
        accept=STATUSES,
        on_progress=_teller(f"{verb} of the filestore of {instance.name}"),
    )
    facts = last(output, "result", "error")
    if error := facts.get("error"):
        with answers.understood(f"what the filestore engine of {instance.name} complains of"):
            kind, message, hint = error["kind"], str(error["message"]), str(error["hint"])
        raise KINDS.get(kind, CommandFailed)(message, hint=hint)
    if "result" not in facts:
        tail = "\n".join(output.strip().splitlines()[-10:])
        raise CommandFailed(
            f"the filestore engine of {instance.name} failed on {shell.host}:\n{tail}",
            hint=f"read its full output in {LOGS} there",
        )
    result: Facts = facts["result"]
    return result


def last(output: str, *names: str) -> Facts:
    r"""The last thing of a kind that the engine said.

    >>> last('RELEVO {"progress": 1}\nRELEVO {"result": {}}\n', "result")
    {'result': {}}
    >>> last("nothing", "result")
    {}
    """
    for line in reversed(output.splitlines()):
        if line.startswith(MARK) and line.endswith("}"):
            with contextlib.suppress(CommandFailed):  # a line that looks like one of the engine's
                found = answers.facts(line.removeprefix(MARK), "a line of the engine")
                if set(names) & set(found):
                    return found
    return {}


def _teller(what: str) -> Callable[[str], None]:
    """Show in the UI how far a long work has come."""
    show_percent = progress.reporter(what)

    def tell(output: str) -> None:
        facts = last(output, "progress").get("progress")
        if facts and facts["of"]:
            log().info("%s", sentence(facts))
            show_percent(f"({100 * facts['files'] // facts['of']:.0f}%)")

    return tell


def sentence(facts: Facts) -> str:
    """Say how far a copy has come.

    >>> sentence({"files": 500, "of": 1000, "bytes": 5e6, "seconds": 2.0, "seconds_left": 2.0})
    '500 of 1000 files, 5 MB, 250 files/s, 2 s left'
    """
    rate = facts["files"] / max(facts["seconds"], 0.001)
    return (
        f"{facts['files']} of {facts['of']} files, {facts['bytes'] / 1e6:.0f} MB, "
        f"{rate:.0f} files/s, {facts['seconds_left']:.0f} s left"
    )


def follower(instance: OdooInstance) -> str:
    """The unit that follows all instances of a host that belong to one system user."""
    return f"relevo-follow-{instance.recovery.odoo.user}"


def follower_log(instance: OdooInstance) -> PurePosixPath:
    return LOGS / f"{follower(instance).removeprefix('relevo-')}.log"


def conditions_path(instance: OdooInstance) -> PurePosixPath:
    """Where the follower writes how it goes with each instance; systemd makes the directory."""
    return PurePosixPath("/run") / follower(instance) / "conditions.json"


def follow(instance: OdooInstance) -> None:
    """Have the follower run, now and after a boot; one that runs the newest program goes on.

    The program may have been put there long before, by a pass over the files.
    """
    shell, unit = instance.recovery.host.shell(), f"{follower(instance)}.service"
    install(shell)
    shell.run(("install", "-d", "-m", "750", str(LOGS)))
    path = programs.UNITS / unit
    # What stands there may be the work of a run that died before it told systemd.
    if files.install(shell, path, _follower_unit(instance)) or not _starts_at_boot(shell, unit):
        _end_transient(shell, unit)
        shell.run(("systemctl", "daemon-reload"))
        shell.run(("systemctl", "enable", unit))
    if following(instance) and not programs.outdated(shell, unit, PROGRAM, path):
        return
    shell.run(("systemctl", "reset-failed", unit), check=False)
    shell.run(("systemctl", "restart", unit), timeout_seconds=120)


def _starts_at_boot(shell: Shell, unit: str) -> bool:
    argv = ("systemctl", "is-enabled", unit)
    return shell.run(argv, check=False).stdout.strip() == "enabled"


def _end_transient(shell: Shell, unit: str) -> None:
    """Stop a follower of Relevo 0.1, whose unit hides ours as long as it runs."""
    argv = ("systemctl", "show", unit, "--property=FragmentPath", "--value")
    if shell.run(argv).stdout.startswith("/run/systemd/transient/"):
        shell.run(("systemctl", "stop", unit), timeout_seconds=120)


def _follower_unit(instance: OdooInstance) -> str:
    """Write the unit: of a user that is one instance's, it may touch that one's files alone."""
    user, name = instance.recovery.odoo.user, follower(instance)
    shared = _shared(instance)
    folder = instance.directory.parent if shared else instance.directory
    pattern = f"{instance.directory.parent}/*" if shared else str(instance.directory)
    writes = (folder,) if shared else layout.followed(instance)
    return systemd_unit.follower(
        name=name,
        user=user,
        log=follower_log(instance),
        command=(
            "/usr/bin/python3", "-I", str(PROGRAM), "follow",
            f"{pattern}/engine/settings.json", f"--conditions={conditions_path(instance)}",
        ),
        properties=confine.properties(writes=writes),
    )  # fmt: skip


def _shared(instance: OdooInstance) -> bool:
    return instance.recovery.odoo.user in instance.shared_users or instance.settled == "shared"


def written(instance: OdooInstance) -> Facts:
    """What the follower last wrote down, and when."""
    text = files.read(instance.recovery.host.shell(), conditions_path(instance))
    if not text:
        return {"conditions": [], "at": 0.0}
    return answers.facts(text, f"{conditions_path(instance)} on {instance.recovery}")


def following(instance: OdooInstance) -> bool:
    return show(instance.recovery.host.shell(), f"{follower(instance)}.service").running


def count(facts: Facts, name: str) -> int:
    """How many there are, of which the engine names no more than some."""
    counts: dict[str, int] = facts.get("counts", {})
    return counts.get(name, len(facts[name]))
