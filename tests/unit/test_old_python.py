"""What runs on the hosts runs on Python 3.8: there a list of something is a word of typing's."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT_IN = {"dict", "frozenset", "list", "set", "tuple", "type", "deque"}
PROGRAMS = [
    *sorted((ROOT / "tasks" / "programs").rglob("*.py")),
    *(ROOT / "blocks" / f"{name}_program.py" for name in ("relay", "turn")),
]


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """Give every node but annotations, which are never evaluated."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from evaluated(child)


def too_new(text: str) -> list[str]:
    return [
        ast.unparse(node)
        for node in evaluated(ast.parse(text))
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in BUILT_IN
    ]


@pytest.mark.parametrize("text", ["a = list[str]()", "B = dict[str, int]"])
def test_the_scan_sees_a_list_of_something(text: str) -> None:
    assert len(too_new(text)) == 1


def test_the_scan_passes_over_annotations_and_other_names() -> None:
    assert too_new("def f(x: list[str]) -> set[str]:\n    y: dict[str, str] = kept[x]\n") == []


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_program_asks_python_3_8_for_a_list_of_something(path: Path) -> None:
    text = path.read_text()
    assert too_new(text) == []
    assert "from __future__ import annotations" in text or path.name == "__init__.py"
