"""A customer's module: what it does where the recovery host imports it, by day and in a drill."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blocks.instance import OdooInstance
from flows.build_service import build_service
from flows.drill import drill
from flows.rsync_filestore import rsync_filestore
from tests.attacks import canary
from tests.attacks.oracle import TOOL, Stage, only_own
from tests.oracles import Pair

MODELS = "/opt/odoo/sources/lab_notes/models.py"
PAYLOAD = f"""
import os, subprocess
if os.path.exists("{TOOL}"):
    subprocess.run(["{TOOL}", "module"], check=False)
"""


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return {}


@pytest.fixture
def stage(
    uno: Pair, dos: Pair, blocks: dict[str, OdooInstance], stages: dict[str, Stage]
) -> Stage:
    if "one" not in stages:
        stages["one"] = Stage(uno, dos, blocks["vps_dos"])
    return stages["one"]


@contextmanager
def module(stage: Stage, block: OdooInstance, payload: str) -> Iterator[None]:
    """Let the customer's own module carry a payload, and bring it over as every night."""
    origin = stage.attacker.origin.machine
    good = origin.read(MODELS)
    origin.write(MODELS, good + payload)
    rsync_filestore(block, "sources")
    try:
        yield
    finally:
        origin.write(MODELS, good)
        rsync_filestore(block, "sources")
        stage.sweep()


def test_a_module_that_is_tried_gets_nothing_of_another_customer(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    block = blocks["vps_uno"]
    with module(stage, block, PAYLOAD):
        loot = only_own(stage, lambda: build_service(block))
        assert "module" in {each.name for each in loot}, "the payload has run"
        assert not stage.left_behind(), "nothing of it lives on after the try"
