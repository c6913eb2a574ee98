"""What pg_lsclusters says."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Listed:
    """One line of pg_lsclusters --no-header.

    >>> Listed.parse("13 main 5432 online,recovery postgres /var/lib/postgresql/13/main /x.log")
    ... # doctest: +NORMALIZE_WHITESPACE
    Listed(version=13, name='main', port=5432, status=('online', 'recovery'), owner='postgres',
           data_directory=PurePosixPath('/var/lib/postgresql/13/main'))

    A data directory may have blanks in its name.

    >>> str(Listed.parse("15 main 5432 online pg /srv/my data/15 /var/log/x.log").data_directory)
    '/srv/my data/15'
    """

    version: int
    name: str
    port: int
    status: tuple[str, ...]
    owner: str
    data_directory: PurePosixPath

    @classmethod
    def parse(cls, line: str) -> "Listed":
        version, name, port, status, owner, paths = line.split(maxsplit=5)
        directory = paths.rstrip().rpartition(" ")[0].rstrip() or paths  # what is last is the log
        return cls(
            int(version), name, int(port), tuple(status.split(",")), owner, PurePosixPath(directory)
        )

    @property
    def online(self) -> bool:
        return "online" in self.status


def parse(text: str) -> list[Listed]:
    """Read the whole list; versions with a dot are older than any that Relevo supports.

    >>> parse("9.6 old 5431 down postgres /a /b\\n13 main 5432 down postgres /c /d")[0].name
    'main'
    """
    lines = (line for line in text.splitlines() if line.strip())
    return [Listed.parse(line) for line in lines if "." not in line.split()[0]]
