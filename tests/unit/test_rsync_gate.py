"""The gate at the origin, executed: rsync passes for the folders that are open, and nothing else.

`Gate.ask` runs the packed program as sshd would, with what a client asked for as its only
argument; the pulls and pushes are those of the real rsync on this machine.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from tasks.filestore import rsync as argv
from tasks.filestore import rsync_gate
from tasks.filestore.copies import APART
from tasks.install import zipapp
from tasks.readiness import sources

PULL = "rsync --server --sender -logDtpre.iLsfxCIvu"
CLOSED = b"!writing is open only while a repair or a failback runs"
PUSH = "rsync --server -logDtpre.iLsfxCIvu --delete"


@dataclass(frozen=True)
class Gate:
    """An origin in a folder: data, sources, a quarantine, and a secret beside them."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def sources(self) -> Path:
        return self.root / "sources"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def secret(self) -> Path:
        return self.root / "secret"

    @property
    def script(self) -> Path:
        return self.root / "gate"

    def open_for_writing(self, purpose: str = "failback") -> None:
        (self.root / "until").write_text(f"{purpose} {time.time() + 60:.0f}\n")

    def ask(self, command: str, *, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Ask as an attacker who holds the key may: any words, and nothing on standard input."""
        return subprocess.run(
            [sys.executable, "-IS", str(self.script), command],
            capture_output=True, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL, cwd=cwd or "/", timeout=20,
        )  # fmt: skip

    def refuses(self, command: str, *, cwd: Path | None = None) -> bool:
        done = self.ask(command, cwd=cwd)
        return done.returncode == 1 and "relevo: refused" in done.stderr and not done.stdout

    def rsync(
        self, *words: str, stdin: str = "", says: str = '"$*"'
    ) -> "subprocess.CompletedProcess[str]":
        """Run the real client; its ssh hands to the gate what it asks for, or what it is told."""
        ssh = self.root / "ssh"
        ssh.write_text(f"#!/bin/sh\nshift\nexec {sys.executable} -IS {self.script} {says}\n")
        ssh.chmod(0o755)
        return subprocess.run(
            ["rsync", "--rsh", str(ssh), *words], capture_output=True, text=True, check=False,
            input=stdin, env={**os.environ, "LC_ALL": "C"}, timeout=20,
        )  # fmt: skip


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    made = Gate(tmp_path)
    for folder in (made.data / "sub", made.sources, made.quarantine, made.secret):
        folder.mkdir(parents=True)
    (made.data / "sub" / "letter").write_text("hello")
    (made.secret / "passwd").write_text("root")
    (made.data / "way_out").symlink_to(made.secret)
    main = rsync_gate.render(
        instance="vps_1",
        read=[PurePosixPath(made.data), PurePosixPath(made.sources)],
        write=[PurePosixPath(made.data), PurePosixPath(made.quarantine)],
        until=PurePosixPath(tmp_path / "until"),
    )
    made.script.write_bytes(zipapp.pack("gate", main=main))
    return made


@pytest.mark.parametrize(
    "command",
    [
        "",
        "id",
        "bash -i",
        "rsync",
        "rsync --daemon",
        "rsync -a {secret}/ /tmp/x",
        "/bin/rsync --server --sender -r . {data}",
        "rsync --server --daemon .",
        "scp -f {secret}/passwd",
        "id; " + PULL + " . {data}",
        "id\n" + PULL + " . {data}",
    ],
)
def test_whatever_is_not_the_server_of_rsync_is_refused(gate: Gate, command: str) -> None:
    assert gate.refuses(command.format(data=gate.data, secret=gate.secret))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/",
        "{data}/../secret",
        "{data}/sub/../../secret/passwd",
        "{data}/way_out",
        "{data}/way_out/passwd",
        "{data}/sub/../way_out/",
        "{data}x",
        "{data} {secret}",
        "'{data}\n/../secret'",
        "{data} ; id",
        "{data} && id",
        "{data} | id",
        "{data}\nid",
        "{data} $(id)",
        "{quarantine}",
        "{data} {quarantine}",
        "secret",
        "../secret",
        "~/secret",
        "--files-from={secret}/passwd {data}",
    ],
)
def test_a_path_outside_of_the_folders_is_refused(gate: Gate, path: str) -> None:
    words = path.format(data=gate.data, secret=gate.secret, quarantine=gate.quarantine)

    assert gate.refuses(f"{PULL} . {words}")


@pytest.mark.parametrize(
    "option",
    [
        "--remove-source-files",
        "--log-file={root}/log",
        "--rsync-path=/bin/sh",
        "--rsh=/bin/sh",
        "--files-from={secret}/passwd",
        "--copy-links",
        "--copy-unsafe-links",
        "--keep-dirlinks",
        "--temp-dir={secret}",
        "--partial-dir={secret}",
        "--link-dest={secret}",
        "--compare-dest={secret}",
        "--copy-dest={secret}",
        "--write-batch={root}/batch",
        "--only-write-batch={root}/batch",
        "--read-batch={root}/batch",
        "--config={root}/conf",
        "--daemon",
        "--iconv=x",
        "--exclude-from={secret}/passwd",
        "--debug=ALL",
        "--",
        "-L",
        "-k",
        "-K",
        "-rLt",
        "-s",
        "'--stats x'",
        "--statsx",
        "'--stats;id'",
        "-e '-r; id'",
        "--timeout=9;id",
    ],
)
def test_an_option_that_reaches_further_is_refused(gate: Gate, option: str) -> None:
    words = option.format(root=gate.root, secret=gate.secret)

    assert gate.refuses(f"{PULL} {words} . {gate.data}")


@pytest.mark.parametrize("option", ["--log-file", "--temp-dir", "--partial-dir", "--write-batch"])
def test_an_option_that_writes_elsewhere_is_refused_while_writing_is_open(
    gate: Gate, option: str
) -> None:
    gate.open_for_writing()

    assert gate.refuses(f"{PUSH} {option}={gate.secret}/x . {gate.data}")
    assert gate.refuses(f"{PUSH} {option} {gate.secret}/x . {gate.data}")


@pytest.mark.parametrize("option", ["--secluded-args", "--protect-args"])
def test_paths_that_come_by_standard_input_are_refused(gate: Gate, option: str) -> None:
    """A client of the attacker's own names an open folder to the gate, another one to rsync."""
    said = f"'{PULL} {option} . {gate.data}'"

    gate.rsync("-a", "--secluded-args", f"x:{gate.secret}/", f"{gate.root}/stolen/", says=said)

    assert not (gate.root / "stolen" / "passwd").exists()


def test_an_option_that_poses_as_a_path_is_refused_wherever_the_login_is_at_home(
    gate: Gate,
) -> None:
    assert gate.refuses(f"{PULL} . {gate.data} --log-file={gate.root}/log", cwd=gate.data)


@pytest.mark.parametrize(
    "words",
    [PULL, PULL + " .", PULL + " . ''", PULL + " {data} {data}", PULL + " . '", "rsync '"],
)
def test_words_that_rsync_s_client_never_says_run_nothing(gate: Gate, words: str) -> None:
    done = gate.ask(words.format(data=gate.data))

    assert done.returncode == 1
    assert not done.stdout


@pytest.mark.parametrize(
    "until",
    [
        None, "", "never", "0", "-1", "{past}", "failback {past}", "{later}", "failback",
        "failback -1", "failback inf", "failback 9e99", "repair {later}", "FAILBACK {later}",
        "failback {later} x", "repair {later} failback {later}", "failback " + 500 * "9",
    ],
)  # fmt: skip
def test_writing_is_refused_unless_it_is_open_now(gate: Gate, until: str | None) -> None:
    if until is not None:
        now = time.time()
        text = until.format(past=f"{now - 1:.0f}\n", later=f"{now + 60:.0f}")
        (gate.root / "until").write_text(text)

    assert gate.refuses(f"{PUSH} . {gate.data}")


@pytest.mark.parametrize(
    "words",
    [
        ". {secret}",
        ". {sources}",
        ". {data} {sources}",
        "-b --backup-dir={sources} . {data}",
        ". {data}/../secret",
        ". {data}/way_out",
        ". {root}",
        "-b --backup-dir={secret} . {data}",
        "-b --backup-dir {secret} . {data}",
        "-b --backup-dir={data}/way_out/x . {data}",
        "-b --backup-dir={quarantine}/../secret . {data}",
        "-b --backup-dir=../secret . {data}",
        "-b --backup-dir= . {data}",
        "--sender . {data}",
    ],
)
def test_writing_outside_of_the_two_folders_is_refused_while_it_is_open(
    gate: Gate, words: str
) -> None:
    gate.open_for_writing()
    folders = {
        name: getattr(gate, name) for name in ("root", "data", "sources", "quarantine", "secret")
    }

    assert gate.refuses(f"{PUSH} {words.format(**folders)}")


def test_a_pull_brings_the_tree_and_its_links_as_links(gate: Gate) -> None:
    done = gate.rsync("-a", "--timeout=15", f"x:{gate.data}/", f"{gate.root}/copy/")

    assert done.returncode == 0, done.stderr
    assert (gate.root / "copy" / "sub" / "letter").read_text() == "hello"
    assert (gate.root / "copy" / "way_out").is_symlink()


def test_a_pull_that_names_deletions_and_one_that_trashes_them_work(gate: Gate) -> None:
    copy, trash = gate.root / "copy", gate.root / "trash"
    copy.mkdir()
    (copy / "gone").write_text("x")
    words = (
        "-a", "--delete", "--existing", "--ignore-existing", "--backup", f"--backup-dir={trash}",
        "--timeout=15", "--stats", "--no-human-readable",
    )  # fmt: skip

    dry = gate.rsync(*words, "--dry-run", f"x:{gate.data}/", f"{copy}/")
    assert (dry.returncode, (copy / "gone").exists()) == (0, True), dry.stderr
    assert "Number of deleted files: 1" in dry.stdout

    wet = gate.rsync(*words, f"x:{gate.data}/", f"{copy}/")
    assert wet.returncode == 0, wet.stderr
    assert (trash / "gone").exists()


def test_a_pull_from_outside_fails_with_a_sentence_that_relevo_knows(gate: Gate) -> None:
    done = gate.rsync("-a", f"x:{gate.secret}/", f"{gate.root}/copy/")

    assert done.returncode != 0
    assert "relevo: refused: path" in done.stderr
    assert not (gate.root / "copy" / "passwd").exists()


def push(gate: Gate, target: Path) -> "subprocess.CompletedProcess[str]":
    """Push as failback does."""
    kept = PurePosixPath(gate.quarantine) / "2026-01-01"
    _, *words = argv.give_back(f"{gate.root}/served/", f"x:{target}/", quarantine=kept)
    return gate.rsync(*words)


def test_a_push_mirrors_the_tree_and_keeps_what_only_the_origin_had(gate: Gate) -> None:
    gate.open_for_writing()
    (gate.root / "served").mkdir()
    (gate.root / "served" / "new").write_text("new")

    done = push(gate, gate.data)

    assert done.returncode == 0, done.stderr
    assert [path.name for path in gate.data.iterdir()] == ["new"]
    assert (gate.quarantine / "2026-01-01" / "sub" / "letter").read_text() == "hello"


def test_a_push_changes_nothing_when_writing_is_not_open(gate: Gate) -> None:
    (gate.root / "served").mkdir()

    done = push(gate, gate.data)

    assert "writing is open only while a failback runs" in done.stderr
    assert (gate.data / "sub" / "letter").exists()


def test_a_push_through_a_link_out_of_the_tree_writes_nothing_there(gate: Gate) -> None:
    gate.open_for_writing()
    (gate.root / "served").mkdir()
    (gate.root / "served" / "new").write_text("new")

    done = push(gate, gate.data / "way_out")

    assert "relevo: refused: path" in done.stderr
    assert sorted(path.name for path in gate.secret.iterdir()) == ["passwd"]


@pytest.mark.parametrize("folder", ["filestore", "sessions"])
def test_a_folder_that_is_a_link_at_the_origin_leaves_ours_as_it_is(
    gate: Gate, folder: str
) -> None:
    (gate.data / folder).symlink_to(gate.sources)
    ours = gate.root / "copy" / folder
    ours.mkdir(parents=True)
    (ours / "letter").write_text("hello")

    _, *words = argv.copy(f"x:{gate.data}/", f"{gate.root}/copy/", options=APART)
    done = gate.rsync(*words)

    assert done.returncode == 0, done.stderr
    assert not ours.is_symlink()
    assert (ours / "letter").read_text() == "hello"


def test_a_push_leaves_a_filestore_that_is_a_link_on_either_side_as_it_is(gate: Gate) -> None:
    gate.open_for_writing()
    (gate.data / "filestore").symlink_to(gate.sources)
    (gate.root / "served").mkdir()
    (gate.root / "served" / "filestore").symlink_to(gate.secret)

    done = push(gate, gate.data)

    assert done.returncode == 0, done.stderr
    assert (gate.data / "filestore").readlink() == gate.sources


def files(gate: Gate, *requests: str) -> list[bytes]:
    """Ask for files as the engine does; give each answer with its kind before it."""
    done = subprocess.run(
        [sys.executable, "-IS", str(gate.script), "relevo files"],
        input="".join(requests).encode(), capture_output=True, check=True, timeout=20,
    )  # fmt: skip
    answers, said = [], done.stdout
    while said:
        size = int.from_bytes(said[1:9], "big")
        answers.append(said[:1] + said[9 : 9 + size])
        said = said[9 + size :]
    return answers


def stored(gate: Gate, content: bytes, database: str = "shop") -> str:
    name = hashlib.sha1(content).hexdigest()
    path = gate.data / "filestore" / database / name[:2] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"{database}/{name[:2]}/{name}"


def test_files_are_served_by_name_and_absence_is_said_with_the_time(gate: Gate) -> None:
    name = stored(gate, b"letter")
    absent = f"shop/ab/{20 * 'ab'}"

    one, none, summed = files(gate, f"get {name}\n", f"get {absent}\n", f"sum {name}\n")

    assert one == b"+letter"
    assert none[:1] == b"0"
    assert abs(float(none[1:]) - time.time()) < 60
    assert summed == b"+" + name[-40:].encode()


@pytest.mark.parametrize(
    "request_",
    [
        "get ../secret/passwd\n",
        "get shop/../../secret/passwd\n",
        "get /etc/passwd\n",
        f"get ./ab/{20 * 'ab'}\n",
        f"get shop/ac/{20 * 'ab'}\n",
        "list ..\n",
        "list .\n",
        "list .relevo-incoming\n",
        "list sh\top\n",
        f"get .shop/ab/{20 * 'ab'}\n",
        f"get sh\rop/ab/{20 * 'ab'}\n",
        "run id\n",
        "\n",
    ],
)
def test_nothing_but_a_name_of_odoo_s_own_is_served(gate: Gate, request_: str) -> None:
    stored(gate, b"letter")
    (answer,) = files(gate, request_)
    assert answer[:1] == b"!"


def test_no_link_is_followed_wherever_it_stands(gate: Gate) -> None:
    name = stored(gate, b"letter")
    path = gate.data / "filestore" / name
    path.rename(gate.secret / path.name)
    path.symlink_to(gate.secret / path.name)
    other = gate.data / "filestore" / "other"
    other.symlink_to(gate.data / "filestore" / "shop")

    answers = files(gate, f"get {name}\n", f"get {name.replace('shop', 'other')}\n")

    assert [answer[:1] for answer in answers] in ([b"!", b"!"], [b"!", b"0"])


def test_a_file_is_put_only_while_writing_is_open_and_only_if_it_is_what_its_name_says(
    gate: Gate,
) -> None:
    stored(gate, b"letter")
    digest = hashlib.sha1(b"new").hexdigest()
    path = gate.data / "filestore" / "shop" / digest[:2] / digest
    good, bad = f"put shop/{digest[:2]}/{digest} 3\nnew", f"put shop/{digest[:2]}/{digest} 3\nold"

    assert files(gate, good, good) == [CLOSED] * 2
    assert not path.exists()
    gate.open_for_writing()
    assert files(gate, bad)[0][:1] == b"!"
    assert not path.exists()
    assert files(gate, good, good, "flush\n") == [b"+", b"+", b"+"]
    assert path.read_bytes() == b"new"
    assert files(gate, f"aside shop/{digest[:2]}/{digest}\n") == [b"+"]
    assert [p.read_bytes() for p in gate.quarantine.rglob(digest)] == [b"new"]


def test_a_database_s_name_may_have_spaces(gate: Gate) -> None:
    name = stored(gate, b"letter", "Cliente Uno")
    gate.open_for_writing()
    new = hashlib.sha1(b"new").hexdigest()

    requests = (
        f"get {name}\n", f"sum {name}\n", "list Cliente Uno\n",
        f"put Cliente Uno/{new[:2]}/{new} 3\nnew", f"aside {name}\n",
    )  # fmt: skip
    got, summed, listed, put, aside = files(gate, *requests)

    assert got == b"+letter"
    assert summed == b"+" + name[-40:].encode()
    assert zlib.decompress(listed[1:]).decode() == f"{name[-43:]} 6\n"
    assert (put, aside) == (b"+", b"+")
    assert [p.read_bytes() for p in gate.quarantine.rglob(name[-40:])] == [b"letter"]


@pytest.fixture
def disk(gate: Gate) -> Iterator[Path]:
    """Give the quarantine a file system of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(gate.quarantine)], check=True)
    yield gate.quarantine
    subprocess.run(["umount", str(gate.quarantine)], check=True)


def test_a_file_moves_aside_to_another_file_system_with_its_mode_and_time(
    gate: Gate, disk: Path
) -> None:
    name = stored(gate, b"letter")
    path = gate.data / "filestore" / name
    path.chmod(0o640)
    os.utime(path, (5, 7))
    gate.open_for_writing()

    assert files(gate, f"aside {name}\n") == [b"+"]

    (kept,) = (each for each in disk.rglob("*") if each.is_file())
    assert (kept.name, kept.read_bytes()) == (path.name, b"letter")
    assert (kept.stat().st_mode & 0o777, kept.stat().st_mtime) == (0o640, 7)
    assert not path.exists()


def test_a_file_stays_where_it_is_when_the_other_file_system_is_full(
    gate: Gate, disk: Path
) -> None:
    name = stored(gate, os.urandom(100_000))
    subprocess.run(["mount", "-o", "remount,size=16k", str(disk)], check=True)
    gate.open_for_writing()

    (answer,) = files(gate, f"aside {name}\n")

    assert answer == b"!No space left on device"
    assert (gate.data / "filestore" / name).stat().st_size == 100_000
    assert not list(disk.rglob(name[-40:]))


def new_file(content: bytes, database: str = "shop") -> tuple[str, str]:
    """The name of a file that is not there, and the request that puts it."""
    digest = hashlib.sha1(content).hexdigest()
    name = f"{database}/{digest[:2]}/{digest}"
    return name, f"put {name} {len(content)}\n{content.decode()}"


def test_a_repair_gives_documents_back_and_opens_nothing_else(gate: Gate) -> None:
    gate.open_for_writing("repair")
    good = stored(gate, b"letter")
    (gate.data / "filestore" / stored(gate, b"spoiled")).write_bytes(b"")
    spoiled, mend = new_file(b"spoiled")
    lost, give = new_file(b"lost")

    assert files(gate, mend, give, "flush\n") == [b"+", b"+", b"+"]
    assert (gate.data / "filestore" / spoiled).read_bytes() == b"spoiled"
    assert (gate.data / "filestore" / lost).read_bytes() == b"lost"
    assert files(gate, f"aside {good}\n") == [
        b"!it is what its name says, and a repair leaves such files alone"
    ]
    assert (gate.data / "filestore" / good).read_bytes() == b"letter"
    for target in (gate.data, gate.data / "addons", gate.data / "filestore", gate.quarantine):
        done = gate.ask(f"{PUSH} . {target}")
        assert done.returncode == 1
        assert "writing is open for a repair, and this is not part of one" in done.stderr


def test_a_repair_by_rsync_changes_nothing(gate: Gate) -> None:
    gate.open_for_writing("repair")
    (gate.root / "served").mkdir()
    (gate.root / "served" / "evil.py").write_text("code")

    done = push(gate, gate.data)

    assert "writing is open for a repair" in done.stderr
    assert sorted(path.name for path in gate.data.iterdir()) == ["sub", "way_out"]


@pytest.mark.parametrize("purpose", ["repair", "failback"])
def test_a_put_never_replaces_a_file_that_is_right(gate: Gate, purpose: str) -> None:
    gate.open_for_writing(purpose)
    name = stored(gate, b"letter")
    path = gate.data / "filestore" / name
    before = path.stat().st_ino

    assert files(gate, f"put {name} 6\nletter", f"put {name} 6\nrettel")[0] == b"+"
    assert (path.stat().st_ino, path.read_bytes()) == (before, b"letter")
    assert not list(gate.quarantine.rglob(path.name))


@pytest.mark.parametrize("purpose", ["repair", "failback"])
@pytest.mark.parametrize(
    "name", ["addons/0b/evil.py", "../addons/0b/" + 20 * "0b", "shop/../" + 20 * "0b", "shop/0b/x"]
)
def test_nothing_but_a_document_s_name_is_put_or_moved(gate: Gate, purpose: str, name: str) -> None:
    (gate.data / "filestore").mkdir()
    gate.open_for_writing(purpose)
    answers = files(gate, f"put {name} 4\ncode", f"aside {name}\n")
    assert answers == [b"!it is not the name of a file"] * 2
    assert not list(gate.root.rglob("evil.py"))


@pytest.mark.parametrize("link", ["database", "shard", "stage", "quarantine", "day"])
def test_nothing_is_written_through_a_link_of_the_origin_s(gate: Gate, link: str) -> None:
    """What Odoo's user has planted leads the recovery host's key nowhere else."""
    gate.open_for_writing()
    (gate.data / "filestore" / stored(gate, b"new")).write_bytes(b"spoiled")
    name, put = new_file(b"new")
    top = gate.data / "filestore"
    if link == "database":
        (top / "shop").rename(gate.secret / "shop")
        (top / "shop").symlink_to(gate.secret / "shop")
    elif link == "shard":
        (top / name).parent.rename(gate.secret / "shard")
        (top / name).parent.symlink_to(gate.secret / "shard")
    elif link == "stage":
        (top / ".relevo-incoming").symlink_to(gate.secret)
    elif link == "quarantine":
        gate.quarantine.rmdir()
        gate.quarantine.symlink_to(gate.secret)
    else:
        day = time.strftime("%Y-%m-%d", time.gmtime())
        (gate.quarantine / day).symlink_to(gate.secret)
    before = sorted(gate.secret.rglob("*"))

    (answer,) = files(gate, put)

    assert answer[:1] in {b"!", b"0"}
    assert sorted(gate.secret.rglob("*")) == before
    assert [path.read_bytes() for path in gate.root.rglob(name[-40:])] == [b"spoiled"]


def test_a_list_does_not_go_through_a_link(gate: Gate) -> None:
    name = stored(gate, b"letter")
    (gate.secret / name[-40:]).write_bytes(b"secret")
    (gate.data / "filestore" / "shop" / "ab").symlink_to(gate.secret)

    (listed,) = files(gate, "list shop\n")

    assert zlib.decompress(listed[1:]).decode() == f"{name[-43:]} 6\n"


@pytest.mark.parametrize("purpose", ["repair", "failback"])
def test_the_last_of_the_disk_is_never_taken(gate: Gate, purpose: str) -> None:
    """A recovery host gone mad may fill whatever it likes, but for the disk of the origin."""
    top = gate.data / "filestore"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(top)], check=True)
    try:
        gate.open_for_writing(purpose)
        contents = [bytes([65 + at]) * 200_000 for at in range(8)]
        answers = files(gate, *(new_file(content)[1] for content in contents))
        free = os.statvfs(top)
    finally:
        subprocess.run(["umount", str(top)], check=True)

    assert answers[:4] == [b"+"] * 4
    assert answers[-1].endswith(b"MB stay so")
    assert free.f_bavail * free.f_frsize >= 0.05 * 1_000_000


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"x" * 100_000, b"a request of more than 4096 bytes"),
        (b"put shop/0b/" + 20 * b"0b" + b" 99999999999999\n", b"a file of more than 2048 MB"),
        (b"put shop/0b/" + 20 * b"0b" + b" -1\n", b"or of no size"),
        (b"put shop/0b/" + 20 * b"0b" + b" \n", b"or of no size"),
    ],
)
def test_whoever_asks_without_sense_is_answered_once_and_left(
    gate: Gate, said: bytes, why: bytes
) -> None:
    stored(gate, b"letter")
    gate.open_for_writing()
    done = subprocess.run(
        [sys.executable, "-IS", str(gate.script), "relevo files"],
        input=said + b"\nlist shop\n", capture_output=True, check=True, timeout=20,
    )  # fmt: skip
    size = int.from_bytes(done.stdout[1:9], "big")
    assert done.stdout[:1] == b"!"
    assert why in done.stdout[9:]
    assert len(done.stdout) == 9 + size


def test_a_request_without_end_takes_no_memory_of_the_origin(gate: Gate) -> None:
    (gate.data / "filestore").mkdir()
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_AS, (200 << 20,) * 2)"
    )
    program = f"{limited}; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    with subprocess.Popen(["/usr/bin/yes", "xxxx"], stdout=subprocess.PIPE) as endless:
        with subprocess.Popen(
            ["tr", "-d", "\\n"], stdin=endless.stdout, stdout=subprocess.PIPE
        ) as x:
            done = subprocess.run(
                [sys.executable, "-IS", "-c", program, str(gate.script), "relevo files"],
                stdin=x.stdout, capture_output=True, timeout=20, check=False,
            )  # fmt: skip
            x.kill()
        endless.kill()
    assert done.returncode == 0, done.stderr
    assert b"a request of more than 4096 bytes" in done.stdout


@pytest.mark.parametrize("planted", ["a link", "a pipe"])
def test_the_word_that_opens_the_door_is_a_file_of_its_own(gate: Gate, planted: str) -> None:
    if planted == "a pipe":
        os.mkfifo(gate.root / "until")
    else:
        gate.open_for_writing()
        (gate.root / "until").rename(gate.root / "elsewhere")
        (gate.root / "until").symlink_to(gate.root / "elsewhere")
    assert gate.refuses(f"{PUSH} . {gate.data}")


def test_what_is_overwritten_by_a_copy_is_kept_and_a_second_copy_leaves_it_as_it_is(
    gate: Gate,
) -> None:
    """A file that is encrypted twice has its first content in the trash of the first copy."""
    source, copy, trash = gate.sources / "module", gate.root / "copy", gate.root / "trash"
    copy.mkdir()
    for moment, content in (("1", "good"), ("2", "spoiled"), ("3", "spoiled again")):
        source.mkdir(exist_ok=True)
        (source / "views.xml").write_text(content)
        kept = argv.keep(PurePosixPath(trash) / "2026-01-01" / f"sources-{moment}")
        _, *words = argv.copy(f"x:{gate.sources}/", f"{copy}/", options=kept)
        done = gate.rsync(*words)
        assert done.returncode == 0, done.stderr
    assert (copy / "module" / "views.xml").read_text() == "spoiled again"
    assert {
        str(path.relative_to(trash)): path.read_text()
        for path in trash.rglob("*")
        if path.is_file()
    } == {
        "2026-01-01/sources-2/module/views.xml": "good",
        "2026-01-01/sources-3/module/views.xml": "spoiled",
    }


@pytest.mark.parametrize("was", ["folder", "link", "file"])
@pytest.mark.parametrize("is_now", ["folder", "link", "file"])
def test_what_became_a_folder_a_link_or_a_file_is_copied_as_what_it_is_now(
    gate: Gate, was: str, is_now: str
) -> None:
    """A folder of modules that was moved away and linked once ended each later copy with 23."""
    copy, trash = gate.root / "copy", gate.root / "trash"
    copy.mkdir()
    module = gate.sources / "module"
    for moment, what in (("1", was), ("22", is_now)):
        if module.is_dir() and not module.is_symlink():
            shutil.rmtree(module)
        else:
            module.unlink(missing_ok=True)
        _make(module, what, content=moment)
        kept = argv.keep(PurePosixPath(trash) / moment)
        _, *words = argv.copy(f"x:{gate.sources}/", f"{copy}/", options=kept)
        done = gate.rsync(*words)
        assert done.returncode == 0, done.stderr

    assert _content(copy / "module") == _content(module)
    if was != is_now:
        assert _content(trash / "22" / "module") == _content_of(was, "1")


def _make(path: Path, what: str, *, content: str) -> None:
    if what == "folder":
        (path / "views").mkdir(parents=True)
        (path / "views" / "a.xml").write_text(content)
    elif what == "link":
        path.symlink_to(f"/elsewhere/{content}")
    else:
        path.write_text(content)


def _content_of(what: str, content: str) -> str:
    return f"-> /elsewhere/{content}" if what == "link" else content


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return (path / "views" / "a.xml" if path.is_dir() else path).read_text()


def _code(gate: Gate) -> tuple[Path, Path]:
    """Sources at the origin, and their copy here."""
    there, copy = gate.sources / "lab", gate.root / "code"
    there.mkdir(parents=True)
    (there / "models.py").write_text("a = 1\n")
    (there / "odoo.log").write_text("x\n")
    (gate.sources / "lost+found").mkdir(mode=0o700)
    gate.rsync(*argv.copy(f"x:{gate.sources}/", f"{copy}/", options=(argv.NO_LOST_AND_FOUND,))[1:])
    return there, copy


def _changed(gate: Gate, copy: Path) -> list[str]:
    done = gate.rsync(*sources.compare(f"x:{gate.sources}/", PurePosixPath(copy))[1:])
    assert done.returncode == 0, done.stderr
    return sources.changed(done.stdout)


def test_code_that_was_changed_in_place_at_the_origin_is_named_and_not_copied(gate: Gate) -> None:
    there, copy = _code(gate)
    assert _changed(gate, copy) == []
    (there / "models.py").write_text("a = 12\n")
    (there / "views.xml").write_text("<odoo/>\n")
    (there / "odoo.log").write_text("much more\n")
    (there / "__pycache__").mkdir()
    (there / "__pycache__" / "models.pyc").write_text("x")

    assert sorted(_changed(gate, copy)) == ["lab/models.py", "lab/views.xml"]
    assert (copy / "lab" / "models.py").read_text() == "a = 1\n"
    assert not (copy / "lost+found").exists()


def test_a_folder_of_root_s_on_a_mounted_disk_and_a_linked_folder_of_sessions_stay(
    gate: Gate,
) -> None:
    """A way home once ended with 23 at the first, and put a folder in the place of the second."""
    gate.open_for_writing()
    (gate.data / "lost+found").mkdir()
    (gate.data / "sessions").symlink_to(gate.secret)
    (gate.root / "served" / "sessions").mkdir(parents=True)
    kept = PurePosixPath(gate.quarantine) / "2026-01-01"
    _, *words = argv.give_back(
        f"{gate.root}/served/", f"x:{gate.data}/", quarantine=kept, options=(argv.NO_SESSIONS,)
    )

    done = gate.rsync(*words)

    assert done.returncode == 0, done.stderr
    assert sorted(each.name for each in gate.data.iterdir()) == ["lost+found", "sessions"]
    assert (gate.data / "sessions").is_symlink()
