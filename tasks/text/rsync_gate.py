"""The forced command of the recovery host's key at the origin: the program with its folders."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

PROGRAM = Path(__file__).parents[1] / "programs" / "gate.py"


def render(
    *,
    instance: str,
    read: Sequence[PurePosixPath],
    write: Sequence[PurePosixPath],
    until: PurePosixPath,
) -> str:
    """Let rsync read and write below these folders, and single files be fetched by name.

    The first of them is Odoo's data directory; the last that may be written is the quarantine.
    """
    return f"""\
#!/usr/bin/python3
# Written by Relevo for {instance}: lets the recovery host read and, at a failback, write files.
{PROGRAM.read_text()}

main(
    Door(
        read={tuple(map(str, read))!r},
        write={tuple(map(str, write))!r},
        until={str(until)!r},
        filestore={str(read[0] / "filestore")!r},
        quarantine={str(write[-1])!r},
    ),
    sys.argv[1:],
)
"""
