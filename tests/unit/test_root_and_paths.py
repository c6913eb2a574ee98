"""Root handles files through tasks/host/files alone: no command in a folder of somebody else.

A command line that begins with a file command, or a script that has one in it, must be run as a
user (`user=`), or stand below with the reason why root may use a path there.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHANGE = {
    "chgrp", "chmod", "chown", "cp", "dd", "install", "ln", "mkdir", "mknod", "mktemp", "mv", "rm",
    "rmdir", "sed", "setfacl", "shred", "tee", "touch", "truncate", "unlink",
}  # fmt: skip
READ = {"cat", "du", "find", "grep", "head", "openssl", "sha1sum", "sha256sum", "tail", "tar"}
ASK = {"test", "["}
# What a pipe filters is no file.
IN_SCRIPTS = "|".join(map(re.escape, sorted({*CHANGE, *ASK, "cat", "find"})))
SCRIPT = re.compile(rf"(?:^|[;&|({{`!]|\b(?:then|do|else|if)\b)\s*({IN_SCRIPTS})\s+(.*)")
ASKS_OF_WORDS = re.compile(r"^(-[nz]\s|!?\s*-[nz]\s|\"[^\"]*\"\s*!?=)")
MAY = {
    "tasks/readiness/drill_commands.py VIEW": "/run/relevo-drill is root's",
    "tasks/plan/pages.py find": "/var/lib/relevo is root's",
    "tasks/plan/pages.py touch": "/var/lib/relevo is root's",
    "tasks/recovery/confinement.py CERTIFICATE": "/var/lib/relevo/NAME/postgres is root's",
    "tasks/recovery/confinement.py READABLE": "/var/lib/relevo/NAME/postgres is root's",
    "tasks/authority/guard.py cat /etc/ssh/ssh_host_*_key.pub": "/etc/ssh is root's",
    "tasks/host/job.py START": "/var/log/relevo is root's",
    "tasks/host/job.py tail": "/var/log/relevo is root's",
    "tasks/filestore/engine.py install": "/var/log/relevo is root's",
    "tasks/host/together.py install": "a verb of the program of tasks/host/files",
    "tasks/host/layout.py CLOSED": "asks whether a user may pass, as that user",
    "tasks/host/lock.py HOLD": "/run/relevo is root's",
    "tasks/host/lock.py HOLDER": "/run/relevo is root's",
    "tasks/postgres/observe.py LOOK": "reads what is root's, and asks whose a folder is",
    "tasks/discovery/program.py BY_PATH": "/proc is the kernel's",
    "tasks/odoo/odoo_settings.py STARTED": "/proc is the kernel's",
    "tasks/odoo/service.py LINKED": "/etc/systemd/system is root's",
    "tasks/odoo/service.py STRANGERS": "/proc is the kernel's",
    "tasks/readiness/preflight.py LACKING": "asks whether paths are there, and changes nothing",
    "tasks/readiness/preflight.py LAYOUT": "asks whether a path is a link, and changes nothing",
    "tasks/receipts/receipt_files.py READ": "/var/lib/relevo is root's",
    "tasks/receipts/receipt_files.py ALL": "/var/lib/relevo is root's",
    "tasks/records/history.py APPEND": "/var/lib/relevo/NAME is root's",
    "tasks/records/history.py READ": "/var/lib/relevo/NAME is root's",
    "tasks/standby/rewind.py REWIND": "/var/lib/relevo is root's; pg_rewind runs as the owner",
    "tasks/install/traces.py EMPTY": "takes empty folders of root's alone",
    "tasks/install/traces.py find": "/var/lib/relevo, /etc/relevo and both folders of logs: root's",
    "tasks/install/traces.py rm": "both are root's folders: of a link it takes the name alone",
    "tasks/filestore/key.py cat /etc/ssh/ssh_host_*_key.pub": "/etc/ssh is root's",
    "tasks/filestore/key.py SHOW_KEY": "the folder ssh of an instance is root's",
    "tasks/host/sshd.py MAKE_KEY": "that folder and /etc/relevo/guard are root's",
    "tasks/readiness/writable.py WRITE": "all that it is asked of is root's: units, records, nginx",
    "tasks/serving/site.py OWN": "/etc/nginx is root's",
    "tasks/serving/site_files.py find": "/etc/nginx is root's",
    "tasks/recovery/users.py FOUND": "reads a record of root's, and asks whose some folders are",
    "tasks/install/programs.py OUTDATED": "/usr/local/lib/relevo and /etc/relevo are root's",
}


def as_root(tree: ast.Module) -> Iterator[str]:
    """Name every command of a module by which root would handle a file."""
    texts: dict[str, object] = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    somebodys = set(run_by_somebody(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and node not in somebodys:
            yield from handles(node, texts)


def handles(argv: ast.Tuple, texts: dict[str, object]) -> Iterator[str]:
    """Name the command or the script of a command line, if it handles files."""
    words = [each for each in argv.elts if not isinstance(each, ast.Starred)]
    said = [each.value if isinstance(each, ast.Constant) else None for each in words[:3]]
    if said[:1] and said[0] in CHANGE | READ | ASK and len(argv.elts) > 1:
        yield str(said[0])
    for number, word in enumerate(words[:-1]):
        script = words[number + 1]
        if not (isinstance(word, ast.Constant) and word.value in {"-c", "-ec"}):
            continue
        name = script.id if isinstance(script, ast.Name) else ""
        text = texts.get(name) if name else getattr(script, "value", None)
        if said[0] in {"sh", "bash"} and any(file_commands(str(text))):
            yield name or str(text)


def file_commands(script: str) -> Iterator[str]:
    for line in script.splitlines():
        for found in [] if line.lstrip().startswith("#") else SCRIPT.finditer(line):
            if not (found[1] in ASK and ASKS_OF_WORDS.match(found[2])):
                yield found[1]


def run_by_somebody(tree: ast.Module) -> Iterator[ast.Tuple]:
    """The command lines that are run as a user who is not root."""
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef):
            continue
        lines = {
            target.id: node.value
            for node in ast.walk(scope)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(scope):
            if not isinstance(call, ast.Call) or not any(map(names_a_user, call.keywords)):
                continue
            for given in call.args:
                found = lines.get(given.id) if isinstance(given, ast.Name) else given
                if isinstance(found, ast.Tuple):
                    yield found


def names_a_user(keyword: ast.keyword) -> bool:
    root = isinstance(keyword.value, ast.Constant) and keyword.value.value == "root"
    return keyword.arg == "user" and not root


def scanned() -> dict[str, str]:
    """Every place in tasks and flows at which root would handle a file by its path."""
    found: dict[str, str] = {}
    for path in [each for layer in ("tasks", "flows") for each in (ROOT / layer).rglob("*.py")]:
        if "programs" not in path.parts:  # they run on the hosts, and have tests of their own
            name = str(path.relative_to(ROOT))
            found |= {f"{name} {each}": name for each in as_root(ast.parse(path.read_text()))}
    return found


def test_root_handles_files_through_the_one_module_that_is_safe_for_it() -> None:
    found = scanned()

    assert sorted(set(found) - set(MAY)) == [], "run it as a user, or use tasks/host/files"
    assert sorted(set(MAY) - set(found)) == [], "these are there no more"
    assert "tasks/host/files.py" not in found.values()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('shell.run(("rm", "-f", path))', ["rm"]),
        ('shell.run(("rm", "-f", path), user="root")', ["rm"]),
        ('shell.run(("rm", "-f", path), user=place.cluster.owner)', []),
        ('argv = ("find", path, "-delete"); shell.run(argv, check=False)', ["find"]),
        ('argv = ("find", path, "-delete"); shell.run(argv, user=user)', []),
        ('run_job(shell, "x", ("cp", "-a", one, two), user="root")', ["cp"]),
        ('run_job(shell, "x", ("cp", "-a", one, two), user=owner)', []),
        ('shell.run(("sh", "-c", SCRIPT, "x", path))', ["SCRIPT"]),
        ('shell.run(("sh", "-c", "cd / && mv -T $1 $2", "x"))', ["cd / && mv -T $1 $2"]),
        ('shell.run(("sh", "-c", "if [ -e $1 ]; then id; fi"))', ["if [ -e $1 ]; then id; fi"]),
        ('shell.run(("sh", "-c", "[ -n \\"$1\\" ] && id"))', []),
        ('shell.run(("sh", "-c", "# rm x"))', []),
        ('shell.run(("systemctl", "stop", unit))', []),
        ('return ("chown", user, path)', ["chown"]),
    ],
)
def test_the_scan_sees_what_it_is_for(line: str, found: list[str]) -> None:
    text = f'SCRIPT = """\nset -e\nchown $1 $2\n"""\ndef act(shell):\n    {line}\n'

    assert list(as_root(ast.parse(text))) == found
