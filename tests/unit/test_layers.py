"""The shape holds: deployments -> flows -> tasks -> blocks, and pure code stands apart."""

import ast
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = ("blocks", "tasks", "flows", "deployments")
# Each floor of tasks imports those below it, and none above: what Prefect needs stands on top.
FLOORS = (
    "programs", "language", "run", "host", "install", "postgres", "records", "notices", "logins",
    "odoo", "build", "standby", "synchronous", "filestore", "archive", "serving", "recovery",
    "rounds", "receipts", "authority", "readiness", "past", "discovery", "doctor", "board",
    "byhand", "plan", "removal", "orchestrator",
)  # fmt: skip
MOST_FILES, MOST_LINES = 12, 300
MOST_LINES_OF_A_FLOW, SHORT = 30, 16
# Values, texts and decisions: nothing in them asks a host, so a test needs no double.
PURE = {
    "archive": "cost kept place proof unit_file",
    "authority": "guard_files situation",
    "board": "alarms table words",
    "build": "freeze programs_compared",
    "byhand": "by_hand by_hand_gone by_hand_home by_hand_out by_hand_page by_hand_rejoin "
    "by_hand_step by_hand_way",
    "doctor": "findings",
    "filestore": "following rsync rsync_gate verdict",
    "discovery": "addresses entry listening sources",
    "host": "confine managed_block source sshd_settings systemd_unit",
    "install": "program_config release zipapp",
    "logins": "conninfo pgpass scram ssh",
    "odoo": "dialect odoo_conf odoo_options odoo_start of_the_server started",
    "plan": "aftermath_read doing summary words",
    "postgres": "auto_conf commands controldata lsclusters pg_hba postgresql_conf wal",
    "readiness": "compatibility_rules drill_commands",
    "receipts": "receipt signers",
    "recovery": "ports",
    "records": "commits loss",
    "removal": "rename_words words",
    "rounds": "words",
    "run": "moments outcome tags",
    "serving": "nginx nginx_read sites x509",
    "standby": "divergence way",
    "synchronous": "files",
}
OURS = {*ORDER, "tests"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder: str) -> list[Path]:
    path = ROOT / folder
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("layer", ORDER)
def test_a_layer_imports_only_itself_and_those_below(layer: str) -> None:
    allowed = {*ORDER[: ORDER.index(layer) + 1]}
    for path in modules(layer):
        used = {name.split(".")[0] for name in imports(path)} & OURS
        assert used <= allowed, f"{path} imports {used - allowed}"


def floor(name: str) -> int:
    return FLOORS.index(name.split(".")[1])


def at_once(path: Path) -> Iterator[str]:
    """Name what a module imports when it is imported itself."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", FLOORS)
def test_a_floor_of_tasks_imports_none_above_it(folder: str) -> None:
    for path in modules(f"tasks/{folder}"):
        for name in at_once(path):
            if name.startswith("tasks."):
                assert floor(name) <= FLOORS.index(folder), f"{path} imports {name}"


def test_every_subject_has_a_floor_and_not_too_many_rooms() -> None:
    there = {path.name: path for path in (ROOT / "tasks").iterdir() if path.is_dir()}
    assert set(there) - {"__pycache__"} == set(FLOORS)
    assert [path.name for path in (ROOT / "tasks").glob("*.py")] == ["__init__.py"]
    for name, path in there.items():
        if name != "programs":
            rooms = {each.name for each in path.glob("*.py")} - {"__init__.py"}
            assert len(rooms) <= MOST_FILES, f"{name}: {sorted(rooms)}"


@pytest.mark.parametrize("layer", ORDER)
def test_no_file_has_more_lines_than_one_subject_needs(layer: str) -> None:
    for path in modules(layer):
        lines = len(path.read_text().splitlines())
        assert lines <= MOST_LINES, f"{path} has {lines} lines"


def functions(layer: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in modules(layer):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(ROOT)} {node.name}", node


def length(node: ast.FunctionDef, *, body_alone: bool = False) -> int:
    """Count the lines of a function without its decorators and its docstring."""
    first, last = node.body[0], node.end_lineno or node.lineno
    documented = ast.get_docstring(node) is not None
    ends = (first.end_lineno or first.lineno) if documented else first.lineno - 1
    signature = 0 if body_alone else first.lineno - node.lineno
    return signature + last - ends


def test_a_flow_fits_on_a_screen() -> None:
    for name, node in functions("flows"):
        lines = length(node, body_alone=True)
        assert lines <= MOST_LINES_OF_A_FLOW, f"{name} has {lines} lines"


def test_nine_of_ten_functions_are_short() -> None:
    found = sorted((length(node), name) for layer in ORDER for name, node in functions(layer))
    at = math.ceil(len(found) * 0.9) - 1
    long = "\n".join(f"{lines} {name}" for lines, name in found[at - 20 :] if lines > SHORT)
    assert found[at][0] <= SHORT, f"shorten some of these:\n{long}"


@pytest.mark.parametrize("folder", PURE)
def test_pure_code_imports_no_prefect_and_no_ssh(folder: str) -> None:
    for module in PURE[folder].split():
        path = ROOT / "tasks" / folder / f"{module}.py"
        for name in imports(path):
            assert name.split(".")[0] not in {"prefect", "paramiko", "psycopg", "subprocess"}, path
            assert not name.startswith(
                ("tasks.run.step", "blocks.shell", "blocks.ssh", "blocks.host")
            ), path


def test_programs_for_the_hosts_need_nothing_but_python() -> None:
    of_blocks = [ROOT / "blocks" / f"{name}_program.py" for name in ("relay", "turn")]
    for path in [*modules("tasks/programs"), *of_blocks]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert str(node.module).split(".")[0] in sys.stdlib_module_names, path


def test_paramiko_speaks_in_one_place_only() -> None:
    users = {
        str(path.relative_to(ROOT))
        for layer in ORDER
        for path in modules(layer)
        if any("paramiko" in {name.split(".")[0], name.split(".")[-1]} for name in imports(path))
    }
    names = ("host_key", "paramiko_alone", "shell", "ssh", "ssh_channel", "ssh_login")
    seam = {f"blocks/{name}.py" for name in names}
    assert users == {*seam, "tasks/host/lock.py"}


OF_PREFECT = {"prefect", "httpx"}
WITH_PREFECT = {
    "blocks/runtime.py",  # asks whether it is there
    "deployments/apply.py", "deployments/automations.py", "deployments/forms.py",
    "deployments/deployed.py", "deployments/server.py",
    "deployments/forkserver.py",  # it is what imports Prefect, so that a run need not
}  # fmt: skip
LOADED_AT_ONCE = {  # which only a server's run needs
    "flows/board.py", "flows/copies.py", "flows/watch.py", "deployments/apply.py",
    "deployments/deployed.py",
}  # fmt: skip


def test_prefect_is_spoken_to_by_what_a_shell_never_loads() -> None:
    users = {
        str(path.relative_to(ROOT))
        for layer in ORDER
        for path in modules(layer)
        if any(name.split(".")[0] in OF_PREFECT for name in imports(path))
    }
    assert {each for each in users if not each.startswith("tasks/orchestrator/")} == WITH_PREFECT


def test_the_desk_of_prefect_is_imported_where_it_is_needed_and_not_before() -> None:
    users = {
        str(path.relative_to(ROOT))
        for layer in ORDER
        for path in modules(layer)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tasks.orchestrator")
    }
    ours = {each for each in users if not each.startswith("tasks/orchestrator/")}
    assert ours == LOADED_AT_ONCE


def test_no_step_asks_whether_a_server_is_there() -> None:
    for path in [p for layer in ORDER for p in modules(layer)]:
        name = str(path.relative_to(ROOT))
        if name not in {"blocks/runtime.py", "tasks/run/desk.py"}:
            assert "runtime.SHELL" not in path.read_text(), name
            assert "blocks.runtime.SHELL" not in set(imports(path)), name


def test_events_leave_by_one_door_which_is_shut_without_a_server() -> None:
    users = {
        str(path.relative_to(ROOT))
        for layer in ORDER
        for path in modules(layer)
        if "emit_event" in path.read_text()
    }
    assert users == {"tasks/orchestrator/page.py"}


def test_flows_tell_a_story_and_know_no_command() -> None:
    for path in modules("flows"):
        for name in imports(path):
            assert name.split(".")[0] not in {"paramiko", "psycopg"}, path
            *_, folder, module = name.split(".")
            assert module not in PURE.get(folder, "").split(), f"{path} imports {name}"


def test_each_flow_is_named_as_on_the_card() -> None:
    spelling = {"setup_primary", "configure_ssh", "build_service"}
    for path in modules("flows"):
        if path.stem != "__init__":
            name = path.stem
            if path.stem in spelling or path.stem.endswith("_filestore"):
                name = name.replace("_", "-")
            assert f'@flow(name="{name}"' in path.read_text(), path


def test_nothing_trusts_an_unknown_host_or_the_whole_world() -> None:
    for path in [p for layer in ORDER for p in modules(layer)]:
        text = path.read_text()
        for word in ("AutoAdd" + "Policy", "WarningPolicy", "0.0.0.0" + "/0", "shell=" + "True"):
            assert word not in text, f"{path}: {word}"
