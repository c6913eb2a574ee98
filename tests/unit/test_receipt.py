"""What a receipt entitles to, and what it does not."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import SecretStr

from blocks import signing
from blocks.instance import OdooInstance
from tasks.authority import guard_files
from tasks.postgres.wal import Lsn
from tasks.receipts.receipt import (
    NAMESPACE,
    Receipt,
    Stand,
    next_epoch,
    objection,
    parse,
    sealed,
    unseal,
)
from tasks.receipts.receipt_files import _Line
from tasks.receipts.signers import Signers

KEY = SecretStr("a signing key of a drill")
MINE = Signers((signing.public_key(KEY),))
RECEIPT = Receipt(
    "vps_1", 7, "demotion", "recovery", "origin", "71", 3, "0/5000028", "2026-01-01T00:00:00Z"
)
STAND = Stand(
    "vps_1", "recovery", "origin", "71", 3, Lsn.parse("0/5000028"), Lsn.parse("0/50000A0")
)


def test_a_receipt_that_fits_is_objected_to_by_nobody() -> None:
    assert objection(RECEIPT, STAND) == ""


@pytest.mark.parametrize(
    ("receipt", "why"),
    [
        pytest.param(None, "there is no receipt", id="none"),
        pytest.param(replace(RECEIPT, instance="vps_2"), "receipt of vps_2", id="foreign"),
        pytest.param(
            replace(RECEIPT, system_identifier="72"), "system identifiers differ", id="cluster"
        ),
        pytest.param(
            replace(RECEIPT, giver="origin", taker="recovery"), "from origin to recovery", id="way"
        ),
        pytest.param(replace(RECEIPT, kind="forced"), "no clean hand-over", id="forced"),
        pytest.param(replace(RECEIPT, timeline=2), "timeline 2, and this is timeline 3", id="old"),
        pytest.param(
            replace(RECEIPT, checkpoint="0/4000028"), "was shut down at 0/5000028", id="replayed"
        ),
        pytest.param(replace(RECEIPT, checkpoint=""), "it names no checkpoint", id="blank"),
    ],
)
def test_a_receipt_that_does_not_fit_is_objected_to(receipt: Receipt | None, why: str) -> None:
    assert why in objection(receipt, STAND)


def test_a_taker_that_has_not_received_it_all_is_objected_to() -> None:
    assert "not yet" in objection(RECEIPT, replace(STAND, received=STAND.checkpoint))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"epoch": 1}',
        RECEIPT.text() + " ",
        RECEIPT.text().replace('"epoch":7', '"epoch":"7"'),
        RECEIPT.text().replace('"epoch":7', '"epoch":0'),
        RECEIPT.text().replace('"epoch":7', '"epoch":7,"more":1'),
    ],
)
def test_what_is_no_receipt_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="not a receipt"):
        parse(text)


def test_an_edited_text_or_another_key_or_purpose_is_not_genuine() -> None:
    text = RECEIPT.text()
    mark = signing.sign(text, KEY, namespace=NAMESPACE)
    assert signing.is_genuine(text, mark, KEY, namespace=NAMESPACE)
    assert not signing.is_genuine(text.replace("7", "8"), mark, KEY, namespace=NAMESPACE)
    assert not signing.is_genuine(text, mark, SecretStr("another key"), namespace=NAMESPACE)
    assert not signing.is_genuine(text, mark, KEY, namespace="file")
    assert not signing.is_genuine(text, "", KEY, namespace=NAMESPACE)


def test_openssh_itself_believes_the_signature_and_not_an_edited_text(tmp_path: Path) -> None:
    assert shutil.which("ssh-keygen"), "openssh-client is installed by make setup"
    text = RECEIPT.text()
    signer, mark = tmp_path / "signer", tmp_path / "mark"
    signer.write_text(
        guard_files.allowed_signers(Signers((signing.public_key(KEY),)), namespace=NAMESPACE)
    )
    mark.write_text(signing.sign(text, KEY, namespace=NAMESPACE))
    argv = ("ssh-keygen", "-Y", "verify", "-f", str(signer), "-I", "relevo", "-n", NAMESPACE)
    for said, status in ((text, 0), (text.replace("origin", "recovery"), 255)):
        done = subprocess.run(
            [*argv, "-s", str(mark)], input=said, text=True, capture_output=True, check=False
        )
        assert done.returncode == status, done.stderr


@pytest.mark.parametrize("line", ["", "text", "[]", '{"text": "x"}', '"x"'])
def test_what_is_not_sealed_is_not_unsealed(line: str) -> None:
    with pytest.raises(ValueError, match="not a sealed receipt"):
        unseal(line)


def test_an_epoch_of_a_silent_host_can_never_outrank_a_newer_one() -> None:
    """A recovery host restored from a backup may have forgotten some changes of roles."""
    forgotten = replace(RECEIPT, epoch=RECEIPT.epoch + 20)
    assert next_epoch(RECEIPT, both_asked=False) > forgotten.epoch
    assert next_epoch(RECEIPT, both_asked=True) == RECEIPT.epoch + 1


@pytest.mark.parametrize("said", ["\\ud800", "é", "[" * 50_000, "null", "", "\x00"])
def test_what_an_origin_plants_among_the_receipts_is_none_and_stops_nobody(said: str) -> None:
    """A signature that is no ASCII once ended a failover in a TypeError."""
    instance = cast("OdooInstance", SimpleNamespace(name="vps_1", signing_key=KEY))
    for line in (sealed(RECEIPT.text(), said), sealed(said, "x"), f'{{"text": "{said}"}}', said):
        assert _Line.judge(instance, MINE, line).receipt is None
    signed = RECEIPT.text().replace("demotion", "\\ud800")
    assert _Line.judge(instance, MINE, sealed(signed, "x")).receipt is None
