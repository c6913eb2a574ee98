"""A program of several modules as one file that python3 runs."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tasks.install.release import stamped

PROGRAMS = Path(__file__).parents[1] / "programs"
SHARED = ("__init__", "acting", "bounded", "durable", "journal", "spreadsheet")
EPOCH = (1980, 1, 1, 0, 0, 0)
SHEBANG = "#!/usr/bin/python3 -I\n"
MAIN = "import sys\n\nfrom programs.{name}.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"


def pack(name: str, *, main: str = "") -> bytes:
    """Pack a program of tasks/programs with what it shares; the same sources give the same bytes.

    `main` is the text with which it begins, where that is more than to hand it its arguments.

    >>> pack("filestore") == pack("filestore")
    True
    """
    packed = io.BytesIO()
    packed.write(stamped(SHEBANG).encode())
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        for inner, text in _texts(name, main):
            archive.writestr(zipfile.ZipInfo(inner, EPOCH), text)
    return packed.getvalue()


def _texts(name: str, main: str) -> Iterator[tuple[str, str]]:
    yield "__main__.py", main or MAIN.format(name=name)
    for shared in SHARED:
        yield f"programs/{shared}.py", (PROGRAMS / f"{shared}.py").read_text()
    for path in sorted((PROGRAMS / name).glob("*.py")):
        yield f"programs/{name}/{path.name}", path.read_text()
