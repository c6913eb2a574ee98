"""Where Debian's packages come from: the mirror that this machine itself uses."""

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from tests.lab.trouble import LabError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT = Path("/etc/apt")


def mirror(apt: Path = APT) -> str:
    """Return this machine's Debian mirror, or the one that RELEVO_LAB_MIRROR names."""
    if chosen := os.environ.get("RELEVO_LAB_MIRROR"):
        return chosen.rstrip("/")
    own = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    for address, suites, components in _sources(apt):
        found = _resolved(address).rstrip("/")
        # Others, too, have a folder named debian; theirs is no suite of this release.
        if found.endswith("/debian") and own in suites and "main" in components:
            return found
    raise LabError(
        "this machine's apt sources name no mirror of Debian",
        hint="set RELEVO_LAB_MIRROR to one that this machine may reach",
    )


def _sources(apt: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Every active binary source: address, suites, components."""
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in filter(Path.exists, lists):
        yield from _one_line(path.read_text())
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _deb822(path.read_text())


def _one_line(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    r"""Read the old format.

    >>> list(_one_line("#deb http://a/debian x main\ndeb [arch=amd64] http://b/debian sid main\n"))
    [('http://b/debian', ['sid'], ['main'])]
    """
    for line in text.splitlines():
        if match := re.match(r"\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)([^#]*)", line):
            yield match[1], [match[2]], match[3].split()


def _deb822(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    r"""Read the new format.

    >>> list(_deb822("Types: deb\n# no\nURIs: http://b/debian\nSuites: sid\nComponents: main\n"))
    [('http://b/debian', ['sid'], ['main'])]
    """
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = dict(re.findall(r"(?m)^([\w-]+):[ \t]*((?:.|\n[ \t])*)", stanza))
        known = {key.lower(): value.split() for key, value in fields.items()}
        if "deb" in known.get("types", []) and known.get("enabled", ["yes"]) != ["no"]:
            for address in known.get("uris", []):
                yield address, known.get("suites", []), known.get("components", [])


def _resolved(address: str) -> str:
    """Follow a list of mirrors, as cloud images have, to its first line."""
    if not address.startswith("mirror+file:"):
        return address
    listed = Path("/" + address.removeprefix("mirror+file:").lstrip("/"))
    lines = listed.read_text().split() if listed.exists() else []
    return lines[0] if lines else ""
