"""The process of a run, as the worker starts it: forked where everything is imported already.

Run as `python -I -S forked.py -m prefect.engine`. It imports next to nothing: an outage waits for
it. The fork server (`forkserver.py`) has Prefect and Relevo in its memory, and forks. This one
stands in for what was forked: it passes signals on, and ends as that ends. Where nobody forks, it
becomes the command itself, and leaves a fork server behind for the next run.

What was forked begins only when it is told to, down a pipe of which this holds the other end. So a
run begins once, whoever dies in between: without that word, what was forked ends.
"""

import os
import signal
import socket
import sys
import time

NAME = "relevo-forkserver"
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
ANSWER_SECONDS = 5
BEGIN = b"!"
LOST = 1  # how it ends where nobody can say how the run has ended


def folder() -> str:
    """Give Prefect's own folder, where the fork server has its socket."""
    return os.environ.get("PREFECT_HOME") or os.path.expanduser("~/.prefect")  # noqa: PTH111  # pathlib takes longer than all the rest


def main(words: list[str]) -> int:
    """Run a Python command line, and end as it ends."""
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    sock = ask(words)
    if sock is None:
        leave_a_server()
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
        os.execv(sys.executable, [sys.executable, *words])  # noqa: S606  # as the worker would
    status = stand_in(sock, waiting)
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def ask(words: list[str]) -> socket.socket | None:
    """Ask the fork server for a process with this environment, folder, words and open files."""
    given = [sys.executable, os.path.realpath("."), str(len(words)), *words]
    given += [f"{name}={value}" for name, value in os.environ.items()]
    text = os.fsencode("\0".join(given))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    told, tell = os.pipe()
    try:
        sock.settimeout(ANSWER_SECONDS)
        sock.connect(f"{folder()}/{NAME}.sock")
        socket.send_fds(sock, [len(text).to_bytes(8, "big")], [0, 1, 2, told])
        sock.sendall(text)
        if sock.recv(1) == b"+":
            os.write(tell, BEGIN)
            sock.settimeout(None)
            return sock
    except OSError:  # nobody listens there, or not as we speak: the run starts as it would without
        pass
    finally:
        os.close(told)
        os.close(tell)
    sock.close()
    return None


def stand_in(sock: socket.socket, waiting: set[int | signal.Signals]) -> int:
    """Pass on signals to the process that was forked; give how it ended, a signal as -number."""
    lines = sock.makefile("r")
    process = int(lines.readline() or 0)
    if not process:  # the server died in between: nothing was begun
        return LOST

    def pass_on(number: int, _: object) -> None:
        if alive(process):
            os.kill(process, number)

    for each in PASSED_ON:
        signal.signal(each, pass_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
    ended = lines.readline()
    if ended:
        return int(ended)
    while alive(process):  # the server has died, and what it has forked goes on
        time.sleep(0.1)
    return LOST


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def leave_a_server() -> None:
    """Start a fork server that outlives this run, unless there is one (it looks itself)."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    nothing = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1, 2):
        os.dup2(nothing, each)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
    words = [sys.executable, "-m", "deployments.forkserver"]
    os.execve(sys.executable, words, kept)  # noqa: S606  # as above


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
