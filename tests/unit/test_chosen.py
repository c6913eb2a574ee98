"""Records of then: what is asked of Odoo has its form, and what comes of it is no formula."""

import csv
import json
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from blocks.errors import Refused
from tasks.past.chosen import choose
from tasks.programs import odoo_records
from tasks.programs.bringback import table as made

DOMAIN = "[('name', '=', 'Ana')]"


@pytest.mark.parametrize(
    "model",
    ["", "Res.Partner", "res partner", "res.partner; DROP TABLE x", "res..partner", "a" * 200,
     "res.partner\n", "__import__('os')"],
)  # fmt: skip
def test_what_is_no_name_of_a_model_is_refused(model: str) -> None:
    with pytest.raises(Refused, match="is no name of a model"):
        choose(model, DOMAIN, "")


@pytest.mark.parametrize(
    "domain",
    ["name = Ana", "('name', '=', 'Ana')", "[('name', '=', open('/etc/passwd'))]", "{}",
     "[('name', 'inselect', ('SELECT 1', []))]", "[('na\"me', '=', 1)]", "[('name', '=')]",
     "['or']", "[[[[]]]]", "[('id', 'in', [[1]])]", "[('name', '=', {1: 2})]", "[" * 500,
     "[('name', '=', b'x')]", "[('x', '=', 1e999)]", f"[('name', '=', '{'x' * 20_000}')]"],
)  # fmt: skip
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(Refused, match="is no domain"):
        choose("res.partner", domain, "")


@pytest.mark.parametrize("ids", ["0", "-1", "1;2", "1,,2", "a", "99999999999", "2147483648"])
def test_what_are_no_ids_is_refused(ids: str) -> None:
    with pytest.raises(Refused, match="are no ids of records"):
        choose("res.partner", "", ids)


def test_a_domain_or_ids_and_not_both() -> None:
    for domain, ids in ((DOMAIN, "1"), ("", ""), (" ", " ")):
        with pytest.raises(Refused, match="one of the two"):
            choose("res.partner", domain, ids)
    assert choose("res.partner", "[]", "").domain == []


class Model:
    """As much of a model of Odoo's as is asked of it."""

    def __init__(self, kinds: dict[str, str], rows: list[dict[str, Any]], **more: bool) -> None:
        self._fields = {
            name: SimpleNamespace(type=kind, store=name != "computed")
            for name, kind in kinds.items()
        }
        self.rows = rows
        self._abstract, self._transient = more.get("abstract", False), more.get("transient", False)
        self.asked: list[object] = []

    def with_context(self, **context: object) -> Self:
        self.asked.append(context)
        return self

    def search(self, domain: object, *, order: str, limit: int) -> "Model":
        self.asked += [domain, order]
        return self[:limit]

    def __getitem__(self, part: slice) -> "Model":
        found = Model({}, self.rows[part])
        found._fields = self._fields
        return found

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[int]:
        return [row["id"] for row in self.rows]

    def read(self, names: list[str]) -> list[dict[str, Any]]:
        return [{"id": row["id"], **{name: row[name] for name in names}} for row in self.rows]


KINDS = {
    "id": "integer", "name": "char", "active": "boolean", "country_id": "many2one",
    "tag_ids": "many2many", "line_ids": "one2many", "image": "binary", "computed": "char",
    "born": "date", "seen": "datetime", "limit": "float",
}  # fmt: skip
SEEN = datetime.fromisoformat("2026-11-24 20:59:30.000005")
ROWS: list[dict[str, Any]] = [
    {"id": 7, "name": "=1+1", "active": True, "country_id": (69, "Spain"), "tag_ids": [1, 2],
     "born": date(2000, 1, 2), "seen": SEEN, "limit": -5.5},
    {"id": 9, "name": False, "active": False, "country_id": False, "tag_ids": [], "born": False,
     "seen": False, "limit": 0.0},
]  # fmt: skip


def asked(folder: Path, **more: object) -> dict[str, Any]:
    out = folder / "records.csv"
    return {
        "model": "res.partner", "domain": [["id", "in", [7, 8, 9]]], "ids": [7, 8, 9],
        "most": 10, "bytes": 10_000, "output": f"{out}.raw", "said": f"{out}.said", **more,
    }  # fmt: skip


def test_records_are_written_as_odoo_imports_them_and_no_text_is_a_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = Model(KINDS, ROWS)
    (tmp_path / "asked.json").write_text(json.dumps(asked(tmp_path)))
    monkeypatch.setenv("RELEVO_ASKED", str(tmp_path / "asked.json"))

    odoo_records.main({"res.partner": partner})

    assert partner.asked == [{"active_test": False}, [["id", "in", [7, 8, 9]]], "id"]
    assert made.table(str(tmp_path / "records.csv")) == {"rows": 2, "lacking": [8]}
    with (tmp_path / "records.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == [
        ".id", "active", "born", "country_id/.id", "country_id (name)", "limit", "name", "seen",
        "tag_ids/.id",
    ]  # fmt: skip
    assert rows == [
        ["7", "True", "2000-01-02", "69", "Spain", "-5.5", "'=1+1", "2026-11-24 20:59:30", "1,2"],
        ["9", "False", "", "", "", "0.0", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("env", "more", "refused"),
    [
        ({}, {}, "unknown"),
        ({"res.partner": Model(KINDS, ROWS, transient=True)}, {}, "nothing-kept"),
        ({"res.partner": Model(KINDS, ROWS, abstract=True)}, {}, "nothing-kept"),
        ({"res.partner": Model(KINDS, ROWS)}, {"most": 1}, "too-many"),
        ({"res.partner": Model(KINDS, ROWS)}, {"bytes": 10}, "too-big"),
    ],
)
def test_what_cannot_be_read_is_said(
    tmp_path: Path, env: dict[str, Model], more: dict[str, object], refused: str
) -> None:
    assert odoo_records.answer(env, asked(tmp_path, **more)) == {"refused": refused}


def test_what_a_customer_s_module_raises_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asked.json").write_text(json.dumps(asked(tmp_path)))
    monkeypatch.setenv("RELEVO_ASKED", str(tmp_path / "asked.json"))
    odoo_records.main({"res.partner": Model({**KINDS, "gone": "char"}, ROWS)})
    found = made.table(str(tmp_path / "records.csv"))
    assert found == {"refused": "", "complaint": "KeyError: 'gone'"}


def test_an_odoo_that_says_nothing_or_nonsense_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    assert made.table(str(path)) == {"silent": True}
    Path(f"{path}.said").write_text("{")
    assert made.table(str(path)) == {"silent": True}
    Path(f"{path}.said").write_text('{"lacking": []}')
    Path(f"{path}.raw").symlink_to("/etc/passwd")
    assert made.table(str(path)) == {"refused": "too-big"}
    assert not path.exists()
