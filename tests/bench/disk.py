"""A disk of the bench's own, new for each size: ext4 with a journal, as servers have it.

This machine's own file system may have none; it then makes no new file of an inode that was deleted
within the last minutes, and searches at each file that is made: 10 times the cost of a file, of
which no real copy knows. The disk lies in a file, which is written past the page cache: a virtual
machine pays for each page of memory that it had given back.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

GIGABYTES = 40  # sparse
BYTES_PER_INODE = 4096


@contextmanager
def fresh(scratch: str) -> Iterator[Path]:
    """Give the folder where a new, empty disk is mounted."""
    with TemporaryDirectory(prefix="relevo-bench-", dir=scratch) as folder:
        image, mounted = Path(folder) / "disk", Path(folder) / "mounted"
        mounted.mkdir()
        with image.open("wb") as file:
            file.truncate(GIGABYTES << 30)
        _run("mkfs.ext4", "-q", "-F", "-i", str(BYTES_PER_INODE), str(image))
        _run("mount", "-o", "loop,noinit_itable", str(image), str(mounted))
        try:
            device = _run("findmnt", "-n", "-o", "SOURCE", str(mounted))
            _run("losetup", "--direct-io=on", device)
            Path(folder).chmod(0o755)
            yield mounted
        finally:
            _run("umount", str(mounted))


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()
