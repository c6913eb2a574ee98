"""What pip freeze says."""

import re


def parse(text: str) -> dict[str, str]:
    """Read name and version of each package, the name as PyPI normalises it.

    >>> parse("Babel==2.9.0\\n-e git+x#egg=y\\npython_dateutil==2.8.1\\n")
    {'babel': '2.9.0', 'python-dateutil': '2.8.1'}
    """
    pairs = (line.strip().split("==") for line in text.splitlines() if "==" in line)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def missing(wanted: str, has: str, *, exact: bool) -> list[str]:
    """What has to be installed; without `exact` any version will do, as Debian packages it.

    >>> missing("a==1\\nb==2\\n", "a==3\\n", exact=False), missing("a==1\\n", "a==3\\n", exact=True)
    (['b==2'], ['a==1'])
    """
    theirs, ours = parse(wanted), parse(has)
    return [
        f"{name}=={version}"
        for name, version in sorted(theirs.items())
        if name not in ours or (exact and ours[name] != version)
    ]
