"""Nothing gets its final name before the disk has its content: a scan for renames without a sync.

A function that renames a file, or writes one, has to sync as well, or stand below with a reason: a
power cut may keep the name and lose what was to be in the file.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCANNED = ("blocks", "tasks", "flows", "deployments")
SYNCS = {"fsync", "fdatasync", "_fsync", "sync", "sync_disk", "syncfs", "copied"}
MODULES = {"os", "shutil"}
ON_HOSTS = {"move", "swap"}  # of tasks/host/files, which syncs names and not what is below them
RENAMES = {"rename", "replace", "renames", "move"}
WRITES = {"write_text", "write_bytes"}
# Where a rename or a write needs no sync of its own, and why.
EXCEPTIONS = {
    "tasks/removal/inherited.py:keep": "a folder of what came in synced, with its second name",
    "tasks/removal/inherited.py:adopt": "the same, with its third",
    "tasks/archive/left.py:keep": "a folder of what came in synced, with its second name",
    "tasks/archive/left.py:adopt": "the same, with its first again",
    "tasks/serving/site_files.py:_set_aside": "a folder of what was synced when it was installed",
    "tasks/serving/site_files.py:adopt": "the same, with its third name",
    "tasks/standby/rejoin.py:_replace": "pg_basebackup syncs what it has copied",
    "tasks/programs/files/tree.py:name": "synced by rename and exchange, when all names are given",
    "tasks/programs/filestore/state_file.py:StateFile.put_aside": "what is spoiled, for evidence",
    "deployments/reference.py:": "a page of this repository",
    "deployments/forkserver.py:main": "a lock, in which nothing stands",
    "tasks/programs/filestore/__main__.py:follow.tell": "under /run, which no power cut survives",
    "tasks/programs/filestore/disk.py:move": "a name for what the disk has: Landing syncs before",
    "tasks/programs/gate/disk.py:move": "a name for what the disk has: Files.settle syncs before",
    "tasks/programs/archive/keeper.py:Keeper.begin": "a log, read when a base backup failed",
    "tasks/programs/archive/store.py:Store.put_aside": "what is spoiled, for evidence",
    "tasks/programs/divergence/cluster.py:started": "of a throw-away cluster",
    "tasks/programs/divergence/cluster.py:save": "synced before the summary is written",
    "tasks/programs/spreadsheet.py:tame_file": "synced by who asks for it",
    "tasks/programs/filestore/landing.py:Landing.admit": "beside; synced by Landing.settle",
    "tasks/programs/gate/disk.py:store": "beside; synced by Files.settle",
    "tasks/programs/gate/service.py:Service.__init__": "the client's pipe",
    "tasks/programs/guard/record.py:Record.signed_by": "a pipe to ssh-keygen",
}


def calls(tree: ast.AST, where: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the function that it stands in."""
    for node in ast.iter_child_nodes(tree):
        name = where
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{where}.{node.name}".strip(".")
        if isinstance(node, ast.Call):
            yield name, node
        yield from calls(node, name)


def is_change(call: ast.Call) -> bool:
    """Tell a rename of a file, or a write in its place, from what has the same name.

    >>> [is_change(call) for _, call in calls(ast.parse('os.rename(a, b); a.replace("x", "y")'))]
    [True, False]
    >>> [is_change(call) for _, call in calls(ast.parse("beside.replace(path); p.write_text(t)"))]
    [True, True]
    """
    if _name(call) == "open" and any(_is_mode(each) for each in call.args):
        return True
    if not isinstance(call.func, ast.Attribute):
        return False
    name, of = call.func.attr, call.func.value
    if name in WRITES:
        return True
    if isinstance(of, ast.Name) and of.id in MODULES:
        return name in RENAMES
    if isinstance(of, ast.Name) and of.id == "files" and name in ON_HOSTS:
        return True
    return name in {"rename", "replace"} and len(call.args) == 1 and not call.keywords


def _is_mode(argument: ast.expr) -> bool:
    """Tell how a file is opened to be written: "w", "wb", "a", or by its flags."""
    if isinstance(argument, ast.Constant):
        return argument.value in {"w", "wb", "a", "ab", "x", "xb"}
    return any(isinstance(n, ast.Attribute) and n.attr == "O_CREAT" for n in ast.walk(argument))


def unsynced(text: str) -> list[str]:
    """Name the functions that rename or write, and do not sync."""
    found = list(calls(ast.parse(text)))
    syncing = {where for where, call in found if _name(call) in SYNCS}
    changing = dict.fromkeys(where for where, call in found if is_change(call))
    return [where for where in changing if where not in syncing]


def _name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def sources() -> Iterator[Path]:
    for folder in SCANNED:
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_whatever_is_renamed_was_synced() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{where}"
        for path in sources()
        for where in unsynced(path.read_text())
    }
    assert found - {*EXCEPTIONS} == set()


def test_no_exception_is_left_over() -> None:
    """An exception for what is not there hides what comes to be there."""
    there = {
        f"{path.relative_to(ROOT)}:{where}"
        for path in sources()
        for where, call in calls(ast.parse(path.read_text()))
        if is_change(call)
    }
    assert {*EXCEPTIONS} - there == set()


# In shell, which runs on the hosts: `mv A B`, or `> A` under a final name.
MOVE = re.compile(r"^\s*mv\s", re.MULTILINE)


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").rglob("*.sh")), ids=lambda p: p.name)
def test_a_script_that_renames_syncs(path: Path) -> None:
    text = path.read_text()
    assert not MOVE.search(text) or "sync " in text


def test_shell_in_python_that_renames_syncs() -> None:
    without = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and MOVE.search(node.value)
        and "sync " not in node.value
        and not path.name.startswith("by_hand")  # which tells a person what to type
    ]
    assert without == []


def test_the_scan_sees_what_it_is_for() -> None:
    text = "def f():\n    beside.write_text(x)\n    beside.replace(path)\n"
    assert unsynced(text) == ["f"]
    assert unsynced(text + "    os.fsync(folder)\n") == []
    assert unsynced("def f():\n    files.swap(shell, fresh, path, aside)\n") == ["f"]
