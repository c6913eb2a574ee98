"""The forced command of the recovery host's key at an origin: files below some folders, no more.

It runs rsync, and it serves single files of the filestore by name (`relevo files`), which is what
keeps the recovery host in step within seconds. It reads. A file of root's under /run says for what
it may write as well, and until when, so that no accident leaves it open for ever:

    repair     documents that are lost or spoiled here are given back, by name (`relevo files`)
    failback   and the data directory is made the recovery host's, by rsync too

Whatever the recovery host says is bounded, and it never takes the last of the disk. Python 3.8,
standard library alone.

A request for files is a line; an answer is one byte, a length, and that many bytes:

    get DB/AB/SHA1            + content     0 (absent; the time here)     ! why not
    sum DB/AB/SHA1            + sha1        0                             !
    list DB                   + names and sizes, compressed
    put DB/AB/SHA1 SIZE ...   + (came whole; stored by the next flush)    !
    aside DB/AB/SHA1          + (moved to the quarantine)    0            !
    flush                     + (all that was put is on the disk)         !
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shlex
import stat
import struct
import sys
import time
import zlib
from dataclasses import dataclass
from typing import Iterator, List, NoReturn, Sequence  # Python 3.8

SHORT = re.compile(r"^-[vlogDtprqbniWcxzHd]*(e[a-zA-Z0-9.]*)?$")
LONG = re.compile(
    r"^--(numeric-ids|list-only|partial|delete(-during|-delay|-before|-after)?|existing"
    r"|ignore-existing|backup|ignore-errors|from0|no-[a-z-]+|whole-file|outbuf=L|timeout=[0-9]+"
    r"|max-delete=[0-9]+|bwlimit=[0-9.a-zA-Z]+|log-format=[%a-zA-Z]+|out-format=[%a-zA-Z]+|stats"
    r"|recursive|dirs|new-compress|old-compress|compress-choice=[a-z0-9]+|fsync)$"
)
NAME = re.compile(r"^([^/\x00-\x1f\x7f.][^/\x00-\x1f\x7f]*)/([0-9a-f]{2,3})/([0-9a-f]{40})\Z")
DATABASE = re.compile(r"^[^/\x00-\x1f\x7f.][^/\x00-\x1f\x7f]*\Z")
ANSWER = struct.Struct(">cQ")
OK, ABSENT, NO = b"+", b"0", b"!"
CHUNK = 1 << 20
FOLDERS_OPEN = 300
LINE_BYTES = 4096  # of a request
FILE_BYTES = 1 << 31  # of a document: Odoo keeps its size in four bytes
NAMES = 5_000_000  # of a list
KEPT_BYTES, KEPT_SHARE = 1 << 30, 0.05  # of the disk, what is left free in any case
WORD = re.compile(r"^(repair|failback) ([0-9]{1,12})\s*\Z")
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
STAGE, PART = ".relevo-incoming", ".relevo-part"
TOGETHER, TOGETHER_BYTES = 256, 64 << 20  # files that get their names at once
FEW = 8  # files whose syncs, one by one, cost less than that of the whole file system


@dataclass(frozen=True)
class Door:
    """What stands open."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    until: str
    filestore: str
    quarantine: str

    def purpose(self) -> str:
        """For what writing is open now; nothing when nobody has opened it, or its time is over."""
        try:
            file = os.open(self.until, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                said = os.read(file, 100).decode("ascii")
            finally:
                os.close(file)
        except (OSError, ValueError):
            return ""
        found = WORD.match(said)
        return found[1] if found and time.time() < int(found[2]) else ""

    def objection(self, wanted: Sequence[str]) -> str:
        """Why nothing may be written now; nothing when one of these purposes has opened it."""
        open_for = self.purpose()
        if open_for in wanted:
            return ""
        if open_for:
            return f"writing is open for a {open_for}, and this is not part of one"
        return f"writing is open only while a {' or a '.join(wanted)} runs"


def refuse(why: str) -> NoReturn:
    sys.exit("relevo: refused: " + why)


def inside(path: str, folders: tuple[str, ...]) -> bool:
    real = os.path.realpath(path)
    roots = [os.path.realpath(folder) for folder in folders]
    return any(real == root or real.startswith(root + "/") for root in roots)


def rsync(door: Door, words: list[str]) -> NoReturn:
    """Become rsync's server, if its client asks for nothing else."""
    reads = words[2:3] == ["--sender"]
    if not reads and (why := door.objection(("failback",))):
        refuse(why)
    rest = words[3:] if reads else words[2:]
    options: list[str] = []
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--backup-dir":
            option += "=" + rest.pop(0)
        if not (reads and option.startswith("--backup-dir=")):
            options.append(allowed(door, option))
    if rest[:1] != ["."] or len(rest) < 2:  # noqa: PLR2004
        refuse("not a command of rsync's client")
    for path in rest[1:]:
        if path.startswith("-") or not inside(path, door.read if reads else door.write):
            refuse("path " + path)
    sender = ["--sender"] if reads else []
    os.execv("/usr/bin/rsync", ["rsync", "--server", *sender, *options, *rest])  # noqa: S606


def allowed(door: Door, option: str) -> str:
    """Let an option of rsync's server pass, or refuse it."""
    if option.startswith("--backup-dir="):
        if not inside(option.split("=", 1)[1], door.write):
            refuse("the backup folder is outside of what this key may write")
    elif not (SHORT.match(option) or LONG.match(option)):
        refuse("option " + option)
    return option


class Senseless(Exception):
    """What is asked is no request, and no answer would help: hang up."""


class Requests:
    """What the client asks, with a signal when it has said all that it will say for now."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.waiting = bytearray()

    def line(self, on_idle: object) -> str | None:
        while (end := self.waiting.find(b"\n", 0, LINE_BYTES)) < 0:
            if len(self.waiting) >= LINE_BYTES:
                raise Senseless(f"a request of more than {LINE_BYTES} bytes")
            if callable(on_idle):
                on_idle()
            if not self._more():
                return None
        said = bytes(self.waiting[:end])
        del self.waiting[: end + 1]
        return said.decode("utf-8", "replace")

    def take(self, size: int) -> Iterator[bytes]:
        """Read this many bytes that follow a line."""
        while size:
            if not self.waiting and not self._more():
                raise EOFError
            part = bytes(self.waiting[:size])
            del self.waiting[: len(part)]
            size -= len(part)
            yield part

    def _more(self) -> bool:
        got = os.read(self.descriptor, CHUNK)
        self.waiting += got
        return bool(got)


class Files:
    """The files of one filestore, found by name and never through a link."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.folders: dict[str, int] = {}
        self.incoming: list[tuple[str, str]] = []
        self.size = 0
        self.root = os.open(os.path.realpath(door.filestore), os.O_RDONLY | os.O_DIRECTORY)

    def renew(self) -> None:
        """Go to what has the filestore's name now: it may have been mounted or moved."""
        path = os.path.realpath(self.door.filestore)
        if not os.path.samestat(os.stat(path), os.fstat(self.root)):
            root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            self.close()
            os.close(self.root)
            self.root = root

    def folder(self, database: str, shard: str) -> int:
        """Open a folder without following a link; it is kept open for the next file."""
        key = f"{database}/{shard}"
        if key not in self.folders:
            if len(self.folders) >= FOLDERS_OPEN:
                self.close()
            upper = os.open(database, FOLDER, dir_fd=self.root)
            try:
                self.folders[key] = os.open(shard, FOLDER, dir_fd=upper)
            finally:
                os.close(upper)
        return self.folders[key]

    def close(self) -> None:
        while self.folders:
            os.close(self.folders.popitem()[1])

    def open(self, name: str) -> int:
        """Open one file of the filestore."""
        database, shard, digest = parts(name)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(digest, flags, dir_fd=self.folder(database, shard))
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise PermissionError("it is no regular file")
        return file

    def sum(self, name: str) -> str:
        """Say the sha1 of a file's content."""
        return sha1_of(self.open(name))

    def sum_or_none(self, name: str) -> str | None:
        try:
            return self.sum(name)
        except FileNotFoundError:
            return None

    def list(self, database: str) -> bytes:
        """Name every file of a database with its size."""
        if not DATABASE.match(database):
            raise PermissionError("it is no database's name")
        self.renew()
        packer, packed, names = zlib.compressobj(1), bytearray(), 0
        top = os.open(database, FOLDER, dir_fd=self.root)
        try:
            for shard in sorted(os.listdir(top)):
                if re.match(r"^[0-9a-f]{2,3}\Z", shard):
                    lines = self._sizes(top, shard)
                    names += len(lines)
                    if names > NAMES:
                        raise PermissionError(f"it has more than {NAMES} files")
                    packed += packer.compress("".join(lines).encode())
        finally:
            os.close(top)
        return bytes(packed) + packer.flush()

    @staticmethod
    def _sizes(top: int, shard: str) -> List[str]:
        """Name the files of one folder with their sizes; a link is no folder."""
        try:
            folder = os.open(shard, FOLDER, dir_fd=top)
        except NotADirectoryError:
            return []
        try:
            with os.scandir(folder) as entries:
                return [
                    f"{shard}/{entry.name} {entry.stat(follow_symlinks=False).st_size}\n"
                    for entry in entries
                    if re.match(r"^[0-9a-f]{40}\Z", entry.name)
                    and entry.is_file(follow_symlinks=False)
                ]
        finally:
            os.close(folder)

    def put(self, name: str, size: int, content: Iterator[bytes]) -> None:
        """Take a file whose content is what its name says; a good one that is there stays.

        It gets its name with others. One that is not good makes room for it.
        """
        self.require_write()
        self.renew()
        self.require_room(size)
        database, shard, sha1 = parts(name)
        beside, stage = f"{os.getpid()}-{len(self.incoming)}", self.stage()
        wanted = False
        try:
            if store(beside, stage, content) != sha1:
                raise PermissionError("its content is not what its name says")
            os.close(below(self.root, database, shard))
            there = self.sum_or_none(name)
            if there not in {sha1, None}:
                self.keep(name)
            wanted = there != sha1
        finally:
            if not wanted:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(beside, dir_fd=stage)
            os.close(stage)
        if wanted:
            self.incoming.append((beside, name))
            self.size += size
        if len(self.incoming) >= TOGETHER or self.size >= TOGETHER_BYTES:
            self.settle()

    def stage(self) -> int:
        """Open the folder of what comes in; what a process left there that is no more goes."""
        stage = below(self.root, STAGE, mode=0o700)
        if not self.incoming:
            for name in os.listdir(stage):
                if not os.path.exists("/proc/" + name.partition("-")[0]):
                    os.unlink(name, dir_fd=stage)
        return stage

    def settle(self) -> None:
        """Have the disk take what has come, then name it: a power cut may keep names alone."""
        incoming, self.incoming, self.size = self.incoming, [], 0
        if not incoming:
            return
        self.require_write()
        stage = below(self.root, STAGE, mode=0o700)
        try:
            sync(stage, [beside for beside, _ in incoming])
            for beside, name in incoming:
                database, shard, sha1 = parts(name)
                move(beside, stage, sha1, self.folder(database, shard))
        finally:
            for beside, _ in incoming:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(beside, dir_fd=stage)
            os.close(stage)

    def aside(self, name: str) -> None:
        """Move a file to the quarantine; a repair has no business with one that is right."""
        self.require_write()
        self.renew()
        if self.door.purpose() != "failback" and self.sum(name) == parts(name)[2]:
            raise PermissionError("it is what its name says, and a repair leaves such files alone")
        self.keep(name)

    def keep(self, name: str) -> None:
        """Move a file to the quarantine; nothing is deleted here."""
        database, shard, sha1 = parts(name)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        os.makedirs(self.door.quarantine, mode=0o700, exist_ok=True)
        top = os.open(self.door.quarantine, FOLDER)
        try:
            folder = below(top, day, "filestore", database, shard)
        finally:
            os.close(top)
        try:
            move(sha1, self.folder(database, shard), sha1, folder)
        finally:
            os.close(folder)

    def require_write(self) -> None:
        if why := self.door.objection(("repair", "failback")):
            raise PermissionError(why)

    def require_room(self, size: int) -> None:
        """Refuse what would take the last of the disk on which this server works."""
        disk = os.fstatvfs(self.root)
        kept = min(KEPT_BYTES, int(disk.f_blocks * disk.f_frsize * KEPT_SHARE))
        free = disk.f_bavail * disk.f_frsize
        if free - size < kept:
            raise PermissionError(f"the disk has {free >> 20} MB free, and {kept >> 20} MB stay so")


def below(folder: int, *names: str, mode: int = 0o777) -> int:
    """Open a folder below an open one, made where there is none; a link is no folder."""
    opened = os.dup(folder)
    for name in names:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=opened)
        try:
            inner = os.open(name, FOLDER, dir_fd=opened)
        finally:
            os.close(opened)
        opened = inner
    return opened


def sync(folder: int, names: Sequence[str]) -> None:
    """Wait until the disk has these files of an open folder."""
    if len(names) > FEW:
        import ctypes  # noqa: PLC0415  # most that come here only read

        if ctypes.CDLL(None, use_errno=True).syncfs(folder) != 0:
            raise OSError(ctypes.get_errno(), "the disk does not take what was written")
        return
    for name in names:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def store(name: str, folder: int, content: Iterator[bytes]) -> str:
    """Write a new file; say the sha1 of what it holds."""
    digest = hashlib.sha1()  # noqa: S324  # Odoo's own choice
    with contextlib.suppress(FileNotFoundError):  # of a process that died
        os.unlink(name, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(name, flags, 0o666, dir_fd=folder), "wb") as file:
        for part in content:
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


def move(name: str, source: int, wanted: str, target: int) -> None:
    """Move a file from one open folder to another, which may lie on another file system."""
    try:
        os.rename(name, wanted, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(name, source, wanted, target)
        os.unlink(name, dir_fd=source)


def copy(name: str, source: int, wanted: str, target: int) -> None:
    """Copy a file under a name beside, and give it its own when the disk has it and it is right."""
    beside, digest = wanted + PART, hashlib.sha1()  # noqa: S324
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source)
    with open(reading, "rb", buffering=0) as content:
        if not stat.S_ISREG(os.fstat(reading).st_mode):
            raise PermissionError("it is no regular file")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(beside, flags, 0o600, dir_fd=target), "wb") as file:
            while part := content.read(CHUNK):
                digest.update(part)
                file.write(part)
            file.flush()
            like(reading, file.fileno())
            os.fsync(file.fileno())
    if sha1_of(os.open(beside, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=target)) != digest.hexdigest():
        raise PermissionError("its copy on the other file system is not what was read")
    os.rename(beside, wanted, src_dir_fd=target, dst_dir_fd=target)
    os.fsync(target)


def like(model: int, file: int) -> None:
    """Give an open file the mode and the times of another."""
    known = os.fstat(model)
    os.fchmod(file, stat.S_IMODE(known.st_mode))
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))


def sha1_of(file: int) -> str:
    """Read an open file to its end, close it, and say its sha1."""
    digest = hashlib.sha1()  # noqa: S324  # Odoo's own choice
    with open(file, "rb", buffering=0) as content:
        while part := content.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def parts(name: str) -> tuple[str, str, str]:
    """Take a name apart, and refuse every name that Odoo would not give.

    >>> parts("shop/0b/" + "0b" * 20)[0]
    'shop'
    >>> parts("shop/../" + "0b" * 20)
    Traceback (most recent call last):
    PermissionError: it is no name of a file
    """
    found = NAME.match(name)
    if not found or not found[3].startswith(found[2]):
        raise PermissionError("it is no name of a file")
    return found[1], found[2], found[3]


class Service:
    """Answer one client until it hangs up."""

    def __init__(self, files: Files, requests: Requests, out: int) -> None:
        self.files, self.requests = files, requests
        self.out = open(out, "wb", buffering=CHUNK, closefd=False)  # noqa: SIM115

    def run(self) -> None:
        try:
            while (line := self.requests.line(self.out.flush)) is not None:
                self.serve(line)
        except Senseless as error:
            self.say(NO, str(error).encode())
            self.out.flush()
        except EOFError:
            pass  # it hung up in the middle of a file
        self.files.settle()
        with contextlib.suppress(OSError):  # it was never made, or another client uses it
            os.rmdir(STAGE, dir_fd=self.files.root)

    def serve(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        try:
            self.answer(verb, rest)
        except (FileNotFoundError, NotADirectoryError):
            self.say(ABSENT, repr(time.time()).encode())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else ""
            self.say(NO, (why or str(error)).encode())

    def answer(self, verb: str, rest: str) -> None:
        if verb != "put":
            self.files.settle()
        if verb == "get":
            self.send(self.files.open(rest))
        elif verb == "sum":
            self.say(OK, self.files.sum(rest).encode())
        elif verb == "list":
            self.say(OK, self.files.list(rest))
        elif verb == "put":
            name, _, size = rest.rpartition(" ")
            self.put(name, size)
        elif verb == "aside":
            self.files.aside(rest)
            self.say(OK)
        elif verb == "flush":
            os.sync()
            self.say(OK)
        else:
            raise PermissionError("this key knows no such request")

    def say(self, kind: bytes, text: bytes = b"") -> None:
        self.out.write(ANSWER.pack(kind, len(text)) + text)

    def send(self, file: int) -> None:
        """Send a file as long as it was when it was opened, whatever happens to it meanwhile."""
        with open(file, "rb", buffering=0) as content:
            left = os.fstat(file).st_size
            self.out.write(ANSWER.pack(OK, left))
            while left:
                part = content.read(min(left, CHUNK))
                if not part:  # it was cut short meanwhile: the sum will tell
                    part = bytes(min(left, CHUNK))
                self.out.write(part)
                left -= len(part)

    def put(self, name: str, size: str) -> None:
        """Read the whole of what was announced, also when it is refused."""
        if not re.match(r"^[0-9]{1,10}\Z", size) or int(size) > FILE_BYTES:
            raise Senseless(f"a file of more than {FILE_BYTES >> 20} MB, or of no size")
        content = self.requests.take(int(size))
        try:
            self.files.put(name, int(size), content)
        finally:
            for _ in content:
                pass
        self.say(OK)


def main(door: Door, arguments: list[str]) -> None:
    words = shlex.split(arguments[0] if len(arguments) == 1 else "")
    if words == ["relevo", "files"]:
        Service(Files(door), Requests(0), 1).run()
    elif words[:2] == ["rsync", "--server"]:
        rsync(door, words)
    else:
        refuse("this key runs rsync and nothing else")
