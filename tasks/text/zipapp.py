"""A program of several modules as one file that python3 runs."""

import io
import zipfile
from pathlib import Path

PROGRAMS = Path(__file__).parents[1] / "programs"
EPOCH = (1980, 1, 1, 0, 0, 0)
MAIN = "import sys\n\nfrom {name}.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"


def pack(name: str) -> bytes:
    """Pack a package of tasks/programs; the same sources give the same bytes.

    >>> pack("filestore") == pack("filestore")
    True
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        texts = {"__main__.py": MAIN.format(name=name)}
        for path in sorted((PROGRAMS / name).glob("*.py")):
            texts[f"{name}/{path.name}"] = path.read_text()
        for inner, text in texts.items():
            archive.writestr(zipfile.ZipInfo(inner, EPOCH), text)
    return packed.getvalue()
