"""Prefect as it may be on the night: there, and not to be imported."""

import os
from pathlib import Path

OF_PREFECT = ("prefect", "httpx", "rich")


def broken(folder: Path) -> str:
    """A PYTHONPATH on which Prefect, and what it brings, raise when somebody imports them."""
    for name in OF_PREFECT:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").write_text(f"raise ImportError('{name} is broken')\n")
    return os.pathsep.join((str(folder), str(Path(__file__).parents[1])))
