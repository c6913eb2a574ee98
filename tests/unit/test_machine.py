"""What `--json` prints stays: fields may come, and none goes or changes its kind."""

import json
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.instance import OdooInstance
from deployments import (
    break_glass,
    cli,
    inventory,
    inventory_file,
    machine,
    parser,
    quiet,
    reference_json,
)
from deployments.documents import DOCUMENTS
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.authority.situation import SILENT, Plan, Situation
from tasks.board.alarms import Measured
from tasks.records.loss import Exposure
from tests.unit.test_plan import NAMES

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "json"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def kept(command: str) -> dict[str, str]:
    """The fields that programs rely on, with their kinds."""
    found: dict[str, str] = json.loads((GOLDEN / f"{command}.json").read_text())
    return found


@pytest.mark.parametrize("command", DOCUMENTS)
def test_no_field_goes_and_none_changes_its_kind(command: str) -> None:
    now = {path: kind for path, kind, _ in reference_json.rows(DOCUMENTS[command])}

    assert kept(command).items() <= {path.strip("`"): kind for path, kind in now.items()}.items()


def test_each_document_is_kept_and_none_is_kept_that_is_gone() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {*DOCUMENTS}
    assert machine.VERSION == 1, "a new version begins with golden files of its own"


def test_each_field_has_a_meaning_and_begins_alike() -> None:
    for command, document in DOCUMENTS.items():
        rows = list(reference_json.rows(document))
        assert [path for path, _, said in rows if not said] == [], command
        assert [path for path, *_ in rows][:3] == ["`version`", "`command`", "`at`"]


def test_each_document_belongs_to_a_command_that_offers_it() -> None:
    offered = {
        name
        for name, command in parser.commands(parser.build()).items()
        if "--json" in command.format_help()
    }
    assert offered == {*DOCUMENTS}


def _instances(tmp_path: Path) -> list[OdooInstance]:
    document = inventory_file.read(ROOT / "inventory.example.yaml")
    return inventory.instances(document, Secrets(tmp_path / "secrets.yaml"))


def test_the_list_is_one_document_with_its_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instances, secrets = _instances(tmp_path), Secrets(tmp_path / "none.yaml")

    assert quiet.listed(Namespace(json=True), instances, secrets, Settings()) == 0

    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["command"]) == (1, "list")
    assert [each["instance"] for each in said["instances"]] == [each.name for each in instances]


def test_a_check_says_sizes_in_bytes_times_in_utc_and_null_for_what_is_not_known() -> None:
    seen = Measured(
        "vps_1", NOON.timestamp(), served="origin", roles="r", lag_bytes=5 << 20,
        synced_at=NOON.timestamp() - 60,
    )  # fmt: skip
    away = Measured("vps_2", NOON.timestamp(), wrong=("due did not answer",))

    document = quiet.check_document([(seen, "amber", ["no drill"]), (away, "red", ["away"])])

    said = json.loads(machine.text(document))
    one, two = said["instances"]
    assert said["colour"] == "red"
    assert (one["lag_bytes"], one["measured_at"]) == (5242880, "2026-11-28T12:00:00Z")
    assert one["files_synced_at"] == "2026-11-28T11:59:00Z"
    assert (one["served_from"], one["streaming"], one["why"]) == ("origin", False, ["no drill"])
    assert (two["served_from"], two["streaming"], two["lag_bytes"]) == (None, None, None)


def test_a_check_of_nothing_has_no_colour() -> None:
    assert quiet.check_document([]).colour is None


def test_a_plan_says_the_loss_as_figures() -> None:
    loss = Exposure(
        lossless=False, seconds=40.3, about_bytes=118 << 20,
        last_commit="2026-11-28T12:18:06.500+00:00",
    )  # fmt: skip
    seen = Situation("2026-11-28T12:18:46Z", SILENT, "standby", streaming=False, exposure=loss)
    made = Plan("failover", seen, {**NAMES, "instance": "vps_1", "origin": "uno"})

    said = json.loads(machine.text(quiet.plan_document(made)))

    assert said["measured_at"] == "2026-11-28T12:18:46Z"
    assert (said["kind"], said["asks_whether_down"]) == ("forced", True)
    assert said["loss"] == {
        "lossless": False, "sentence": str(loss), "after": "2026-11-28T12:18:06Z",
        "seconds": 40.3, "about_bytes": 123731968,
    }  # fmt: skip
    assert said["origin"] == {"server": "uno", "role": "silent"}
    assert "promote the cluster on due" in said["then"]


@pytest.mark.parametrize(("refusals", "code"), [((), 0), (("nobody streams",), 3)])
def test_a_plan_for_programs_ends_as_the_page_does(
    refusals: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    seen = Situation(
        "2026-11-28T12:18:46Z", "primary", "standby", streaming=True, exposure=Exposure.none(),
        refusals=refusals,
    )  # fmt: skip
    made = Plan("failover", seen, {**NAMES, "instance": "vps_clientes_1"})
    monkeypatch.setattr(break_glass, "drawn", lambda *_: made)
    path, secrets = tmp_path / "inventory.yaml", Secrets(tmp_path / "secrets.yaml")
    path.write_text((ROOT / "inventory.example.yaml").read_text())
    secrets.of("vps_clientes_1")
    secrets.save()

    given = ["--inventory", str(path), "plan", "failover", "vps_clientes_1", "--json"]

    assert cli.main(given) == code
    said = json.loads(capsys.readouterr().out)
    assert said["refusals"] == list(refusals)
    assert said["loss"]["after"] is None


def test_a_document_moves_no_cursor() -> None:
    name = "vps\x1b[2J\u202eñ"
    server = machine.Server(name=name, address="x", cluster="13/main")
    row = machine.Listed(instance=name, origin=server, recovery=server, domains=())

    text = machine.text(machine.ListDocument(instances=(row,)))

    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["instances"][0]["instance"] == name
