"""What pip freeze says, read as what a stranger wrote: it becomes words of a command here."""

import re

# PEP 508's names and PEP 440's versions, and nothing else: no option, no address, no path.
REQUIREMENT = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([0-9A-Za-z](?:[0-9A-Za-z.!+_-]*[0-9A-Za-z])?)"
)
LONGEST = 200


def parse(text: str) -> dict[str, str]:
    """Read name and version of each package, the name as PyPI normalises it.

    >>> parse("Babel==2.9.0\\n-e git+x#egg=y==1\\npython_dateutil==2.8.1\\n# (tools==1.2)\\n")
    {'babel': '2.9.0', 'python-dateutil': '2.8.1'}
    """
    found = (_requirement(line) for line in _lines(text))
    return {re.sub(r"[-_.]+", "-", each[1]).lower(): each[2] for each in found if each}


def left_out(text: str) -> list[str]:
    """Name the lines that no index has: editable installs, addresses, and whatever else it may be.

    >>> left_out("# Editable install (a==1)\\n-e /opt/tools\\nlxml==4.9.2\\nb @ file:///b\\na==1==2\\n")
    ['-e /opt/tools', 'b @ file:///b', 'a==1==2']
    """
    lines = (line for line in _lines(text) if line and not line.startswith("#"))
    return [line[:LONGEST] for line in lines if not _requirement(line)]


def _requirement(line: str) -> re.Match[str] | None:
    return REQUIREMENT.fullmatch(line) if len(line) <= LONGEST else None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


def missing(wanted: str, has: str, *, exact: bool) -> list[str]:
    """What has to be installed; without `exact` any version will do, as Debian packages it.

    >>> missing("a==1\\nb==2\\n", "a==3\\n", exact=False), missing("a==1\\n", "a==3\\n", exact=True)
    (['b==2'], ['a==1'])
    """
    theirs, ours = parse(wanted), parse(has)
    return [
        f"{name}=={version}"
        for name, version in sorted(theirs.items())
        if name not in ours or (exact and _parts(ours[name]) != _parts(version))
    ]


def _parts(version: str) -> list[str]:
    """Write a version in one way of several: pip says it in another than some packages do.

    >>> _parts("2023.03") == _parts("2023.3"), _parts("1.0-rc.1") == _parts("1.0RC1")
    (True, True)
    """
    return [part.lstrip("0") or "0" for part in re.findall(r"[0-9]+|[a-z]+", version.lower())]
