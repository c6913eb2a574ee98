"""An origin in somebody else's hands: what it says is bounded, and costs the others nothing."""

import collections
import itertools
import json
import os
import sqlite3
import struct
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.programs.filestore import answer, follow, origin, pipes, wire
from tasks.programs.filestore.answer import Answer, Oversize
from tasks.programs.filestore.decide import BAD
from tasks.programs.filestore.engine import Engine
from tasks.programs.filestore.fetch import Fetcher
from tasks.programs.filestore.follow import Condition, Followers
from tasks.programs.filestore.names import Key
from tasks.programs.filestore.origin import Origin
from tasks.programs.filestore.settings import Settings
from tasks.programs.filestore.store import Store
from tasks.programs.filestore.trouble import Full, OriginAway, Promoted, Trouble
from tests.lab.machine import wait_until

NAME = "shop/0b/" + 20 * "0b"
MEMORY = 30 << 20
OPENED: list[Origin] = []


def says(program: str) -> Origin:
    """An origin that is a program of its own: `head` writes the head of an answer."""
    begin = (
        "import os, struct, sys, time, zlib\n"
        "out = sys.stdout.buffer\n"
        "def head(kind, size): out.write(struct.pack('>cQ', kind, size))\n"
    )
    there = Origin([sys.executable, "-c", begin + program], "uno")
    OPENED.append(there)
    return there


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Nothing here may take more memory than a healthy origin's answers do."""
    tracemalloc.start()
    yield
    while OPENED:
        OPENED.pop().close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY, f"{peak >> 20} MB"


def drop(_: str, answer: Answer) -> None:
    for _part in answer.parts(memoryview(bytearray(1 << 20))):
        pass


ASK: dict[str, Callable[[Origin], Any]] = {
    "flush": lambda there: there.put([]),
    "aside": lambda there: there.aside([NAME]),
    "sum": lambda there: there.sums([NAME]),
    "list": lambda there: there.list("shop"),
}


@pytest.mark.parametrize("kind", [b"+", b"0", b"!"])
@pytest.mark.parametrize("verb", ASK)
def test_an_answer_of_any_size_is_not_read(verb: str, kind: bytes) -> None:
    """A refusal of 3 GB once went into the memory of the process that serves all customers."""
    there = says(f"head({kind!r}, 3 << 30)\nwhile True: out.write(bytes(1 << 20))")
    with pytest.raises(Oversize, match="uno announces 3221225472 bytes") as told:
        ASK[verb](there)
    assert told.value.hint.startswith("find out ")
    assert there.process is None, "it is not listened to any more"


def test_a_list_that_unpacks_to_a_thousand_times_its_size_is_not_unpacked() -> None:
    for line in (
        "ab/" + 20 * "ab" + " 1\n",
        "\n",
        "x",
        "ab/" + 20 * "ab" + " " + 5000 * "9" + "\n",
    ):
        bomb = f"""
packer, packed = zlib.compressobj(9), b""
for _ in range(60): packed += packer.compress({line!r}.encode() * ((1 << 20) // {len(line)}))
packed += packer.flush()
head(b"+", len(packed)); out.write(packed); out.flush(); time.sleep(60)
"""
        there = says(bomb)
        if line.startswith("ab/") and line.endswith(" 1\n"):
            assert there.list("shop") == {line[:43]: 1}, "the same name is one entry"
        else:
            with pytest.raises(Trouble, match="uno gives no list of shop that can be read"):
                there.list("shop")


@pytest.mark.parametrize(
    "packed",
    [
        b"no zlib", b"", zlib.compress(b"ab/x 1\n"), zlib.compress(b"../../etc/passwd 1\n"),
        zlib.compress(("ab/" + 20 * "ab" + " 1\n").encode())[:-3],
        zlib.compress(("ab/" + 20 * "ab" + " 1\n").encode()) + b"more",
        zlib.compress(("ab/" + 20 * "ab" + " 1").encode()),
        zlib.compress(("ab/" + 20 * "ab" + " -1\n").encode()),
    ],
)  # fmt: skip
def test_a_list_that_is_none_is_a_sentence(packed: bytes) -> None:
    there = says(f"head(b'+', {len(packed)}); out.write({packed!r}); out.flush(); time.sleep(60)")
    with pytest.raises(Trouble, match="uno gives no list of shop that can be read"):
        there.list("shop")


def test_a_list_has_no_more_files_than_anybody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "NAMES", 1000)
    there = says(
        "packed = zlib.compress(''.join(f'ab/{at:040x} 1\\n' for at in range(2000)).encode())\n"
        "head(b'+', len(packed)); out.write(packed); out.flush(); time.sleep(60)"
    )
    with pytest.raises(Trouble, match="more than 1000 files"):
        there.list("shop")


@pytest.mark.parametrize(
    "program",
    [
        "time.sleep(60)",
        "while True: out.write(b'+'); out.flush(); time.sleep(0.4)",
        "head(b'+', 1 << 30)\nwhile True: out.write(b'x'); out.flush(); time.sleep(0.4)",
        "head(b'+', 1 << 30); out.flush(); time.sleep(60)",
    ],
)
def test_an_origin_that_drips_is_away(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """One byte a minute keeps nobody waiting for longer than none at all."""
    monkeypatch.setattr(pipes, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(origin, "GOODBYE_SECONDS", 0.2)
    there, begun = says(program), time.monotonic()
    with pytest.raises(OriginAway, match="uno does not answer: no answer for 1 s"):
        there.get([NAME], drop)
    assert time.monotonic() - begun < 5


def test_an_origin_that_does_not_read_is_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pipes, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(origin, "GOODBYE_SECONDS", 0.2)
    (tmp_path / "document").write_bytes(bytes(5_000_000))
    there, begun = says("time.sleep(60)"), time.monotonic()
    with pytest.raises(OriginAway, match="no answer for 1 s"):
        there.put([(NAME, str(tmp_path / "document"))])
    assert time.monotonic() - begun < 5


def test_complaints_without_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "GOODBYE_SECONDS", 1)
    there = says("out.close(); os.close(1)\nwhile True: sys.stderr.write('x' * 65536)")
    with pytest.raises(OriginAway) as told:
        there.get([NAME], drop)
    assert len(told.value.message) < 1000


def test_what_speaks_another_language_is_a_sentence() -> None:
    there = says("out.write(b'Welcome to this server.\\n'); out.flush(); time.sleep(60)")
    with pytest.raises(Trouble, match="which Relevo's gate there never says"):
        there.get([NAME], drop)


@pytest.mark.parametrize("said", [b"", b"nan", b"inf", b"soon", b"\xff\xff", b"9" * 4000])
def test_a_time_that_is_none_is_a_sentence(said: bytes) -> None:
    there = says(f"head(b'0', {len(said)}); out.write({said!r}); out.flush(); time.sleep(60)")
    with pytest.raises(Trouble, match="where it should say a time"):
        there.get([NAME], lambda _, answer: print(answer.moment()))


# --------------------------------------------------------------------------------- contents


class Noted:
    """The part of the state that a fetcher writes."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}

    def failed(self, key: Key, state: str, *, why: str, since: float = 0.0) -> None:
        assert since == 0.0
        self.why[key.path] = f"{state}: {why}"


def key(at: int) -> Key:
    return Key("shop", f"ab/ab{at:038x}")


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "filestore"), str(tmp_path / "work"), str(tmp_path / "trash"))


def test_one_endless_file_keeps_no_other_from_being_fetched(here: Store) -> None:
    """What is longer than any document is not taken, and the others are asked for anew."""
    there = says(
        "for line in sys.stdin:\n"
        f"    if {key(1).name!r} in line: head(b'+', 1 << 63)\n"
        "    else: head(b'+', 3); out.write(b'bad')\n"
        "    out.flush()\n"
    )
    noted = Noted()
    fetcher = Fetcher(here, noted, there, lambda _: None)  # type: ignore[arg-type]
    OPENED.append(fetcher.newest)
    fetcher.now([key(at) for at in range(4)])
    assert sorted(noted.why) == [key(at).path for at in range(4)]
    assert noted.why[key(1).path].startswith(f"{BAD}: uno announces 9223372036854775808 bytes")
    assert noted.why[key(2).path] == f"{BAD}: 3 bytes at the origin have another checksum"
    assert [path for path in Path(here.work).rglob("*") if path.is_file()] == []


def test_an_origin_of_endless_files_alone_is_left_after_a_few(here: Store) -> None:
    there = says("while True: head(b'+', 1 << 63); out.write(bytes(1 << 20))")
    noted = Noted()
    with pytest.raises(Oversize, match="uno announces"):
        Fetcher(here, noted, there, lambda _: None).now([key(at) for at in range(9)])  # type: ignore[arg-type]
    assert len(noted.why) == 3


def test_the_last_of_the_disk_is_left_to_the_clusters(
    here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_blocks=1000, f_frsize=1 << 20, f_bavail=100)
    monkeypatch.setattr("tasks.programs.filestore.store.os.statvfs", lambda _: disk)
    here.require_room(50 << 20)
    with pytest.raises(Full, match="has 100 MB free, of which 50 MB are left to the clusters"):
        here.require_room(51 << 20)


def test_the_disk_is_asked_again_every_few_megabytes_and_not_for_each_file(
    here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def statvfs(folder: str) -> SimpleNamespace:
        asked.append(folder)
        return SimpleNamespace(f_blocks=1000, f_frsize=1 << 20, f_bavail=60 - len(asked) // 2)

    monkeypatch.setattr("tasks.programs.filestore.store.os.statvfs", statvfs)
    for _ in range(100):
        here.require_room(1 << 16)
    assert len(asked) == 2
    with pytest.raises(Full):
        collections.deque(map(here.require_room, itertools.repeat(1 << 16)), maxlen=0)
    assert len(asked) < 30


# --------------------------------------------------------------------------------- PostgreSQL


def talking(tmp_path: Path, said: bytes) -> wire.Connection:
    """A session with a server that answers this, whatever it is asked."""
    import socket  # noqa: PLC0415

    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(tmp_path / ".s.PGSQL.5432"))
    listening.listen()

    def serve() -> None:
        peer = listening.accept()[0]
        peer.recv(1000)
        peer.sendall(b"Z" + struct.pack(">I", 5) + b"I")
        peer.recv(1000)
        try:
            while True:
                peer.sendall(said)
        except OSError:
            listening.close()
            peer.close()

    threading.Thread(target=serve, daemon=True).start()
    return wire.Connection(str(tmp_path), 5432, "odoo", "shop", timeout_seconds=5)


@pytest.mark.parametrize("size", [0, 3, 1 << 31, 0xFFFFFFFF])
def test_a_message_of_any_size_is_not_read(tmp_path: Path, size: int) -> None:
    session = talking(tmp_path, b"D" + struct.pack(">I", size) + bytes(1000))
    with pytest.raises(Trouble, match=f"announces a message of {size} bytes"):
        session.ask("SELECT 1")
    assert session.socket.fileno() == -1, "what follows is not taken for an answer"


def test_rows_without_end_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_BYTES", 1 << 20)
    row = b"D" + struct.pack(">IHI", 4 + 2 + 4 + 1, 1, 1) + b"x"
    session = talking(tmp_path, row * 1000)
    with pytest.raises(Trouble, match="with more than 1 MB"):
        session.ask("SELECT 1")


# --------------------------------------------------------------------------------- followers


def settings(folder: Path, instance: str) -> Path:
    work = folder / instance / "engine"
    work.mkdir(parents=True)
    path = work / "settings.json"
    path.write_text(
        Settings(
            instance=instance, origin="uno", socket=str(folder), port=5432, role="odoo",
            filestore=str(folder / instance / "filestore"), work=str(work),
            trash=str(folder / instance / "trash"), channel=("false",),
        ).text()
    )  # fmt: skip
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "SAY_SECONDS", 0.05)
    monkeypatch.setattr(follow, "wait_before", lambda _: 0.05)


@pytest.fixture
def following(tmp_path: Path, quick: None) -> Iterator[tuple[Followers, list[list[Condition]]]]:
    """Followers of all instances of a folder, whose clusters are away."""
    said: list[list[Condition]] = []
    ended = threading.Event()
    followers = Followers(f"{tmp_path}/*/engine/settings.json", said.append)
    thread = threading.Thread(target=followers.run, args=(ended,), daemon=True)
    thread.start()
    yield followers, said
    assert thread.is_alive(), "one instance has ended the follower of all"
    ended.set()
    thread.join(timeout=30)


def states(followers: Followers) -> dict[str, str]:
    return {each.instance: each.state for each in followers.conditions}


@pytest.mark.parametrize("torn", ["", '{"instance": "vps_2"', "[]", "[" * 50_000, "{}", "a pipe"])
def test_torn_settings_are_red_and_keep_nobody_else_from_being_followed(
    tmp_path: Path, following: tuple[Followers, list[list[Condition]]], torn: str
) -> None:
    """One of them once ended the follower of all instances, in a restart loop."""
    followers, _ = following
    settings(tmp_path, "vps_1")
    path = settings(tmp_path, "vps_2")
    wait_until(lambda: states(followers) == {"vps_1": "away", "vps_2": "away"}, "both are there")
    whole = path.read_text()
    path.unlink()
    if torn == "a pipe":
        os.mkfifo(path)
    else:
        path.write_text(torn)
    os.utime(path, (1, 1))
    wait_until(lambda: states(followers) == {"vps_1": "away", "vps_2": "failing"}, "it is red")
    (broken,) = (each for each in followers.conditions if each.instance == "vps_2")
    assert "settings.json cannot be read" in broken.said
    assert time.time() - broken.since < 60
    path.unlink()
    path.write_text(whole)
    wait_until(lambda: states(followers) == {"vps_1": "away", "vps_2": "away"}, "it is mended")


@pytest.mark.parametrize(
    "fault",
    [ValueError("senseless"), sqlite3.OperationalError("disk full"), MemoryError(), KeyError("x")],
)
def test_a_thread_that_meets_anything_is_red_and_tries_again(
    tmp_path: Path,
    following: tuple[Followers, list[list[Condition]]],
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    """A ValueError once ended a thread for good, and its instance was "following" for ever."""
    tries: list[str] = []

    def sweep(engine: Any, *_: object) -> list[str]:
        tries.append(engine.settings.instance)
        if engine.settings.instance == "vps_2":
            raise fault
        return []

    def look(self: Any) -> None:
        self._is("look", "following")
        self.ended.wait(0.05)

    monkeypatch.setattr(Engine, "sweep", sweep)
    monkeypatch.setattr(follow.Follower, "_look", look)
    settings(tmp_path, "vps_1")
    settings(tmp_path, "vps_2")
    followers, _ = following
    wait_until(
        lambda: states(followers) == {"vps_1": "following", "vps_2": "failing"}, "one is red"
    )
    (red,) = (each for each in followers.conditions if each.instance == "vps_2")
    assert red.said.startswith(type(fault).__name__)
    wait_until(lambda: tries.count("vps_2") > 3, "it is tried again")
    assert states(followers)["vps_2"] == "failing", "the good word of the other thread hides it"


def test_a_disk_that_is_full_is_no_promotion() -> None:
    assert not issubclass(Full, Promoted)


def test_a_listener_that_fails_ends_nobody(tmp_path: Path, quick: None) -> None:
    told: list[int] = []

    def say(conditions: list[Condition]) -> None:
        told.append(len(conditions))
        raise OSError(28, "No space left on device")

    settings(tmp_path, "vps_1")
    ended = threading.Event()
    followers = Followers(f"{tmp_path}/*/engine/settings.json", say)
    thread = threading.Thread(target=followers.run, args=(ended,), daemon=True)
    thread.start()
    wait_until(lambda: len(told) > 3, "it goes on")
    ended.set()
    thread.join(timeout=30)


def test_the_engine_says_what_it_did_not_foresee_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tasks.programs.filestore import __main__ as program  # noqa: PLC0415

    def fault(*_: object, **__: object) -> None:
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr(program, "Engine", fault)
    assert program.main(["pass", str(settings(tmp_path, "vps_1"))]) == 1
    said = capsys.readouterr().out.removeprefix("RELEVO ")
    assert json.loads(said)["error"]["kind"] == "Trouble"
    assert "nobody foresaw this" in json.loads(said)["error"]["message"]
