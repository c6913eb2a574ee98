"""The guard's own decisions, as they are made at the origin without Relevo."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks import signing
from tasks.programs.guard import Guard, newest, verdict
from tasks.read.receipt import NAMESPACE, Receipt, sealed
from tasks.text.guard import allowed_signer

KEY = SecretStr("a signing key of a drill")
HOME = {"epoch": 4, "taker": "origin"}
AWAY = {"epoch": 5, "taker": "recovery"}
RECEIPT = Receipt("vps_1", 5, "forced", "origin", "recovery", "71", 1, "", "2026-01-01T00:00:00Z")


@pytest.mark.parametrize("told", [None, {"epoch": 3, "taker": "recovery"}, {**HOME, "taker": "x"}])
def test_no_word_an_older_one_and_a_contradiction_are_no_news(told: dict[str, Any] | None) -> None:
    assert newest(HOME, told) is HOME


def test_a_newer_word_is_news_and_the_first_one_too() -> None:
    assert newest(HOME, AWAY) is AWAY
    assert newest(None, AWAY) is AWAY


@pytest.mark.parametrize(
    ("known", "answered", "unanswered", "may"),
    [
        (HOME, True, "serve", True),
        (HOME, False, "serve", True),
        (HOME, True, "hold", True),
        (HOME, False, "hold", False),
        (AWAY, True, "serve", False),
        (AWAY, False, "serve", False),
        (AWAY, False, "hold", False),
        (None, True, "serve", True),
        (None, False, "serve", True),
        (None, False, "hold", False),
    ],
)
def test_who_may_serve(
    known: dict[str, Any] | None, answered: bool, unanswered: str, may: bool
) -> None:
    said, why = verdict(known, place="origin", answered=answered, unanswered=unanswered)
    assert said is may
    assert why


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    signer = tmp_path / "signer"
    signer.write_text(allowed_signer(public_key=signing.public_key(KEY), namespace=NAMESPACE))
    names = ("right", "held", "waiting")
    return Guard({
        **{name: str(tmp_path / name) for name in names},
        "instance": "vps_1", "system_identifier": "71", "place": "origin",
        "namespace": NAMESPACE, "signer": str(signer),
    })  # fmt: skip


def _line(receipt: Receipt, key: SecretStr = KEY) -> str:
    text = receipt.text()
    return sealed(text, signing.sign(text, key, namespace=NAMESPACE))


def test_a_genuine_receipt_is_believed_and_kept(guard: Guard) -> None:
    assert guard.believe(_line(RECEIPT)) == json.loads(RECEIPT.text())
    assert guard.own() == json.loads(RECEIPT.text())


def test_what_a_login_prints_hides_no_answer(guard: Guard, tmp_path: Path) -> None:
    """A greeting of ~/.bashrc at the recovery host once made its receipt unreadable."""
    right = tmp_path / "right-there"
    right.write_text("Welcome to this server.\n" + _line(RECEIPT))
    guard.config["ssh"] = ["sh", "-c", 'cat "$0"', str(right)]
    guard.config["wait_seconds"], guard.config["unanswered"] = 0, "serve"

    assert guard.may_serve("cluster") == (False, "epoch 5 gave the write right to recovery")


def test_what_is_not_genuine_or_not_ours_is_no_opinion(guard: Guard) -> None:
    foreign = Receipt(**{**json.loads(RECEIPT.text()), "instance": "vps_2"})
    other = Receipt(**{**json.loads(RECEIPT.text()), "system_identifier": "72"})
    edited = _line(RECEIPT).replace("recovery", "origin")
    for line in (
        "", "unknown\n", "{}", "[]", "3", edited, _line(foreign), _line(other),
        _line(RECEIPT, SecretStr("a key of somebody else")),
    ):  # fmt: skip
        assert guard.believe(line) is None, line
    assert not guard.right.exists()


def test_the_program_is_a_program_that_the_oldest_python_supported_can_read() -> None:
    path = Path(__file__).parents[2] / "tasks" / "programs" / "guard.py"
    assert ast.parse(path.read_text(), feature_version=(3, 8)).body
