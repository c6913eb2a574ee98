"""Statements are constants: no value and no name ever becomes text of one; psycopg has one door."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_layers import ORDER, ROOT, imports, modules

# What begins a statement, wherever such a text stands.
SQL = re.compile(
    r"^\s*(SELECT\b|INSERT INTO\b|UPDATE \w+ SET\b|DELETE FROM\b|(CREATE|ALTER|DROP|COMMENT ON) ("
    r"ROLE|DATABASE|TABLE|FUNCTION|SYSTEM)\b|GRANT \w+|REVOKE \w+|SET (SESSION|LOCAL|ROLE|\w+ [=t])"
    r"|CHECKPOINT\b|COPY \(?|LOCK TABLE\b|DO \$)"
)
SEAM = ("query", "value", "execute", "ask", "each")
# Each runs one constant text, with settings of ours, where the relay cannot: in one go with another
# program, over the network as the other host does it, or without us.
PSQL = {
    "tasks/postgres/observe.py", "tasks/filestore/documents.py", "tasks/logins/login.py",
    "tasks/authority/guard.py",
    "tasks/synchronous/synchronous.py", "tasks/programs/divergence/cluster.py",
    "tasks/programs/archive/cluster.py", "tasks/programs/bringback/__main__.py",
}  # fmt: skip
# These run what they are configured with, and the keeper writes its own word beside a role's name,
# which the door (blocks/names.py) lets through for its letters: it has no libpq.
GIVEN = {"tasks/programs/guard/cluster.py", "tasks/programs/synchronous/keeper.py"}


def built(tree: ast.AST) -> Iterator[str]:
    """Name every statement that is put together of anything but constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            if SQL.match(_beginning(node)):
                yield f"line {node.lineno}: {ast.unparse(node)[:80]}"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
            if SQL.match(_beginning(node.left)):
                yield f"line {node.lineno}: {ast.unparse(node)[:80]}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            verb = node.func.attr
            parts: list[ast.AST] = [node.func.value]
            if verb == "join":
                parts = [each for arg in node.args for each in ast.walk(arg)]
            words = {"format", "format_map", "join", "replace", "substitute", "safe_substitute"}
            if verb in words and any(SQL.match(_beginning(each)) for each in parts):
                yield f"line {node.lineno}: {ast.unparse(node)[:80]}"


def _beginning(node: ast.AST) -> str:
    """The text with which an expression begins, as far as it can be read."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr) and node.values:
        return _beginning(node.values[0])
    if isinstance(node, ast.BinOp):
        return _beginning(node.left)
    return ""


def asked(tree: ast.Module) -> Iterator[str]:
    """Name every question of the seam whose text is not a constant, or made by compose()."""
    given = _assigned(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        receiver = ast.unparse(node.func.value)
        if node.func.attr in SEAM and receiver.split(".")[-1] in {"cluster", "leader_cluster"}:
            text = node.args[1] if len(node.args) > 1 else None
            if text is None or not _constant(text, given):
                yield f"line {node.lineno}: {ast.unparse(node)[:80]}"


def _assigned(tree: ast.AST) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _constant(text: ast.expr, given: dict[str, list[ast.expr]]) -> bool:
    match text:
        case ast.Attribute():  # another module's constant
            good = text.attr.isupper()
        case ast.Call():
            good = ast.unparse(text.func) == "compose" and _constant(text.args[0], given)
        case ast.Subscript():
            good = _constant(text.value, given)
        case ast.Dict():
            good = all(_constant(each, given) for each in text.values)
        case ast.Name():
            values = given.get(text.id, [])
            good = all(_constant(each, given) for each in values)
            good = good and (bool(values) or text.id.isupper() or text.id in LOOPS)
        case _:
            good = isinstance(text, ast.Constant) and isinstance(text.value, str)
    return good


LOOPS = {"grant"}  # of a table of constants: login.REWIND_FUNCTIONS


@pytest.mark.parametrize("layer", ORDER)
def test_no_value_and_no_name_becomes_text_of_a_statement(layer: str) -> None:
    for path in modules(layer):
        tree = ast.parse(path.read_text())
        if str(path.relative_to(ROOT)) not in GIVEN:
            assert not list(built(tree)), path
        if layer != "blocks":
            assert not list(asked(tree)), path


@pytest.mark.parametrize(
    "text",
    [
        "sql = f\"SELECT pg_drop_replication_slot('{name}')\"",
        "sql = \"SELECT setting FROM pg_settings WHERE name = '%s'\" % name",
        'sql = "SELECT setting FROM pg_settings WHERE name = \'" + name',
        "sql = \"ALTER ROLE {} LOGIN PASSWORD '{}'\".format(role, password)",
        "sql = ' AND '.join(f'SELECT {each}' for each in names)",
        "sql = f'GRANT EXECUTE ON FUNCTION {function} TO {role}'",
        'sql = f"""\nSELECT * FROM {table}\n"""',
    ],
)
def test_a_statement_that_is_put_together_would_be_found(text: str) -> None:
    assert list(built(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "place.cluster.query(shell, made(name))",
        "sql = made(name)\ncluster.value(shell, sql)",
        "cluster.execute(shell, f'{verb} ROLE x')",
        "cluster.execute(shell, compose(f'{verb} ROLE x', role=Identifier(role)))",
    ],
)
def test_a_question_that_is_no_constant_would_be_found(text: str) -> None:
    assert list(asked(ast.parse(text)))


def test_constants_are_let_through() -> None:
    said = (
        "SLOT = 'SELECT 1 WHERE a = $1'\nsql = 'SELECT ' '2'\n"
        "cluster.query(shell, SLOT, f'{name}_clone')\ncluster.value(shell, sql)\n"
        "cluster.execute(shell, replication.MARK)\n"
        "cluster.execute(shell, compose('DROP ROLE {r}', r=Identifier(name)))\n"
        "log(f'SELECTED {name}')\n"
    )
    tree = ast.parse(said)
    assert not [*built(tree), *asked(tree)]


def test_psycopg_has_one_door() -> None:
    users = {
        str(path.relative_to(ROOT))
        for layer in ORDER
        for path in modules(layer)
        if any(name.split(".")[0] == "psycopg" for name in imports(path))
    }
    assert users == {"blocks/session.py", "blocks/sql.py"}


def test_psql_is_started_where_a_reason_stands_and_with_settings_of_ours() -> None:
    users: dict[str, str] = {}
    for path in [path for layer in ORDER for path in modules(layer)]:
        text = path.read_text()
        strings = [
            node.value for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]  # fmt: skip
        if any(re.search(r'(^|/)psql($|")|"\$bin/psql"', each) for each in strings):
            users[str(path.relative_to(ROOT))] = text
    assert set(users) == PSQL | GIVEN
    for name in PSQL:
        text = users[name]
        pinned = "PGOPTIONS" in text or name == "tasks/logins/login.py"  # that one proves a login
        assert pinned, f"{name} leaves its settings to others"
        assert "-X" in text, f"{name} reads a ~/.psqlrc"


def test_what_the_scan_reads_is_there() -> None:
    """One that finds no file would find nothing wrong either."""
    assert len(modules("tasks")) > 50
    assert sum(text.count("cluster.query(") for text in map(Path.read_text, modules("tasks"))) > 15


def test_no_program_says_to_postgresql_that_it_is_whoever_runs_it() -> None:
    """pg_isready begins a session of root's in a database root: a FATAL in the log each time."""
    said = [
        str(path.relative_to(ROOT))
        for folder in ("blocks", "tasks", "flows", "deployments")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sh"} and "pg_isready" in path.read_text()
    ]
    assert said == []
