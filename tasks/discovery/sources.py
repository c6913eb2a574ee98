"""The folders of an Odoo that have to be copied: what no package of the distribution brings."""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

PACKAGED = re.compile(r"(^|/)(site|dist)-packages(/|$)")
OF_THE_SYSTEM = ("/usr/lib", "/usr/share", "/lib")


def candidates(
    addons: Sequence[PurePosixPath], package: PurePosixPath | None,
    editable: Sequence[PurePosixPath],
) -> list[PurePosixPath]:  # fmt: skip
    """Name all folders that may be needed: of modules, the checkout of Odoo, editable installs.

    >>> path = PurePosixPath
    >>> candidates([path("/opt/odoo/addons"), path("/opt/x")], path("/opt/odoo/odoo"), [])
    [PurePosixPath('/opt/odoo/addons'), PurePosixPath('/opt/x'), PurePosixPath('/opt/odoo')]
    >>> candidates([], path("/usr/lib/python3/dist-packages/odoo"), [path("/opt/tools")])
    [PurePosixPath('/opt/tools')]
    """
    checkout = [package.parent] if package and not PACKAGED.search(str(package)) else []
    found = dict.fromkeys((*addons, *checkout, *editable))
    return [path for path in found if not is_packaged(path)]


def is_packaged(path: PurePosixPath) -> bool:
    """
    >>> is_packaged(PurePosixPath("/usr/lib/python3/dist-packages/odoo/addons"))
    True
    >>> is_packaged(PurePosixPath("/opt/venv/lib/python3.11/site-packages/odoo/addons"))
    True
    """
    return bool(PACKAGED.search(str(path))) or any(path.is_relative_to(p) for p in OF_THE_SYSTEM)


def owned(text: str) -> set[PurePosixPath]:
    r"""Read which paths `dpkg-query -S` knows.

    >>> owned("odoo-14, x: /opt/odoo\ndpkg-query: no path found matching pattern /srv/x\n")
    {PurePosixPath('/opt/odoo')}
    """
    lines = (line.rpartition(": ") for line in text.splitlines() if not line.startswith("dpkg"))
    return {PurePosixPath(path) for _, colon, path in lines if colon and path.startswith("/")}


def outermost(
    folders: Sequence[PurePosixPath], data_dir: PurePosixPath | None
) -> list[PurePosixPath]:
    """Leave out what lies in another one of them, or in data_dir, which is copied anyway.

    >>> path = PurePosixPath
    >>> outermost([path("/opt/odoo/addons"), path("/opt/odoo"), path("/d/addons/16.0")], path("/d"))
    [PurePosixPath('/opt/odoo')]
    """
    around: Collection[PurePosixPath] = (*folders, *((data_dir,) if data_dir else ()))
    return [
        each for each in dict.fromkeys(folders)
        if not any(each != other and each.is_relative_to(other) for other in around)
        and each != data_dir
    ]  # fmt: skip
