"""How the forced command of the recovery host's key at the origin begins: with its folders."""

from collections.abc import Sequence
from pathlib import PurePosixPath


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
# Written by Relevo for {instance}: lets the recovery host read and, at a failback, write files.
import sys

from programs.gate.__main__ import main
from programs.gate.door import Door

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
