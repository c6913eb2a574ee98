"""Every sentence that the product can say: `python -m tests.sentences [FOLDER ...]`.

One line each: the file, the line, what it is (a hint, a step, a flow's docstring, or text), and the
sentence with its placeholders. What is joined over several lines is one sentence.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("blocks", "tasks", "flows", "deployments")
OF_CODE = re.compile(r"^(SELECT|WITH|ALTER|CREATE|DROP|SET|#!|\^)|[;|&]$|\\[dSsb]|^-")


@dataclass(frozen=True)
class Sentence:
    """One of them, and where it stands."""

    file: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: [{self.kind}] {self.text}"


def sentences(folders: tuple[str, ...] = FOLDERS) -> list[Sentence]:
    """All sentences in the Python files of these folders."""
    files = sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return [sentence for file in files for sentence in _of_file(file)]


def written(node: ast.expr) -> str | None:
    """The text of a string, with {placeholders}; nothing where it is no string."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_piece(value) for value in values)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            both = written(left), written(right)
            return None if both == (None, None) else "".join(text or "{...}" for text in both)
    return None


def _piece(value: ast.expr) -> str:
    if isinstance(value, ast.FormattedValue):
        return "{" + ast.unparse(value.value) + "}"
    return str(value.value) if isinstance(value, ast.Constant) else ""


def _of_file(file: Path) -> Iterator[Sentence]:
    tree = ast.parse(file.read_text())
    name = str(file.relative_to(ROOT))
    silent = silent_strings(tree, flows=name.startswith("flows/"))
    yield from (
        Sentence(name, node.lineno, kind, " ".join(text.split()))
        for node, kind, text in walk(tree, silent)
    )


def walk(
    node: ast.AST, silent: set[int], kind: str = "text"
) -> Iterator[tuple[ast.expr, str, str]]:
    """Each string once, whole: what is inside of one is not listed again."""
    if id(node) in silent:
        return
    if isinstance(node, ast.expr) and (text := written(node)) is not None:
        if kind != "text" or _is_sentence(text):
            yield node, kind, text
        return
    for child in ast.iter_child_nodes(node):
        yield from walk(child, silent, _kind(node, child, kind))


def _kind(node: ast.AST, child: ast.AST, kind: str) -> str:
    if isinstance(child, ast.keyword):
        return "hint" if child.arg == "hint" else "text"
    if isinstance(node, ast.Call) and child is not node.func:
        name = ast.unparse(node.func).rsplit(".", 1)[-1]
        return "step" if name == "step" else "text"
    return kind if isinstance(node, ast.keyword | ast.IfExp) else "text"


def silent_strings(tree: ast.Module, *, flows: bool) -> set[int]:
    """The docstrings that nobody is shown: all but those of flows."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
            continue
        if not isinstance(body[0].value, ast.Constant):
            continue
        shown = flows and isinstance(node, ast.FunctionDef) and node.decorator_list
        if not shown:
            found.add(id(body[0].value))
    return found


def _is_sentence(text: str) -> bool:
    words = [word for word in text.split() if re.match(r"[a-z']+[,.:;]?$", word)]
    return len(words) > 2 and not OF_CODE.search(text.strip())


if __name__ == "__main__":
    for each in sentences(tuple(sys.argv[1:]) or FOLDERS):
        print(each)
