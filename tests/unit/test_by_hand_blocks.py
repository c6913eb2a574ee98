"""What a block that is pasted does, on folders of a test and with programs that note their user."""

import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from blocks.instance import OdooInstance, Place
from tasks.authority.situation import Procedure
from tasks.byhand.by_hand_step import LOGIN
from tasks.host import files
from tasks.standby import rewind
from tests.by_hand import Read
from tests.unit.test_by_hand import ALL, confined, instance, read

__all__ = ["confined", "instance"]
# A folder of root's above the data directory, of which postgres is the owner.
STUBS = """
set -u
runuser() { user=$2; shift 3; echo "$user $1" >>"$LOG"; "$@"; }
pg_conftool() { echo "$DATA"; }
stat() { echo root; }
id() { echo postgres; }
install() { mkdir "${@: -1}"; }
sync() { :; }
df() { echo 999999999; }
"""
SYSTEMCTL = """
runuser() { shift 3; "$@"; }
pg_ctlcluster() { echo stopped; }
systemctl() { echo "systemctl $*" >>"$LOG"; %s }
tee() { cat >/dev/null; }
rm() { :; }
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory, as PostgreSQL has it."""
    folder = tmp_path / "13" / "main"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("13\n")
    return folder


def step(instance: OdooInstance, procedure: Procedure, words: str) -> Read:
    return next(each for each in read(instance, procedure) if words in each.block)


def paste(block: str, data: Path, stubs: str = STUBS) -> subprocess.CompletedProcess[str]:
    """Paste a block whose folders of root's are beside the data directory."""
    root = data.parents[1]
    for folder in ("/run/relevo", "/var/lib/relevo", "/etc/postgresql"):
        block = block.replace(folder, f"{root}{folder}")
    typed = f"DATA={data} LOG={root}/log\n{stubs}{block}"
    return subprocess.run(
        ["/bin/bash"], input=typed, text=True, capture_output=True, check=False
    )  # fmt: skip


def marked(data: Path, text: str) -> Path:
    marker = data.parents[1] / "var/lib/relevo/vps_1/rewind"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(text)
    return marker


def test_what_is_kept_aside_is_named_by_root_and_written_by_its_owner(
    confined: OdooInstance, data: Path
) -> None:
    keep = step(confined, "failback", "cp -aL")

    done = paste(keep.block, data)

    assert done.stdout.endswith(f"{keep.label}: OK\n"), done.stderr
    (kept,) = data.parent.glob("main.quarantine-by-hand-*")
    assert (kept / "PG_VERSION").exists()
    assert (data.parents[1] / "run/relevo/vps_1.kept-by-hand").read_text() == f"{kept}\n"
    ran = (data.parents[1] / "log").read_text().splitlines()
    assert [each for each in ran if each.startswith("root")] == ["root install", "root mv"]
    assert "postgres cp" in ran


def test_nothing_is_kept_aside_once_a_rewind_has_begun(confined: OdooInstance, data: Path) -> None:
    marked(data, "started\n")

    done = paste(step(confined, "failback", "cp -aL").block, data)

    assert done.returncode == 1
    assert list(data.parent.iterdir()) == [data]


@pytest.mark.parametrize("named", [True, False])
def test_the_copy_that_the_marker_names_is_put_back_and_otherwise_the_last(
    confined: OdooInstance, data: Path, named: bool
) -> None:
    ours, last = (data.with_name(f"main.quarantine-{each}") for each in ("1-0", "2-0"))
    for each in (ours, last):
        each.mkdir()
        (each / "PG_VERSION").write_text(each.name)
    marker = marked(data, f"started\n{ours}\n" if named else "started\n")
    back = step(confined, "recovery is gone", "half-rewound")

    done = paste(back.block, data)

    assert done.stdout.endswith(f"{back.label}: OK\n"), done.stderr
    assert (data / "PG_VERSION").read_text() == (ours if named else last).name
    assert not marker.exists()
    ran = (data.parents[1] / "log").read_text().splitlines()
    assert [each for each in ran if each.startswith("root")] == ["root mv", "root mv"]


@pytest.mark.parametrize("procedure", ALL)
def test_no_name_beside_a_data_directory_is_changed_by_the_clusters_user(
    confined: OdooInstance, procedure: Procedure
) -> None:
    for each in read(confined, procedure):
        lines = each.block.splitlines()
        changed = [line for line in lines if re.search(r"mv -T |install -d .*\"\$|mkdir -m", line)]
        assert all('runuser -u "$over" -- ' in line for line in changed), each.label
        assert not changed or any(line.startswith("over=$(stat ") for line in lines)


@pytest.mark.parametrize("ended", ["started", "done"])
def test_what_a_rewind_notes_has_the_copy_in_its_second_line(
    confined: OdooInstance, data: Path, ended: str
) -> None:
    marker = data.parents[1] / "notes" / "rewind"
    ends = "false" if ended == "started" else "true"
    command = ["sh", "-c", rewind.REWIND, "rewind", str(marker), "/the copy", ends]
    subprocess.run(command, check=False)
    assert marker.read_text() == f"{ended}\n/the copy\n"
    by_hand = step(confined, "failback", "/bin/pg_rewind").block
    for word in ("started", "done"):
        line = f"printf '%s\\n' {word} \"$kept\" >/var/lib/relevo/vps_1/rewind"
        assert line in by_hand


def test_whoever_asks_how_a_rewind_ended_reads_the_first_line_alone(
    confined: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = SimpleNamespace(host="uno")
    node = SimpleNamespace(host=SimpleNamespace(shell=lambda: shell))
    monkeypatch.setattr(files, "read", lambda *_: "started\n/the copy\n")

    assert rewind.marker(confined, cast("Place", node)) == "started"
    tell = step(confined, "failback", "facts='%s'").block
    assert "rewind=$(head -n 1 /var/lib/relevo/vps_1/rewind" in tell


def test_an_origin_without_odoo_is_held_and_a_long_job_is_ended_first(
    confined: OdooInstance, data: Path
) -> None:
    hold = step(confined, "failback", "systemctl stop 'relevo-vps_1-*.service'")

    done = paste(hold.block, data, SYSTEMCTL % "test $1 != cat;")

    assert done.stdout.endswith(f"{hold.label}: OK\n"), done.stderr
    ran = (data.parents[1] / "log").read_text().splitlines()
    assert ran == ["systemctl stop relevo-vps_1-*.service", "systemctl cat odoo.service"]


@pytest.mark.parametrize(
    ("said", "goes_on"), [("Unit file odoo.service does not exist.", True), ("No space", False)]
)
def test_an_origin_that_is_off_may_lack_odoo_and_nothing_else(
    confined: OdooInstance, data: Path, said: str, goes_on: bool
) -> None:
    before = step(confined, "failback", "systemctl disable odoo.service 2>&1")

    done = paste(before.block, data, SYSTEMCTL % f"echo Failed to disable unit: {said}; return 1;")

    assert (f"{before.label}: OK" in done.stdout) == goes_on


@pytest.mark.parametrize("procedure", ["failover", "failback", "switchover"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_whoever_has_stopped_odoo_and_cannot_go_on_reads_which_step_starts_it(
    confined: OdooInstance, procedure: Procedure, language: str
) -> None:
    words = "start PostgreSQL and Odoo on" if language == "en" else "arranque de nuevo PostgreSQL"
    found = read(confined, procedure, "en" if language == "en" else "es")

    (named,) = [number for number, each in enumerate(found) if words in each.title]

    assert found[named].only
    assert any(words in each.text for each in found[:named] if "rsync" in each.block)


def test_the_key_may_write_again_right_before_the_window(confined: OdooInstance) -> None:
    found = read(confined, "failback")
    window = next(n for n, each in enumerate(found) if "stopped='%s'" in each.block)

    assert "+failback %s" in found[window - 1].block


def test_no_history_keeps_the_passwords_and_nginx_is_started_if_it_is_down(
    confined: OdooInstance,
) -> None:
    write = step(confined, "failback", ': "$passwords"')
    assert write.text.index("`unset HISTFILE`") < write.text.index("passwords=")
    assert "`unset passwords`" in write.text
    for each in (("failback", "standby.conf"), ("failover", "serving.conf")):
        shown = step(confined, *each)
        assert "systemctl reload-or-restart nginx" in shown.block


class Odoo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(303 if self.path == "/web/login" else 404)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def odoo() -> Iterator[http.server.HTTPServer]:
    with http.server.HTTPServer(("127.0.0.1", 0), Odoo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_odoo_is_asked_by_python_and_no_redirect_is_followed(odoo: http.server.HTTPServer) -> None:
    command = ["python3", "-c", LOGIN, str(odoo.server_port)]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert said == "303\n"
