"""Real clusters for the engine; each module of tests has a pair of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.clusters import Twins


@pytest.fixture(scope="module")
def pair() -> Iterator[Twins]:
    """A primary and its standby, both running, with nothing in them yet."""
    folder = Path(tempfile.mkdtemp(prefix="relevo-engine-"))
    made = Twins(folder)
    try:
        yield made.start()
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def twins(pair: Twins) -> Twins:
    """The pair with an empty database and empty folders."""
    for (name,) in pair.primary.sql(
        "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'",
        "postgres",
    ):
        pair.primary.drop(str(name))
    for path in (pair.theirs, pair.quarantine, pair.folder / "recovery"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (pair.theirs, pair.quarantine, pair.ours):
        path.mkdir(parents=True)
    pair.until.unlink(missing_ok=True)
    pair.create("shop")
    pair.catch_up()
    return pair
