"""The instance's PostgreSQL, as this server has it."""

from __future__ import annotations

import os
from typing import Any, Iterator  # Python 3.8

from ..acting import acting_as, become
from ..bounded import read_text, run
from ..journal import Journal, say

ASK_SECONDS = 5
CLUSTER_SECONDS = 60
OWNER = "postgres"


class Cluster:
    """One cluster, judged by its processes, its answers and its files."""

    def __init__(self, config: dict[str, Any], journal: Journal) -> None:
        self.config, self.journal = config, journal

    def is_standby(self) -> bool:
        try:
            os.stat(os.path.join(self.config["data_directory"], "standby.signal"))
        except OSError:
            return False
        return True

    def accepts_writes(self) -> bool:
        """Ask PostgreSQL itself; one that starts or does not answer is judged by its files."""
        if not self.runs():
            return False
        argv = self.config["psql"]
        try:
            said = run(argv, stdin=b"SELECT pg_is_in_recovery()", seconds=ASK_SECONDS).text.strip()
        except OSError:
            said = ""
        if said in {"t", "f"}:
            return said == "f"
        return not self.is_standby()

    def runs(self) -> bool:
        """Tell whether a server process lives on the data directory.

        After a power cut the number in postmaster.pid may be that of another cluster's process.
        Where that file is a pipe, a link or nonsense, every process is asked.
        """
        directory = self.config["data_directory"]
        try:
            words = read_text(os.path.join(directory, "postmaster.pid")).split()
        except FileNotFoundError:
            return False
        except OSError:
            words = []
        told = words[:1] if words and words[0].isdecimal() else processes()
        return any(works_in(number, directory) for number in told)

    def stop(self) -> None:
        version, name = self.config["cluster"]
        for mode, seconds in (("fast", CLUSTER_SECONDS), ("immediate", CLUSTER_SECONDS)):
            argv = [
                *become(self.config.get("owner", OWNER)),
                "pg_ctlcluster", "--skip-systemctl-redirect", version, name, "stop", "-m", mode,
            ]  # fmt: skip
            try:
                run(argv, seconds=seconds)
            except OSError as error:
                say(f"PostgreSQL has not stopped: {error}")
            if not self.runs():
                say("PostgreSQL is down")
                return

    def leave_at_boot(self) -> None:
        """Keep Debian from starting the cluster at boot; the file's owner and mode stay.

        It is written over, not emptied first: that takes no room where there is none.
        """
        path, flags = self.config["start_conf"], os.O_WRONLY | os.O_CREAT
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK  # its folder is not root's
        try:
            with acting_as(self.config.get("owner", OWNER)), open(
                os.open(path, flags, 0o644), "w"
            ) as file:
                file.write("manual\n")
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.journal.complain(f"{path} cannot be written: {error}. HINT: see df and mount here")


def processes() -> Iterator[str]:
    return (name for name in os.listdir("/proc") if name.isdecimal())


def works_in(number: str, directory: str) -> bool:
    """Tell whether a process has its working directory there."""
    try:
        return os.path.samefile(f"/proc/{number}/cwd", directory)
    except OSError:
        return False
