"""Images of hosts: a Debian tree with PostgreSQL and a prepared Odoo, built once and cached."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab import checkout, prepared
from tests.lab.mirror import KEYRING, mirror
from tests.lab.trouble import LabError

__all__ = ["DATABASES", "GENERATIONS", "Generation", "LabError", "chroot", "ensure_image"]

CACHE = Path(os.environ.get("RELEVO_LAB_CACHE", "/var/cache/relevo-lab"))
TOOLS = (
    "mmdebstrap", "systemd-nspawn", "ip", "ssh-keygen", "unshare", "nsenter", "setpriv", "dig",
    "mkfs.xfs", "mkfs.ext4", "losetup",
)  # fmt: skip
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "rsync", "postgresql", "sudo", "iproute2",
    "python3-pip", "python3-venv", "cron", "rsyslog", "nginx-light", "curl", "bind9",
    "bind9-dnsutils", "procps", "psmisc", "ssl-cert", "nftables", "libfaketime",
)  # fmt: skip
DATABASES = prepared.DATABASES
# A build dies with whoever asked for it, and takes its mounts along.
MORTAL = (
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
)  # fmt: skip
PROXIES = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
BARE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_OFFLINE": "1"}


@dataclass(frozen=True)
class Generation:
    """A Debian release with what it carries."""

    suite: str
    postgres: int
    odoo: int
    extra_suite: str = ""
    checksums: bool = False
    is_checkout: bool = False  # Odoo from its source, in a venv

    @property
    def packages(self) -> tuple[str, ...]:
        return (*PACKAGES, "git" if self.is_checkout else f"odoo-{self.odoo}")


GENERATIONS = {
    "bullseye": Generation("bullseye", postgres=13, odoo=14),
    "bookworm": Generation("bookworm", postgres=15, odoo=19, extra_suite="sid", is_checkout=True),
    "trixie": Generation("trixie", postgres=17, odoo=19, extra_suite="sid", checksums=True),
}


def ensure_image(generation: Generation) -> Path:
    """Return the image of a generation, building it if it is not cached."""
    require_tools()
    path = CACHE / f"{generation.suite}-{_recipe(generation)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{generation.suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            begun = time.monotonic()
            print(f"building the image {path} (once; some minutes)", flush=True)
            beside = path.with_name(path.name + ".new")
            shutil.rmtree(beside, ignore_errors=True)
            _build(generation, beside)
            beside.rename(path)
            print(f"built in {time.monotonic() - begun:.0f} s", flush=True)
    return path


def require_tools() -> None:
    """Say clearly what this machine lacks."""
    if os.geteuid() != 0:
        raise LabError("the lab boots real hosts and needs root", hint="run it with sudo")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not KEYRING.exists():
        missing.append("debian-archive-keyring")
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}", hint="run `make setup` as root")


def _recipe(generation: Generation) -> str:
    made = checkout.RECIPE if generation.is_checkout else ()
    parts = (generation, PACKAGES, prepared.RECIPE, *made)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def _build(generation: Generation, root: Path) -> None:
    suites = [generation.suite, *([generation.extra_suite] if generation.extra_suite else [])]
    lines = [f"deb [signed-by={KEYRING}] {mirror()} {suite} main" for suite in suites]
    command = [
        *MORTAL, "--mount-proc",
        "mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(generation.packages)}",
        # A lab may be built from a frozen mirror, whose release files are past their date.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *_second_suite(generation), generation.suite, str(root), *lines,
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**BARE, **PROXIES},
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"mmdebstrap failed:\n{done.stderr[-3000:]}")
    if generation.is_checkout:
        checkout.furnish(root)
        chroot(root, *checkout.script(generation.odoo))
    prepared.furnish(root, checkout.ADDONS if generation.is_checkout else prepared.ADDONS)
    initdb = "--data-checksums" if generation.checksums else ""
    odoo = f"{checkout.PYTHON} {checkout.PROGRAM}" if generation.is_checkout else "odoo"
    script = ("bash", "-ec", prepared.SCRIPT, "prepare", str(generation.postgres), initdb, odoo)
    chroot(root, *script, *DATABASES)
    # Every host makes its own at its first boot.
    (root / "etc/machine-id").write_text("")


def _second_suite(generation: Generation) -> list[str]:
    """Take from the second suite only what the first has not: Odoo's newest package."""
    if not generation.extra_suite:
        return []
    pin = f"Package: *\\nPin: release n={generation.extra_suite}\\nPin-Priority: 1\\n"
    folder = '"$1/etc/apt/preferences.d"'
    return [f"--setup-hook=mkdir -p {folder}; printf '{pin}' >{folder}/second"]


def chroot(root: Path, *command: str, stdin: str = "", quiet: bool = False) -> str:
    """Run a command inside a tree that is not booted; with its words when it fails."""
    done = subprocess.run(
        [*MORTAL, f"--mount-proc={root}/proc", "chroot", str(root), *command],
        check=False, capture_output=True, text=True, input=stdin, env=BARE,
    )  # fmt: skip
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-3000:]
        raise LabError(f"{' '.join(command)[:200]} failed in {root}:\n{said}")
    return "" if quiet else done.stdout
