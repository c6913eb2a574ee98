"""Whatever somebody else says is read within bounds: the readers themselves, and a scan for others.

The scan knows the ways in which Python reads without a bound. A new one is refused, wherever it
stands in what runs on the hosts or talks to them, until it is bounded or stands below with a
reason.
"""

import ast
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.install import zipapp
from tasks.programs.bounded import TooLong, TooMuch, lines, parts, read_file, run

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tasks" / "programs"
SCANNED = ("blocks", "tasks")
# Where a read without a bound of its own is right, and why.
EXCEPTIONS = {
    "blocks/host_key.py:_damaged": "the operator's own known_hosts, which paramiko has just read",
    "tasks/programs/bounded.py:read_file": "the bounded reader of files",
    "tasks/programs/bounded.py:parts": "the bounded reader of pipes: so many seconds, by parts",
    "tasks/programs/bounded.py:lines": "the bounded reader of lines",
    "tasks/programs/bounded.py:run": "the bounded runner of commands",
    "tasks/programs/bounded.py:_converse": "its heart",
    "tasks/programs/gate/door.py:Door.purpose": "a file of root's, 100 bytes of it",
    "tasks/programs/gate/service.py:Requests._more": "a part; line() and take() bound it",
    "tasks/programs/guard/watch.py:Watch.talk": "read by bounded.lines",
    "tasks/programs/synchronous/session.py:Session.ask": "read by _converse",
    "tasks/programs/synchronous/session.py:Session._converse": "bounded by FEW and ASK_SECONDS",
    "tasks/programs/divergence/wal.py:dump": "our own pg_waldump, line by line",
    "tasks/programs/filestore/answer.py:Answer.parts": "into a buffer, as much as was announced",
    "tasks/programs/filestore/pipes.py:Inward.readinto": "as much as its caller asks for",
    "tasks/programs/filestore/origin.py:Origin._open": "read by Inward and last_words",
    "tasks/programs/filestore/disk.py:_sha1": "a file here, part by part",
    "tasks/programs/filestore/wire.py:Connection._take": "bounded by _message",
    "tasks/programs/odoo_package.py:editable": "files of Odoo's user, read there as that user",
    "tasks/programs/frozen.py:listed": "files of Odoo's user, read there as that user",
    "tasks/build/packages.py:": "our own program, as it is installed with us",
    "tasks/discovery/program.py:": "our own program, as it is installed with us",
    "tasks/odoo/http.py:": "our own programs, as they are installed with us",
    "tasks/host/job.py:": "our own program, as it is installed with us",
    "blocks/ssh_channel.py:converse": "bounded by limit_bytes and timeout_seconds",
    "blocks/ssh_channel.py:_one": "one byte, bounded by its callers",
    "blocks/ssh_login.py:_require_key_file": "a file of this machine's operator",
    "blocks/relay.py:": "our own program, as it is installed with us",
    "blocks/relay.py:Link._carry_up": "what we ask ourselves, part by part",
    "blocks/relay.py:Relay._carry_down": "part by part; a session counts what it is told",
    "blocks/relay_program.py:bring": "part by part, and handed on",
    "blocks/relay_program.py:carry": "what our own runner says, part by part",
    "blocks/relay_program.py:finish": "part by part, and thrown away",
    "blocks/ssh.py:SshShell._ended": "64 KB of it",
    "blocks/turn.py:": "our own program, as it is installed with us",
    "tasks/programs/files/__main__.py:install": "what our own runner says",
    "tasks/programs/files/__main__.py:together": "what our own runner says",
    "tasks/programs/files/together.py:Command.end": "by parts, and MOST_BYTES of it",
    "tasks/host/source.py:source": "our own programs, as they are installed with us",
    "tasks/programs/door.py:carry": "part by part, and handed on",
    "tasks/install/zipapp.py:_texts": "our own programs, as they are installed with us",
    "tasks/install/programs.py:script": "our own program, as it is installed with us",
    "tasks/past/scratch.py:opened": "a stopwatch",
    "tasks/past/export.py:": "our own program, as it is installed with us",
    "tasks/programs/archive/watch.py:Watch._dumped": "read by bounded.lines",
    "tasks/programs/odoo_records.py:main": "what our own runner asks",
    "tasks/readiness/drill_steps.py:clone": "a stopwatch",
    "tasks/readiness/drill_steps.py:promote": "a stopwatch",
    "tasks/run/timing.py:Stopwatch.stop": "a stopwatch",
}
UNBOUNDED_WITHOUT_SIZE = {"read", "readline", "read1"}
UNBOUNDED = {
    "readlines", "readall", "communicate", "recv", "recv_stderr", "recv_into", "readv", "readinto",
    "check_output", "getoutput", "getstatusoutput", "read_text", "read_bytes", "makefile", "popen",
}  # fmt: skip
OS_READS = {"read", "pread", "readv"}


def names_of(node: ast.AST, outer: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every node, with the class and the function in which it stands."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from names_of(child, f"{outer}.{child.name}".strip("."))
        else:
            yield outer, child
            yield from names_of(child, outer)


def is_unbounded(node: ast.AST) -> bool:
    """Tell whether this reads as much as somebody else likes to say."""
    if isinstance(node, (ast.For, ast.comprehension)):
        return isinstance(node.iter, ast.Attribute) and node.iter.attr in {"stdout", "stderr"}
    if not isinstance(node, ast.Call):
        return False
    if any(_opens_a_pipe(word) for word in node.keywords) or ast.unparse(node.func) == "json.load":
        return True
    if not isinstance(node.func, ast.Attribute):
        return False
    name, of_os = node.func.attr, ast.unparse(node.func.value) == "os"
    if name in UNBOUNDED or (of_os and name in OS_READS):
        return True
    return name in UNBOUNDED_WITHOUT_SIZE and not node.args and not node.keywords


def _opens_a_pipe(word: ast.keyword) -> bool:
    pipe = word.arg in {"stdout", "stderr"} and ast.unparse(word.value).endswith("PIPE")
    return pipe or word.arg == "capture_output"


def unbounded(text: str) -> set[str]:
    return {where for where, node in names_of(ast.parse(text)) if is_unbounded(node)}


@pytest.mark.parametrize(
    "sample",
    [
        "said = talk.stdout.read()",
        "line = channel.makefile('r').readline()",
        "out += channel.recv(1 << 16)",
        "done = subprocess.run(argv, capture_output=True)",
        "talk = subprocess.Popen(argv, stdout=subprocess.PIPE)",
        "out, err = talk.communicate(timeout=5)",
        "said = subprocess.check_output(argv)",
        "for line in talk.stdout: hear(line)",
        "facts = [x for x in talk.stderr]",
        "part = os.read(file, 1 << 16)",
        "line = path.read_text()",
        "facts = json.load(file)",
        "lines = file.readlines()",
    ],
)
def test_the_scan_sees_every_way_to_read_without_a_bound(sample: str) -> None:
    assert unbounded(f"class Peer:\n    def hear(self):\n        {sample}\n") == {"Peer.hear"}


@pytest.mark.parametrize(
    "sample",
    ["part = file.read(CHUNK)", "line = read_line(channel)", "done = bounded.run(argv, seconds=5)"],
)
def test_the_scan_lets_bounded_readers_pass(sample: str) -> None:
    assert unbounded(f"def hear():\n    {sample}\n") == set()


def test_every_read_of_what_somebody_else_says_has_a_bound() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{where}"
        for folder in SCANNED
        for path in (ROOT / folder).rglob("*.py")
        for where in unbounded(path.read_text())
    }
    assert found - set(EXCEPTIONS) == set(), "bound it (tasks/programs/bounded.py), or name it"
    assert set(EXCEPTIONS) - found == set(), "this one is gone: take it off the list"


def test_what_hosts_say_in_json_is_read_at_one_door() -> None:
    """Elsewhere it would be a ValueError, and nobody knows whose."""
    users = {
        str(path.relative_to(ROOT))
        for folder in SCANNED
        for path in (ROOT / folder).rglob("*.py")
        if "json.loads" in path.read_text() and "programs" not in path.parts
    }
    # The three that are pure have a sentence or a ValueError of their own for what is senseless.
    pure = {
        "tasks/standby/divergence.py", "tasks/receipts/receipt.py", "tasks/records/commits.py",
    }  # fmt: skip
    assert users == {"blocks/answers.py", *pure}


# ------------------------------------------------------------------------------- the readers

ENDLESS = [sys.executable, "-c", "import sys\nwhile True: sys.stdout.write('x' * 65536)"]
HOLD = 64 << 20


def confined(program: str, *argv: str) -> "subprocess.CompletedProcess[str]":
    """Run Python where no more memory is to be had than the program needs, and a bit."""
    begin = f"""
        import resource, sys
        sys.path.insert(0, {str(ROOT)!r})
        from tasks.programs import acting, bounded
        with open('/proc/self/statm') as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + {HOLD}, now + {HOLD}))
    """
    text = textwrap.dedent(begin) + textwrap.dedent(program)
    return subprocess.run(
        [sys.executable, "-c", text, *argv], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_command_that_says_too_much_is_ended_before_it_takes_the_memory() -> None:
    done = confined(f"""
        try:
            bounded.run({ENDLESS!r}, seconds=30)
        except bounded.TooMuch as error:
            print(error)
    """)
    assert "printed more than 65536 bytes" in done.stdout, done.stderr


def test_a_command_that_drips_or_does_not_read_is_ended_in_time() -> None:
    begun = time.monotonic()
    drip = "while :; do printf x; sleep 0.1; done"
    with pytest.raises(TooLong, match="sh has not finished after 1 s"):
        run(["sh", "-c", drip], seconds=1)
    with pytest.raises(TooLong):
        run(["sleep", "60"], seconds=1, stdin=bytes(1 << 20))
    assert time.monotonic() - begun < 10


def test_a_command_s_two_voices_and_its_status_are_told() -> None:
    done = run(["sh", "-c", "cat; echo no >&2; exit 3"], seconds=10, stdin=b"yes")
    assert (done.status, done.out, done.err, done.said) == (3, b"yes", b"no\n", "no")
    assert run(["true"], seconds=10, stdin=bytes(1 << 20)).status == 0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_lines_are_bounded_in_length_in_number_and_in_time(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b"one\ntwo\nthree\n")
    heard = lines(reading, limit=100, seconds=5, count=2)
    assert [next(heard), next(heard)] == [b"one\n", b"two\n"]
    with pytest.raises(TooMuch, match="more than 2 lines"):
        next(heard)
    os.write(writing, bytes(200))
    with pytest.raises(TooMuch, match="a line of more than 100 bytes"):
        list(lines(reading, limit=100, seconds=5, count=9))
    with pytest.raises(TooLong, match="no whole line"):
        list(lines(reading, limit=1000, seconds=0.2, count=9))
    with pytest.raises(TooLong):
        list(parts(reading, 0.2))


@pytest.mark.parametrize("what", ["a pipe", "a link", "a folder", "a device", "too long"])
def test_a_file_that_is_none_is_not_read(tmp_path: Path, what: str) -> None:
    path = tmp_path / "file"
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    elif what == "too long":
        path.write_bytes(bytes(101))
    else:
        (tmp_path / "secret").write_text("secret")
        path.symlink_to("/dev/zero" if what == "a device" else tmp_path / "secret")
    with pytest.raises(OSError, match=r"not a regular file|Too many levels|longer than 100 bytes"):
        read_file(path, 100)


@pytest.mark.parametrize(
    "path", sorted(PROGRAMS.rglob("*.py")), ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_what_runs_on_the_hosts_can_be_read_by_the_oldest_python_supported(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("name", ["guard", "synchronous", "divergence", "filestore"])
def test_a_packed_program_runs_from_anywhere(tmp_path: Path, name: str) -> None:
    """It is one file with all that it imports, and starts by itself."""
    program = tmp_path / name
    program.write_bytes(zipapp.pack(name))
    program.chmod(0o755)
    done = subprocess.run(
        [program, "/nowhere", "pass"], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "ImportError" not in done.stderr
    assert "ModuleNotFoundError" not in done.stderr
    assert "/nowhere" in done.stderr + done.stdout
