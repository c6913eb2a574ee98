"""Images of hosts: a Debian tree with PostgreSQL and a prepared Odoo, built once and cached."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("RELEVO_LAB_CACHE", "/var/cache/relevo-lab"))
TOOLS = ("mmdebstrap", "systemd-nspawn", "ip", "rsync", "ssh-keygen", "unshare", "nsenter")
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "rsync", "postgresql", "sudo", "iproute2",
    "python3-pip", "python3-venv", "cron", "rsyslog", "nginx-light", "curl", "bind9", "procps",
    "psmisc", "ssl-cert", "nftables",
)  # fmt: skip
DISABLED = ("odoo", "nginx", "named", "postgresql", "cron", "rsyslog")
DATABASES = ("cliente1", "cliente2")

ODOO_CONF = """\
[options]
admin_passwd = labmaster
db_host = False
db_port = False
db_user = odoo
db_password = False
addons_path = /usr/lib/python3/dist-packages/odoo/addons,/opt/odoo/sources
data_dir = /var/lib/odoo/.local/share/Odoo
http_port = 8069
list_db = True
logfile = /var/log/odoo/odoo-server.log
"""
MODULE = {
    "__manifest__.py": '{"name": "Lab notes", "version": "1.0", "depends": ["base"], '
    '"external_dependencies": {"python": ["num2words"]}}\n',
    "__init__.py": "from . import models\n",
    "models.py": "import num2words\nfrom odoo import fields, models\n\n\n"
    'class LabNote(models.Model):\n    _name = "lab.note"\n    _description = "Lab note"\n'
    "    name = fields.Char()\n",
}
PREPARE = """
set -e
install -d -o postgres -g postgres /var/run/postgresql
pg_ctlcluster $1 main start
runuser -u postgres -- createuser -s odoo 2>/dev/null || true
shift
for database; do
    runuser -u odoo -- env HOME=/var/lib/odoo odoo -c /etc/odoo/odoo.conf -d "$database" \
        -i base,lab_notes --without-demo=all --stop-after-init --no-http --logfile=
done
pg_ctlcluster $(pg_lsclusters -h | awk '{print $1, $2}') stop
"""


@dataclass(frozen=True)
class Generation:
    """A Debian release with what it carries."""

    suite: str
    postgres: int
    odoo: int
    extra_suite: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        return (*PACKAGES, f"odoo-{self.odoo}")


GENERATIONS = {
    "bullseye": Generation("bullseye", postgres=13, odoo=14),
    "trixie": Generation("trixie", postgres=17, odoo=19, extra_suite="sid"),
}


class LabError(RuntimeError):
    """The lab cannot run on this machine, and why."""


def ensure_image(generation: Generation) -> Path:
    """Return the image of a generation, building it if it is not cached."""
    require_tools()
    path = CACHE / f"{generation.suite}-{_recipe(generation)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{generation.suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            print(f"building the image {path} (once; some minutes)", flush=True)
            beside = path.with_name(path.name + ".new")
            shutil.rmtree(beside, ignore_errors=True)
            _build(generation, beside)
            beside.rename(path)
    return path


def require_tools() -> None:
    """Say clearly what this machine lacks."""
    if os.geteuid() != 0:
        raise LabError("the lab boots real hosts and needs root\nHINT: run it with sudo")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}\nHINT: run `make setup` as root")


def _recipe(generation: Generation) -> str:
    parts = (generation, PACKAGES, ODOO_CONF, MODULE, PREPARE, DISABLED)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def mirror() -> str:
    """The Debian mirror that this machine itself uses."""
    if chosen := os.environ.get("RELEVO_LAB_MIRROR"):
        return chosen
    folder = Path("/etc/apt")
    texts = [p.read_text() for p in (*folder.glob("sources.list"), *folder.glob("sources.list.d/*"))]
    found = re.findall(r"https?://\S+/debian/?(?=\s|$)", "\n".join(texts), re.MULTILINE)
    if not found:
        raise LabError(
            "this machine's apt sources name no Debian mirror\n"
            "HINT: set RELEVO_LAB_MIRROR to one that this machine may reach"
        )
    return str(found[0]).rstrip("/")


def _build(generation: Generation, root: Path) -> None:
    suites = [generation.suite, *([generation.extra_suite] if generation.extra_suite else [])]
    lines = [f"deb {mirror()} {suite} main" for suite in suites]
    # The second suite gives only what the first has not: Odoo's newest package.
    pin = f"Package: *\\nPin: release n={generation.extra_suite}\\nPin-Priority: 1\\n"
    hook = (
        'mkdir -p "$1/etc/apt/preferences.d"; '
        f"printf '{pin}' >\"$1/etc/apt/preferences.d/second\""
    )
    options = [f"--setup-hook={hook}"] if generation.extra_suite else []
    command = [
        "mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(generation.packages)}",
        # A lab may be built from a frozen mirror, whose release files are past their date.
        '--aptopt=Acquire::Check-Valid-Until "false"', *options, generation.suite, str(root), *lines,
    ]  # fmt: skip
    subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C"})
    _prepare(generation, root)


def _prepare(generation: Generation, root: Path) -> None:
    """Put an Odoo with databases into the image, so that a host has them in seconds."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    module = root / "opt/odoo/sources/lab_notes"
    module.mkdir(parents=True)
    for name, text in MODULE.items():
        (module / name).write_text(text)
    (root / "etc/odoo/odoo.conf").write_text(ODOO_CONF)
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {os.uname().nodename}\n")
    with _mounted(root):
        chroot(root, "chown", "-R", "odoo:odoo", "/etc/odoo", "/opt/odoo")
        chroot(
            root, "bash", "-c", PREPARE, "prepare", str(generation.postgres), *DATABASES, quiet=True
        )
        chroot(root, "systemctl", "disable", *DISABLED, quiet=True)
    (root / "etc/machine-id").write_text("")


@contextmanager
def _mounted(root: Path) -> Iterator[None]:
    mounts = (("proc", "proc"), ("tmpfs", "dev/shm"))
    (root / "dev/shm").mkdir(exist_ok=True)
    for kind, where in mounts:
        subprocess.run(["mount", "-t", kind, kind, str(root / where)], check=True)
    try:
        yield
    finally:
        for _, where in reversed(mounts):
            subprocess.run(["umount", str(root / where)], check=True)


def chroot(root: Path, *command: str, quiet: bool = False) -> str:
    """Run a command inside a tree; with its words when it fails."""
    done = subprocess.run(
        ["chroot", str(root), *command], check=False, capture_output=True, text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)[:200]} failed in {root}:\n{done.stdout}{done.stderr}")
    return "" if quiet else done.stdout
