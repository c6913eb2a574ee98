"""Command lines of rsync."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

Argv = tuple[str, ...]
TIMEOUT_SECONDS = 15


def copy(source: str, target: str, *, options: Sequence[str] = ()) -> Argv:
    """Copy a tree.

    >>> " ".join(copy("vps_1:/srv/data/", "/r/data/", options=("--ignore-existing",)))
    'rsync -a --timeout=15 --ignore-existing vps_1:/srv/data/ /r/data/'
    """
    return (
        "rsync", "-a", f"--timeout={TIMEOUT_SECONDS}", *options, source, target,
    )  # fmt: skip


def deletions(
    source: str, target: str, *, trash: PurePosixPath, options: Sequence[str] = (), dry: bool
) -> Argv:
    """Move to the trash what the source no longer has; `dry` only names it."""
    return (
        "rsync", "-a", "--delete", "--existing", "--ignore-existing", "--backup",
        f"--backup-dir={trash}", f"--timeout={TIMEOUT_SECONDS}", "--stats", "--no-human-readable",
        *(("--dry-run",) if dry else ()), *options, source, target,
    )  # fmt: skip


def only(names: Iterable[str]) -> str:
    r"""Filter rules that let through these files of a tree and no others.

    A list of names (--files-from) would let the other side ask for ../ outside of the tree.

    >>> only(["db/ab/abc"])
    '+ /db/\n+ /db/ab/\n+ /db/ab/abc\n- *\n'
    """
    rules: dict[str, None] = {}
    for name in sorted(names):
        path = PurePosixPath("/", name)
        rules |= {f"+ {parent}/": None for parent in reversed(path.parents) if parent.name}
        rules[f"+ {path}"] = None
    return "".join(f"{rule}\n" for rule in [*rules, "- *"])
