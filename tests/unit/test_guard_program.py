"""The guard's own decisions, as they are made at the origin without Relevo."""

import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks import signing
from tasks.authority.guard_files import allowed_signers
from tasks.install import zipapp
from tasks.programs.guard.guard import Guard
from tasks.programs.guard.receipts import newest, verdict
from tasks.programs.guard.record import Record
from tasks.programs.guard.watch import Watch
from tasks.receipts.receipt import NAMESPACE, Receipt, sealed
from tasks.receipts.signers import Signers

KEY = SecretStr("a signing key of a drill")
HOME = {"epoch": 4, "taker": "origin"}
AWAY = {"epoch": 5, "taker": "recovery"}
RECEIPT = Receipt("vps_1", 5, "forced", "origin", "recovery", "71", 1, "", "2026-01-01T00:00:00Z")


@pytest.mark.parametrize("told", [None, {"epoch": 3, "taker": "recovery"}, {**HOME, "taker": "x"}])
def test_no_word_an_older_one_and_a_contradiction_are_no_news(told: dict[str, Any] | None) -> None:
    assert newest(HOME, told) is HOME


def test_a_newer_word_is_news_and_the_first_one_too() -> None:
    assert newest(HOME, AWAY) is AWAY
    assert newest(None, AWAY) is AWAY


@pytest.mark.parametrize(
    ("known", "answered", "unanswered", "may"),
    [
        (HOME, True, "serve", True),
        (HOME, False, "serve", True),
        (HOME, True, "hold", True),
        (HOME, False, "hold", False),
        (AWAY, True, "serve", False),
        (AWAY, False, "serve", False),
        (AWAY, False, "hold", False),
        (None, True, "serve", True),
        (None, False, "serve", True),
        (None, False, "hold", False),
    ],
)
def test_who_may_serve(
    known: dict[str, Any] | None, answered: bool, unanswered: str, may: bool
) -> None:
    said, why = verdict(known, place="origin", answered=answered, unanswered=unanswered)
    assert said is may
    assert why


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    signer = tmp_path / "signer"
    signer.write_text(allowed_signers(Signers((signing.public_key(KEY),)), namespace=NAMESPACE))
    names = ("right", "held", "waiting")
    return Guard({
        **{name: str(tmp_path / name) for name in names},
        "instance": "vps_1", "system_identifier": "71", "place": "origin",
        "namespace": NAMESPACE, "signer": str(signer),
    })  # fmt: skip


def _line(receipt: Receipt, key: SecretStr = KEY) -> str:
    text = receipt.text()
    return sealed(text, signing.sign(text, key, namespace=NAMESPACE))


def test_a_genuine_receipt_is_believed_and_kept(guard: Guard) -> None:
    assert guard.record.believe(_line(RECEIPT)) == json.loads(RECEIPT.text())
    guard.record.write_down()
    assert guard.record.right.read_text() == _line(RECEIPT)
    assert guard.record.own() == json.loads(RECEIPT.text())


def test_what_a_login_prints_hides_no_answer(guard: Guard, tmp_path: Path) -> None:
    """A greeting of ~/.bashrc at the recovery host once made its receipt unreadable."""
    right = tmp_path / "right-there"
    right.write_text("Welcome to this server.\n" + _line(RECEIPT))
    guard.config["ssh"] = ["sh", "-c", 'cat "$0"', str(right)]
    guard.config["wait_seconds"], guard.config["unanswered"] = 0, "serve"

    assert guard.may_serve("cluster") == (False, "epoch 5 gave the write right to recovery")


def test_what_is_not_genuine_or_not_ours_is_no_opinion(guard: Guard) -> None:
    foreign = Receipt(**{**json.loads(RECEIPT.text()), "instance": "vps_2"})
    other = Receipt(**{**json.loads(RECEIPT.text()), "system_identifier": "72"})
    edited = _line(RECEIPT).replace("recovery", "origin")
    for line in (
        "", "unknown\n", "{}", "[]", "3", edited, _line(foreign), _line(other),
        _line(RECEIPT, SecretStr("a key of somebody else")),
    ):  # fmt: skip
        assert guard.record.believe(line) is None, line
    assert not guard.record.right.exists()


def test_a_retired_key_is_believed_up_to_its_last_epoch_and_no_further(guard: Guard) -> None:
    """A copy of it that was stolen cannot say who may write from now on."""
    new = SecretStr("the key of today")
    signers = Signers((signing.public_key(new),), {signing.public_key(KEY): RECEIPT.epoch})
    Path(guard.config["signer"]).write_text(allowed_signers(signers, namespace=NAMESPACE))
    newer = Receipt(**{**json.loads(RECEIPT.text()), "epoch": RECEIPT.epoch + 1})

    assert guard.record.genuine(_line(RECEIPT)) is not None, "history"
    assert guard.record.genuine(_line(newer)) is None
    assert guard.record.genuine(_line(newer, new)) is not None
    Path(guard.config["signer"]).unlink()
    assert guard.record.genuine(_line(newer, new)) is None
    assert "nobody is known whose signature counts" in guard.journal.complaint


FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"


@pytest.fixture
def host(guard: Guard, tmp_path: Path) -> Guard:
    """An origin that runs: its data directory, its units, and a recovery host that says nothing."""
    (tmp_path / "data").mkdir()
    (tmp_path / "start.conf").write_text("# a comment of Debian's\nauto\n")
    (tmp_path / "odoo-runs").touch()
    (tmp_path / "there").touch()
    # What a full disk cannot keep from working: these commands remove files, and write none.
    bin_dir = tmp_path / "bin"
    for name, script in {
        "systemctl": f"""
            case $1 in
            is-active) if [ -e {tmp_path}/odoo-runs ]; then echo active; else echo inactive; fi ;;
            stop) rm -f {tmp_path}/odoo-runs ;;
            start) touch {tmp_path}/started ;;
            esac""",
        "pg_ctlcluster": f"""
            kill "$(cat {tmp_path}/data/postmaster.pid)"
            rm {tmp_path}/data/postmaster.pid""",
        "answer": f"cat {tmp_path}/there; if [ $1 = watch ]; then sleep 1; fi",
        "psql": "echo f",
    }.items():
        bin_dir.mkdir(exist_ok=True)
        (bin_dir / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_dir / name).chmod(0o755)
    guard.config.update({
        "ssh": [str(bin_dir / "answer")], "psql": [str(bin_dir / "psql")],
        "start_conf": str(tmp_path / "start.conf"), "data_directory": str(tmp_path / "data"),
        "cluster": ["13", "main"], "cluster_unit": "postgresql@13-main.service",
        "odoo_unit": "odoo.service", "wait_seconds": 0, "unanswered": "serve",
        "owner": getpass.getuser(),
    })  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(guard.config))
    return guard


def _run(
    folder: Path, verb: str, *, full: bool, seconds: float = 20, before: str = ""
) -> tuple[int | None, str]:
    """Run the program as systemd does, on a host whose disk takes no more byte if it is full."""
    program = f"{FULL if full else ''}\n{before}\nimport runpy, sys\nsys.argv = sys.argv[1:]\n"
    program += "runpy.run_path(sys.argv[0], run_name='__main__')"
    packed = folder / "guard"
    packed.write_bytes(zipapp.pack("guard"))
    argv = [sys.executable, "-c", program, str(packed), str(folder / "config.json"), verb]
    env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    with subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True) as ran:
        try:
            said = ran.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            ran.terminate()
            return None, ran.communicate()[1]
        return ran.returncode, said


def test_a_full_disk_does_not_hide_that_another_server_may_write(
    host: Guard, tmp_path: Path
) -> None:
    """The signature once needed a temporary file, and without one no receipt was "known"."""
    host.record.right.write_text(_line(RECEIPT))

    assert host.config["unanswered"] == "serve"
    (tmp_path / "bin" / "answer").write_text("#!/bin/sh\nexit 255\n")
    status, said = _run(tmp_path, "cluster", full=True)

    assert status == 1
    assert "epoch 5 gave the write right to recovery" in said
    assert not host.waiting.exists(), "it waits for no word: it has one"


def test_a_full_disk_does_not_keep_an_origin_down_that_is_told_that_it_may(
    host: Guard, tmp_path: Path
) -> None:
    home = Receipt(**{**json.loads(RECEIPT.text()), "giver": "recovery", "taker": "origin"})
    (tmp_path / "there").write_text(_line(home))

    assert _run(tmp_path, "cluster", full=True)[0] == 0
    assert _run(tmp_path, "odoo", full=True)[0] == 0


def test_a_full_disk_does_not_keep_the_watcher_from_holding(host: Guard, tmp_path: Path) -> None:
    """It stops first and writes afterwards; what it cannot write it says, and remembers."""
    postgres = tmp_path / "bin" / "postgres"
    shutil.copy("/bin/sleep", postgres)
    (tmp_path / "there").write_text(_line(RECEIPT))
    with subprocess.Popen([postgres, "60"], cwd=tmp_path / "data") as server:
        (tmp_path / "data" / "postmaster.pid").write_text(f"{server.pid}\n")
        said = _run(tmp_path, "watch", full=True, seconds=5)[1]
        stopped = server.poll() is not None
        server.kill()

    assert stopped
    assert not (tmp_path / "odoo-runs").exists()
    assert (
        said.index("holding Odoo")
        < said.index("holding PostgreSQL")
        < said.index("PostgreSQL is down")
    )
    for path in (host.record.right, host.held, tmp_path / "start.conf"):
        assert f"{path} cannot be written" in said
    assert said.count("the recovery host says") == 1
    assert (tmp_path / "start.conf").read_text().endswith("auto\n"), "not emptied either"
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_another_cluster_that_has_the_number_now_is_left_alone(host: Guard, tmp_path: Path) -> None:
    """After a power cut the number in postmaster.pid may be that of a stranger."""
    postgres = tmp_path / "bin" / "postgres"
    shutil.copy("/bin/sleep", postgres)
    (tmp_path / "there").write_text(_line(RECEIPT))
    with subprocess.Popen([postgres, "60"], cwd=tmp_path) as stranger:
        (tmp_path / "data" / "postmaster.pid").write_text(f"{stranger.pid}\n")
        said = _run(tmp_path, "watch", full=False, seconds=5)[1]
        stopped = stranger.poll() is not None
        stranger.kill()

    assert "holding Odoo" in said
    assert not stopped


def test_what_could_not_be_written_is_remembered_and_written_when_there_is_room(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr("tasks.programs.guard.notes.install", _no_room)
        assert guard.record.believe(_line(RECEIPT)) == json.loads(RECEIPT.text())
        guard.record.write_down()
    assert guard.record.own() == json.loads(RECEIPT.text()), (
        "also when the recovery host falls silent"
    )
    assert not guard.record.right.exists()

    guard.record.write_down()
    assert guard.record.right.read_text() == _line(RECEIPT)


def test_what_could_not_be_written_does_not_take_the_place_of_what_is_newer(guard: Guard) -> None:
    guard.record.believe(_line(RECEIPT))
    newer = _line(Receipt(**{**json.loads(RECEIPT.text()), "epoch": 6, "taker": "origin"}))
    guard.record.right.write_text(newer)  # the runner's

    known = guard.record.believe(_line(RECEIPT))
    guard.record.write_down()

    assert known is not None
    assert known["epoch"] == 6
    assert guard.record.right.read_text() == newer


def _no_room(path: Path, *_: object) -> None:
    raise OSError(28, "No space left on device", str(path))


@pytest.mark.parametrize("torn", ["", "nonsense\n", "a foreign signature", "a folder"])
def test_a_record_that_is_there_and_cannot_be_believed_is_not_the_same_as_none(
    host: Guard, tmp_path: Path, torn: str
) -> None:
    """Nothing starts on it before somebody says who may write; nothing that runs is stopped."""
    if torn == "a folder":
        host.record.right.mkdir()
    else:
        other = _line(RECEIPT, SecretStr("a key of somebody else"))
        host.record.right.write_text(other if torn == "a foreign signature" else torn)
    (tmp_path / "there").write_text("unknown\n")

    status, said = _run(tmp_path, "cluster", full=False)

    assert status == 1
    assert f"{host.record.right} " in said
    assert "HINT" in said
    assert host.waiting.exists(), "it starts as soon as it is told"
    Watch(host).hear("unknown\n")
    assert (tmp_path / "odoo-runs").exists()
    assert host.waiting.exists()


def test_a_record_that_is_torn_is_written_anew_by_the_word_of_the_recovery_host(
    guard: Guard,
) -> None:
    guard.record.right.write_text("torn")
    assert guard.record.believe(_line(RECEIPT)) == json.loads(RECEIPT.text())
    guard.record.write_down()
    assert guard.record.own() == json.loads(RECEIPT.text())
    assert guard.record.doubt == ""


def test_a_record_of_another_cluster_is_none_of_ours(guard: Guard) -> None:
    other = Receipt(**{**json.loads(RECEIPT.text()), "system_identifier": "72"})
    guard.record.right.write_text(_line(other))
    assert (guard.record.own(), guard.record.doubt) == (None, "")


@pytest.mark.parametrize("word", ["\\ud800", "[" * 100_000])
def test_a_line_that_no_text_can_be_made_of_is_no_opinion(guard: Guard, word: str) -> None:
    text = RECEIPT.text().replace("forced", word)
    assert guard.record.believe(json.dumps({"text": text, "signature": word})) is None
    assert guard.record.believe(word) is None


MEMORY = "import resource; resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))"
MAD = {
    "bytes without end": "exec cat /dev/zero",
    "lines without end": "exec yes unknown",
    "a line without end": "yes x | tr -d '\\n'",
    "a byte now and then": "while :; do printf x; sleep 0.2; done",
    "complaints without end": "exec yes unknown >&2",
    "a huge answer": "head -c 200000 /dev/zero | tr '\\0' x; echo; echo unknown",
}


@pytest.mark.parametrize("verb", ["cluster", "odoo"])
@pytest.mark.parametrize("mad", MAD)
def test_a_recovery_host_gone_mad_keeps_no_healthy_origin_down(
    host: Guard, tmp_path: Path, mad: str, verb: str
) -> None:
    """It once ended in a MemoryError, and systemd took its exit status for a no."""
    (tmp_path / "bin" / "answer").write_text(f"#!/bin/sh\n{MAD[mad]}\n")
    home = Receipt(**{**json.loads(RECEIPT.text()), "giver": "recovery", "taker": "origin"})
    host.record.right.write_text(_line(home))

    status, said = _run(tmp_path, verb, full=False, before=MEMORY)

    assert status == 0, said
    assert "epoch 5 gave the write right to origin, and nobody says otherwise" in said


@pytest.mark.parametrize("mad", ["bytes without end", "a huge answer", "a byte now and then"])
def test_a_recovery_host_gone_mad_does_not_overrule_the_policy_or_the_record(
    host: Guard, tmp_path: Path, mad: str
) -> None:
    (tmp_path / "bin" / "answer").write_text(f"#!/bin/sh\n{MAD[mad]}\n")
    host.record.right.write_text(_line(RECEIPT))
    assert _run(tmp_path, "cluster", full=False, before=MEMORY)[0] == 1, "the record says recovery"
    host.record.right.unlink()
    assert _run(tmp_path, "cluster", full=False, before=MEMORY)[0] == 0
    host.config["unanswered"] = "hold"
    (tmp_path / "config.json").write_text(json.dumps(host.config))
    assert _run(tmp_path, "cluster", full=False, before=MEMORY)[0] == 1, "the policy is to hold"


@pytest.mark.parametrize("mad", ["bytes without end", "lines without end", "a line without end"])
def test_a_watcher_of_a_mad_recovery_host_lives_and_obeys_what_it_knows(
    host: Guard, tmp_path: Path, mad: str
) -> None:
    (tmp_path / "bin" / "answer").write_text(f"#!/bin/sh\n{MAD[mad]}\n")

    status, said = _run(tmp_path, "watch", full=False, seconds=4, before=MEMORY)

    assert status is None, said
    assert "Traceback" not in said
    assert (tmp_path / "odoo-runs").exists()
    host.record.right.write_text(_line(RECEIPT))
    status, said = _run(tmp_path, "watch", full=False, seconds=4, before=MEMORY)
    assert status is None, said
    assert "holding Odoo: epoch 5 gave the write right to recovery" in said


def test_a_watcher_that_cannot_run_ssh_lives_and_obeys_what_it_knows(
    host: Guard, tmp_path: Path
) -> None:
    """An upgrade may be putting it there, or the server be out of memory or of processes."""
    (tmp_path / "bin" / "answer").unlink()
    host.record.right.write_text(_line(RECEIPT))

    status, said = _run(tmp_path, "watch", full=False, seconds=4)

    assert status is None, said
    assert "holding Odoo: epoch 5 gave the write right to recovery" in said


@pytest.mark.parametrize(("unanswered", "may"), [("serve", True), ("hold", False)])
def test_a_fault_of_the_guard_s_own_is_no_answer(
    host: Guard, monkeypatch: pytest.MonkeyPatch, unanswered: str, may: bool
) -> None:
    def fault(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Guard, "ask", fault)
    host.config["unanswered"] = unanswered
    assert (host.before("cluster") == 0) is may
    monkeypatch.setattr(Record, "own", fault)
    assert (host.before("cluster") == 0) is may


@pytest.mark.parametrize("planted", ["pipe", "link", "endless"])
def test_a_record_of_our_own_that_is_no_file_starts_nothing_and_stops_nothing(
    host: Guard, tmp_path: Path, planted: str
) -> None:
    if planted == "pipe":
        os.mkfifo(host.record.right)
    elif planted == "link":
        host.record.right.symlink_to("/dev/zero")
    else:
        host.record.right.write_bytes(b"x" * 100_000)
    (tmp_path / "bin" / "answer").write_text("#!/bin/sh\nexit 255\n")

    status, said = _run(tmp_path, "cluster", full=False, before=MEMORY)

    assert status == 1
    assert f"{host.record.right} cannot be read" in said
    assert "HINT" in said


def test_a_pipe_in_the_place_of_postmaster_pid_does_not_hide_a_server(
    host: Guard, tmp_path: Path
) -> None:
    """The folder is not root's: whoever owns it may put anything there."""
    pid = tmp_path / "data" / "postmaster.pid"
    os.mkfifo(pid)
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "data") as server:
        assert host.cluster.runs()
        pid.unlink()
        pid.symlink_to("/proc/self/status")
        assert host.cluster.runs()
        server.kill()
    assert not host.cluster.runs()
    pid.unlink()
    pid.write_text("../../etc\n")
    assert not host.cluster.runs()


@pytest.mark.parametrize("planted", ["link", "pipe"])
def test_nothing_of_root_s_is_touched_through_start_conf(
    host: Guard, tmp_path: Path, planted: str
) -> None:
    """It stands in a folder of the cluster's owner, who may make it anything."""
    conf, prey = tmp_path / "start.conf", tmp_path / "shadow"
    prey.write_text("root's")
    conf.unlink()
    if planted == "link":
        conf.symlink_to(prey)
    else:
        os.mkfifo(conf)

    host.cluster.leave_at_boot()

    assert prey.read_text() == "root's"
    assert "cannot be written" in host.journal.complaint


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone has somebody else to act as")
def test_root_writes_start_conf_as_the_owner_of_its_folder() -> None:
    """A link to a file of root's, by way of a folder of theirs: the kernel says no."""
    with tempfile.TemporaryDirectory() as made:
        folder, prey = Path(made) / "main", Path(made) / "prey"
        Path(made).chmod(0o755)
        folder.mkdir()
        prey.mkdir()
        (prey / "start.conf").write_text("auto\n")
        shutil.chown(folder, "nobody")
        guard = Guard({
            "right": made, "held": made, "waiting": made, "owner": "nobody",
            "start_conf": str(folder / "start.conf"),
        })  # fmt: skip
        guard.cluster.leave_at_boot()
        assert (folder / "start.conf").owner() == "nobody"
        assert (folder / "start.conf").read_text() == "manual\n"

        shutil.rmtree(folder)
        folder.symlink_to(prey)
        guard.cluster.leave_at_boot()
        assert (prey / "start.conf").read_text() == "auto\n"
        assert os.geteuid() == 0
