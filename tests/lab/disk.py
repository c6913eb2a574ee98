"""The disks of hosts: when the power is cut, what was not synced is gone.

Each host writes to an ext4 of its own, which lies in a file of an XFS of the lab. XFS copies a file
at one instant, so the copy holds what the disk held then, and nothing of what only the memory of
this machine knew. That copy is the disk with which the host boots again.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.network import sh
from tests.lab.trouble import LabError

SHELF_GB, DISK_GB = 200, 30  # sparse: they take what is written


@dataclass(frozen=True)
class Shelf:
    """Where the disks of a lab lie."""

    folder: Path

    @property
    def image(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.xfs")

    def up(self) -> None:
        """Make an empty shelf; say clearly why this machine cannot have one."""
        self.folder.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(SHELF_GB << 30)
        try:
            sh("mkfs.xfs", "-q", "-s", "size=4096", "-m", "reflink=1", str(self.image))
            _mount(self.image, self.folder)
        except (RuntimeError, FileNotFoundError) as error:
            raise LabError(
                f"this machine cannot mount an XFS with reflink on a loop device: {error}",
                hint="run `make setup` as root for xfsprogs; the kernel needs loop and xfs "
                "(modprobe loop xfs), and a container /dev/loop-control",
            ) from error

    def down(self) -> None:
        """Take it away, with all that lies on it."""
        unmount(self.folder)
        self.image.unlink(missing_ok=True)


@dataclass(frozen=True)
class Disk:
    """The disk of one host: a file on the shelf, mounted beside its root."""

    image: Path
    mounted: Path
    gigabytes: int = DISK_GB

    def mount(self) -> None:
        """Mount the disk; make a new one where there is none."""
        if os.path.ismount(self.mounted):
            return
        if not self.image.exists():
            self.image.parent.mkdir(parents=True, exist_ok=True)
            with self.image.open("wb") as file:
                file.truncate(self.gigabytes << 30)
            sh("mkfs.ext4", "-q", "-F", str(self.image))
        self.mounted.mkdir(parents=True, exist_ok=True)
        _mount(self.image, self.mounted)

    def sync(self) -> None:
        """Have the disk take what was written."""
        sh("sync", "--file-system", str(self.mounted))

    def copy(self) -> None:
        """Copy what the disk holds at this instant."""
        sh("cp", "--reflink=always", str(self.image), str(self._copy))

    def become_copy(self) -> None:
        """Put the copy in the place of the disk, which is not mounted."""
        self._copy.replace(self.image)

    @property
    def _copy(self) -> Path:
        return self.image.with_suffix(".cut")

    def unmount(self) -> None:
        unmount(self.mounted)


def unmount(folder: Path, attempts: int = 50) -> None:
    """Unmount with all below, as soon as the kernel lets go of what was just killed.

    What a foreign namespace has a copy of (that of a container which was started meanwhile) goes
    from here at once, and from memory when that ends.
    """
    while os.path.ismount(folder):
        try:
            sh("umount", "--recursive", *(() if attempts else ("--lazy",)), str(folder))
        except RuntimeError:
            if not attempts:
                raise
            attempts -= 1
            time.sleep(0.1)


def _mount(image: Path, folder: Path) -> None:
    """Mount an image on a loop device, which goes with the mount.

    Past the page cache, so that memory keeps its content once; a file that shares blocks with
    another takes no less than a whole block that way.
    """
    device = sh("losetup", "--find", "--show", "--sector-size=4096", "--direct-io=on", str(image))
    try:
        sh("mount", device.strip(), str(folder))
    finally:
        sh("losetup", "--detach", device.strip())  # once nothing is mounted from it
