"""The conversation with one command over ssh, within bounds."""

import contextlib
import select
import threading
import time

from blocks.paramiko_alone import paramiko
from blocks.patience import Late
from blocks.shell import BEGINS, Completed, own_words
from blocks.ssh_login import BROKEN, GREETING_BYTES

BEGIN_SECONDS = 60
LINE_BYTES = 4096  # in a line


def begin(channel: paramiko.Channel, line: str) -> None:
    """Have a command begin; a host that takes the question and never answers is left."""
    late = threading.Timer(BEGIN_SECONDS, _give_up, (channel,))
    late.daemon = True
    late.start()
    try:
        channel.exec_command(line)
    finally:
        late.cancel()


def _give_up(channel: paramiko.Channel) -> None:
    with contextlib.suppress(*BROKEN):
        channel.close()


def converse(
    channel: paramiko.Channel,
    argv: tuple[str, ...],
    stdin: bytes,
    timeout_seconds: float,
    limit_bytes: int,
) -> Completed | None:
    """Feed a command and read it to its end; give nothing when it says too much."""
    deadline = time.monotonic() + timeout_seconds
    channel.settimeout(timeout_seconds)
    threading.Thread(target=_feed, args=(channel, stdin), daemon=True).start()
    out, err = bytearray(), bytearray()
    while not channel.closed or channel.recv_ready() or channel.recv_stderr_ready():
        if time.monotonic() > deadline:
            raise Late(f"it did not finish within {timeout_seconds:.0f} s")
        if not (channel.recv_ready() or channel.recv_stderr_ready()):
            if channel.exit_status_ready() and channel.eof_received:
                break
            select.select([channel], [], [], 0.5)
        out += channel.recv(1 << 16) if channel.recv_ready() else b""
        err += channel.recv_stderr(1 << 16) if channel.recv_stderr_ready() else b""
        if len(out) + len(err) > limit_bytes:
            return None
    if (status := channel.recv_exit_status()) == -1:
        raise EOFError("the connection broke before the command ended")
    said, complained = (own_words(each.decode(errors="replace")) for each in (out, err))
    return Completed(argv, status, said, complained)


def skip_to_begin(channel: paramiko.Channel) -> bool:
    """Read up to where the command itself begins to speak; tell whether it does."""
    deadline, line = time.monotonic() + BEGIN_SECONDS, b""
    for _ in range(GREETING_BYTES):
        byte = _one(channel, deadline)
        if not byte or line.endswith(BEGINS.encode()):
            return bool(byte)
        line = b"" if byte == b"\n" else line + byte
    raise OSError(f"its login prints more than {GREETING_BYTES} bytes")


def read_line(channel: paramiko.Channel, *, timeout_seconds: float = BEGIN_SECONDS) -> str:
    """Read a line of a command that is held; raise OSError when there is none in time."""
    deadline, line = time.monotonic() + timeout_seconds, b""
    while len(line) < LINE_BYTES:
        byte = _one(channel, deadline)
        if byte in {b"", b"\n"}:
            return line.decode(errors="replace").strip()
        line += byte
    raise OSError(f"it printed a line of more than {LINE_BYTES} bytes")


def _one(channel: paramiko.Channel, deadline: float) -> bytes:
    """One byte, before a time; none at the end."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long to answer")
    channel.settimeout(left)
    try:
        return channel.recv(1)
    finally:
        channel.settimeout(None)


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    with contextlib.suppress(*BROKEN):  # the command may end without reading; its status tells
        channel.sendall(stdin)
        channel.shutdown_write()
