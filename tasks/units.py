"""What systemd runs, held against what is installed: a run that died has told it only the half."""

from pathlib import PurePosixPath

from blocks.shell import Shell

# Times of systemd are whole seconds: a file of the very second of the start counts as read.
OUTDATED = """
unit=$1
shift
started=$(TZ=UTC systemctl show "$unit" --property=ExecMainStartTimestamp --value)
since=0
if [ -n "$started" ]; then since=$(date -u -d "$started" +%s) || since=0; fi
find "$@" -newermt "@$((since + 1))"
"""


def outdated(shell: Shell, unit: str, *paths: PurePosixPath) -> list[str]:
    """Those of some files that a unit has not read: they were written after it was started."""
    argv = ("sh", "-c", OUTDATED, "outdated", unit, *(str(path) for path in paths))
    return shell.run(argv).stdout.splitlines()
