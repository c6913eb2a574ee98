"""What a server has for Odoo to call: a pure comparison of two."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from blocks.plain import plain

# What Odoo and its usual modules call: to print, to make style sheets, to read documents.
PROGRAMS = (
    "wkhtmltopdf", "wkhtmltoimage", "rtlcss", "lessc", "sass", "node", "gs", "pdftotext",
    "soffice", "unoconv", "tesseract", "xmlsec1",
)  # fmt: skip
PRINT = {"wkhtmltopdf", "wkhtmltoimage"}
MAIL = 25
LOOPBACK = re.compile(r"127\..+|\[::1\]|\[::ffff:127\..+\]")
SHOWN = 10
PATCHED = "with patched qt"


@dataclass(frozen=True)
class Tools:
    """Programs by name, the version of wkhtmltopdf, and font families.

    `listens` are ports at which somebody listens, and `calls` those of its own host to which
    processes of Odoo's user keep connections.
    """

    programs: frozenset[str] = frozenset()
    version: str = ""
    fonts: frozenset[str] = frozenset()
    listens: frozenset[int] = frozenset()
    calls: frozenset[int] = frozenset()

    @property
    def patched(self) -> bool:
        """Only wkhtmltopdf's own build prints headers and footers of pages."""
        return PATCHED in self.version

    @property
    def release(self) -> str:
        found = re.search(r"\d+(\.\d+)+", self.version)
        return found[0] if found else ""

    def __str__(self) -> str:
        return f"{self.version or 'no wkhtmltopdf'}, {len(self.fonts)} families of fonts"


def read(text: str) -> Tools:
    """
    >>> print(read("program wkhtmltopdf\\nversion wkhtmltopdf 0.12.6\\nfont Lato,Lato Black\\n"))
    wkhtmltopdf 0.12.6, 1 families of fonts
    """
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        kind, _, value = line.partition(" ")
        said.setdefault(kind, []).append(plain(value, longest=200))
    listens = frozenset(map(_port, said.get("listens", ())))
    return Tools(
        frozenset(said.get("program", ())),
        next(iter(said.get("version", ())), ""),
        frozenset(each.split(",")[0] for each in said.get("font", ())),
        listens,
        frozenset(_calls(said.get("connected", ()), listens)),
    )


def _calls(connected: Sequence[str], listens: Collection[int]) -> Iterator[int]:
    """Give the ports of its own host that a user's processes call, and do not listen at."""
    for own, peer in (each.split() for each in connected):
        if LOOPBACK.fullmatch(peer.rpartition(":")[0]) and _port(own) not in listens:
            yield _port(peer)


def _port(said: str) -> int:
    return int(said.rpartition(":")[2])


def alone(origin: Tools, recovery: Tools, known: Collection[int]) -> list[int]:
    """Name the ports that Odoo calls on its own host and nobody would answer on the other.

    >>> redis = read("listens [::1]:6379\\nlistens *:8069\\nconnected 127.0.0.1:4 127.0.0.1:6379"
    ...     "\\nconnected 127.0.0.1:8069 127.0.0.1:5\\nconnected 10.0.0.1:6 10.0.0.2:443\\n")
    >>> alone(redis, Tools(), ()), alone(redis, redis, ()), alone(redis, Tools(), {6379})
    ([6379], [], [])
    """
    return sorted(origin.calls - recovery.listens - {*known})


def wrong(origin: Tools, recovery: Tools) -> list[str]:
    """What customers would miss at once: they could not print, or not as they do.

    >>> patched = Tools(frozenset(PRINT), "wkhtmltopdf 0.12.5 (with patched qt)", frozenset("ab"))
    >>> wrong(patched, Tools(frozenset(PRINT), "wkhtmltopdf 0.12.6"))
    ['wkhtmltopdf with patched qt', 'any font']
    >>> wrong(patched, Tools(fonts=frozenset("a"))), wrong(Tools(), Tools())
    (['wkhtmltoimage', 'wkhtmltopdf'], [])
    """
    found = sorted((origin.programs - recovery.programs) & PRINT)
    if not found and origin.patched and not recovery.patched:
        found.append(f"wkhtmltopdf {PATCHED}")
    if origin.fonts and not recovery.fonts:
        found.append("any font")
    return found


def remarks(origin: Tools, recovery: Tools, where: str) -> list[str]:
    """What is otherwise, and may matter to some module or report."""
    found = []
    if lacking := sorted(origin.programs - recovery.programs - PRINT):
        found.append(f"{where} lacks programs that the origin has: {', '.join(lacking)}")
    if origin.release != recovery.release and recovery.release:
        found.append(
            f"{where} has wkhtmltopdf {recovery.release} and the origin {origin.release}: pages "
            "may break elsewhere"
        )
    if recovery.fonts and (lost := sorted(origin.fonts - recovery.fonts)):
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        found.append(f"{where} lacks fonts: {', '.join(lost[:SHOWN])}{more}")
    return found
