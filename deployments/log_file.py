"""The log of a run without a server: no disk of the runner keeps such a run from its work."""

import logging
import sys
import tempfile
from pathlib import Path

from blocks.plain import plain
from tasks.language.reader import shown

MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of its own is made there


class LogFile(logging.FileHandler):
    """A file that may find no room any more: that is said once, and the terminal goes on."""

    said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._say(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self._say(error)

    def _say(self, error: OSError) -> None:
        if not self.said:
            self.said = True
            said = f"{self.baseFilename} cannot be written: {error.strerror}; the run goes on"
            print(plain(shown(said)), file=sys.stderr)  # noqa: T201


def opened(folder: Path, name: str) -> tuple[LogFile, str]:
    """Open a log; in memory where its folder takes none, with a sentence that says so."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return LogFile(folder / name), ""
    except OSError as error:
        other = Path(tempfile.mkdtemp(prefix="relevo-", dir=MEMORY))
        return LogFile(other / name), (
            f"{folder} cannot be written: {error.strerror}; the log of this run is in {other}, "
            "which no reboot survives"
        )
