"""What a real rsync leaves out, run as a user that is not root."""

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from tasks.filestore import rsync


def test_what_rsync_leaves_out_is_read_from_what_it_says() -> None:
    """A device is skipped with status 0; what the origin's user may not read ends with 23."""
    with tempfile.TemporaryDirectory(prefix="relevo-copies-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        sources, copy = folder / "sources", folder / "copy"
        for path in (sources, copy, sources / "folder"):
            path.mkdir()
        (sources / "fine").write_text("fine")
        (sources / "shut").write_text("shut")
        os.mknod(sources / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        for path in (sources / "shut", sources / "folder"):
            path.chmod(0)
        shutil.chown(copy, "nobody")

        done = subprocess.run(
            ["runuser", "-u", "nobody", "--", *rsync.copy(f"{sources}/", f"{copy}/")],
            capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip

        said = done.stdout + done.stderr
        left = rsync.left_out(said)
        assert (done.returncode, rsync.is_partial(said)) == (23, True), said
        assert left.special == ("null",)
        assert sorted(each.partition(":")[0] for each in left.unreadable) == [
            str(sources / "folder"), str(sources / "shut"),
        ]  # fmt: skip
        assert (copy / "fine").read_text() == "fine"
