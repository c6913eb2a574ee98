"""List the packages of a Python, as `pip freeze --all` does; a venv of uv's has no pip.

Written by Relevo; Odoo's own interpreter runs it: 3.7 or newer where it has pip, else 3.8.

    frozen     a line for each package
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Iterator


def listed() -> Iterator[str]:
    """Give the line of each package; of what no index has, its address."""
    from importlib import metadata  # noqa: PLC0415  # which a Python before 3.8 has not

    for each in metadata.distributions():
        name, origin = each.metadata["Name"], json.loads(each.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            yield f"-e {origin['url']}"
        elif origin:
            yield f"{name} @ {origin.get('url')}"
        else:
            yield f"{name}=={each.version}"


def main() -> int:
    if importlib.util.find_spec("pip"):
        return subprocess.call([sys.executable, "-m", "pip", "freeze", "--all"])
    print("\n".join(listed()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
