"""What systemd runs, held against what is installed: a run that died has told it only the half."""

from pathlib import Path, PurePosixPath

from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.host import files
from tasks.install import zipapp
from tasks.install.release import stamped

UNITS = PurePosixPath("/etc/systemd/system")
LIBRARY = PurePosixPath("/usr/local/lib/relevo")
GUARDS = PurePosixPath("/etc/relevo/guard")
PROGRAMS = Path(__file__).parents[1] / "programs"
# Times of systemd are whole seconds: a file of the very second of the start counts as read.
OUTDATED = """
unit=$1
shift
started=$(TZ=UTC systemctl show "$unit" --property=ExecMainStartTimestamp --value)
since=0
if [ -n "$started" ]; then since=$(date -u -d "$started" +%s) || since=0; fi
find "$@" -newermt "@$((since + 1))"
"""


def install_program(shell: Shell, path: PurePosixPath, name: str, *, main: str = "") -> None:
    """Put a program of several modules on a host, where another stands there or none."""
    packed = zipapp.pack(name, main=main).decode(errors="surrogateescape")
    files.install(shell, path, packed, mode="755")


def install_script(shell: Shell, path: PurePosixPath, name: str) -> None:
    """Put a program of one file on a host."""
    files.install(shell, path, script(name), mode="755")


def install_watcher(shell: Shell, unit: str, text: str) -> None:
    """Put a unit on a host that runs there from now on, and start it anew."""
    files.install(shell, UNITS / unit, text)
    # In any case: what stands there may be the work of a run that died before it said so.
    shell.run(("systemctl", "daemon-reload"))
    shell.run(("systemctl", "enable", unit))
    shell.run(("systemctl", "restart", unit))


def script(name: str) -> str:
    """A program of one file, as it stands on a host."""
    return stamped((PROGRAMS / name).read_text())


def installed(instance: OdooInstance, place: Place) -> list[PurePosixPath]:
    """The programs that each replicate puts on a server."""
    names = ["fresh-start"]
    if place.kind == "recovery":
        names += ["right", "filestore.pyz"]
        names += ["door"] if place.cluster.confined else []
        names += ["archive.pyz"] if instance.time_machine else []
    else:
        names += ["guard", f"{instance.name}-gate"]
        names += ["synchronous"] if instance.replication.synchronous != "off" else []
    return [LIBRARY / name for name in names]


def outdated(shell: Shell, unit: str, *paths: PurePosixPath) -> list[str]:
    """Those of some files that a unit has not read: they were written after it was started."""
    argv = ("sh", "-c", OUTDATED, "outdated", unit, *(str(path) for path in paths))
    return shell.run(argv).stdout.splitlines()
