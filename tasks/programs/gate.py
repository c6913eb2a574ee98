"""The forced command of the recovery host's key at an origin: files below some folders, no more.

It runs rsync, and it serves single files of the filestore by name (`relevo files`), which is what
keeps the recovery host in step within seconds. It reads; it writes only below the data directory
and the quarantine, and only until the time that stands in a file of root's under /run, so that no
accident leaves it open for ever. Python 3.8, standard library alone.

A request for files is a line; an answer is one byte, a length, and that many bytes:

    get DB/AB/SHA1            + content     0 (absent; the time here)     ! why not
    sum DB/AB/SHA1            + sha1        0                             !
    list DB                   + names and sizes, compressed
    put DB/AB/SHA1 SIZE ...   + (stored, or was there)                    !
    aside DB/AB/SHA1          + (moved to the quarantine)    0            !
    flush                     + (all that was put is on the disk)
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
from typing import Iterator, NoReturn  # Python 3.8

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
STAGE, PART = ".relevo-incoming", ".relevo-part"


@dataclass(frozen=True)
class Door:
    """What stands open."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    until: str
    filestore: str
    quarantine: str

    def may_write(self) -> bool:
        """Whether a failback (or a repair) has opened writing, and the time has not run out."""
        try:
            with open(self.until, encoding="ascii") as file:
                return time.time() < float(file.read())
        except (OSError, ValueError):
            return False


def refuse(why: str) -> NoReturn:
    sys.exit("relevo: refused: " + why)


def inside(path: str, folders: tuple[str, ...]) -> bool:
    real = os.path.realpath(path)
    roots = [os.path.realpath(folder) for folder in folders]
    return any(real == root or real.startswith(root + "/") for root in roots)


def rsync(door: Door, words: list[str]) -> NoReturn:
    """Become rsync's server, if its client asks for nothing else."""
    reads = words[2:3] == ["--sender"]
    if not reads and not door.may_write():
        refuse("writing is open only while a failback runs")
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


class Requests:
    """What the client asks, with a signal when it has said all that it will say for now."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.waiting = bytearray()

    def line(self, on_idle: object) -> str | None:
        while (end := self.waiting.find(b"\n")) < 0:
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
        self.root = os.open(os.path.realpath(door.filestore), os.O_RDONLY | os.O_DIRECTORY)

    def folder(self, database: str, shard: str) -> int:
        """Open a folder without following a link; it is kept open for the next file."""
        key = f"{database}/{shard}"
        if key not in self.folders:
            if len(self.folders) >= FOLDERS_OPEN:
                self.close()
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            upper = os.open(database, flags, dir_fd=self.root)
            try:
                self.folders[key] = os.open(shard, flags, dir_fd=upper)
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

    def list(self, database: str) -> bytes:
        """Name every file of a database with its size."""
        if not DATABASE.match(database):
            raise PermissionError("it is no database's name")
        top = os.path.join(os.path.realpath(self.door.filestore), database)
        if os.path.islink(top):
            raise PermissionError("it is a link")
        lines = []
        for shard in sorted(os.listdir(top)):
            if re.match(r"^[0-9a-f]{2,3}$", shard):
                with os.scandir(os.path.join(top, shard)) as entries:
                    lines += [
                        f"{shard}/{entry.name} {entry.stat(follow_symlinks=False).st_size}\n"
                        for entry in entries
                        if re.match(r"^[0-9a-f]{40}$", entry.name)
                        and entry.is_file(follow_symlinks=False)
                    ]
        return zlib.compress("".join(lines).encode(), 1)

    def put(self, name: str, content: Iterator[bytes]) -> None:
        """Store a file whose content is what its name says; a good one that is there stays."""
        self.require_write()
        database, shard, sha1 = parts(name)
        stage = os.path.join(os.path.realpath(self.door.filestore), STAGE)
        os.makedirs(stage, mode=0o700, exist_ok=True)
        path, digest = os.path.join(stage, f"{os.getpid()}"), hashlib.sha1()  # noqa: S324
        with open(path, "wb") as file:
            for part in content:
                digest.update(part)
                file.write(part)
        if digest.hexdigest() != sha1:
            os.unlink(path)
            raise PermissionError("its content is not what its name says")
        top = os.path.dirname(stage)
        os.makedirs(os.path.join(top, database, shard), exist_ok=True)
        folder = self.folder(database, shard)
        with contextlib.suppress(FileNotFoundError):
            if self.sum(name) == sha1:
                os.unlink(path)
                return
            self.aside(name)
        move(path, self.root, sha1, folder)

    def aside(self, name: str) -> None:
        """Move a file to the quarantine; nothing is deleted here."""
        self.require_write()
        database, shard, sha1 = parts(name)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        target = os.path.join(self.door.quarantine, day, "filestore", database, shard)
        os.makedirs(target, exist_ok=True)
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        try:
            move(sha1, self.folder(database, shard), sha1, folder)
        finally:
            os.close(folder)

    def require_write(self) -> None:
        if not self.door.may_write():
            raise PermissionError("writing is open only while a failback runs")


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
        while (line := self.requests.line(self.out.flush)) is not None:
            verb, _, rest = line.partition(" ")
            try:
                self.answer(verb, rest)
            except (FileNotFoundError, NotADirectoryError):
                self.say(ABSENT, repr(time.time()).encode())
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else ""
                self.say(NO, (why or str(error)).encode())
        with contextlib.suppress(OSError):  # it was never made, or another client uses it
            os.rmdir(STAGE, dir_fd=self.files.root)

    def answer(self, verb: str, rest: str) -> None:
        if verb == "get":
            self.send(self.files.open(rest))
        elif verb == "sum":
            self.say(OK, self.files.sum(rest).encode())
        elif verb == "list":
            self.say(OK, self.files.list(rest))
        elif verb == "put":
            self.put(*rest.rsplit(" ", 1))
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
        content = self.requests.take(int(size))
        try:
            self.files.put(name, content)
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
