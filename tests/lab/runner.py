"""A fourth host: a Debian on which nothing of Relevo is, for somebody who follows the pages.

There is no way to the internet from a lab. What the pages install with apt waits in apt's own
cache, and what pip would fetch in a folder of wheels: whoever types `apt install` or `make install`
there sees what a host with a mirror of its own sees.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from tests.lab.image import BARE, CACHE, MORTAL, PROXIES, require_tools
from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.lab.mirror import KEYRING, mirror
from tests.lab.trouble import LabError

ROOT = Path(__file__).parents[2]
NAME, NUMBER = "worker", 30
SUITE, PYTHON = "bookworm", "3.11.2"
HAS = (
    "systemd", "systemd-sysv", "dbus", "iproute2", "procps", "sudo", "openssh-client", "curl",
    "tzdata", "ca-certificates",
)  # fmt: skip
OFFERS = ("git", "make", "python3-venv", "postgresql", "nginx", "apache2-utils")
# As apt on the host will choose, which takes what is recommended.
FETCH = (
    'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get install --quiet --quiet --yes --download-only '
    f"-o APT::Install-Recommends=true {' '.join(OFFERS)} >&2"
)
REPOSITORY, WHEELS = "/srv/relevo.git", "/srv/wheels"


def boot(lab: Lab) -> Machine:
    """Boot it beside a lab that is up, as fresh as an installer leaves it."""
    machine = Machine(NAME, NUMBER, lab.network, lab.folder, _image(), "root", 22)
    machine.mount()
    machine.write("/etc/hostname", f"{machine.name}\n")
    named = {"vps1": lab.uno.machine, "vps2": lab.dos.machine, "respaldo": lab.respaldo}
    lines = [f"{each.address} {name}" for name, each in named.items()]
    local = f"127.0.0.1 localhost relevo.example.com\n127.0.1.1 {machine.name}\n"
    machine.write("/etc/hosts", local + "\n".join(lines) + "\n")
    machine.write("/etc/resolv.conf", f"nameserver {lab.nameserver}\noptions attempts:1\n")
    machine.write("/etc/pip.conf", f"[global]\nno-index = true\nfind-links = {WHEELS}\n")
    shutil.copytree(_wheels(), machine.root / WHEELS.lstrip("/"))
    publish(machine)
    machine.boot()
    machine.heal()
    return machine


def publish(machine: Machine) -> None:
    """Let the repository that is cloned there have what is committed here."""
    place = str(machine.root / REPOSITORY.lstrip("/"))
    _git("init", "--quiet", "--bare", "--initial-branch=main", place)
    _git("-C", str(ROOT), "push", "--quiet", "--force", place, "HEAD:refs/heads/main")


def commit(machine: Machine) -> str:
    """Add a commit to that repository, as a release would; give its name."""
    place = ("-C", str(machine.root / REPOSITORY.lstrip("/")))
    who = ("-c", "user.name=drill", "-c", "user.email=drill@example.com")
    made = _git(*place, *who, "commit-tree", "main^{tree}", "-p", "main", "-m", "A release")
    _git(*place, "update-ref", "refs/heads/main", made)
    return made


def admit(machine: Machine, key: str) -> None:
    """Let a key log in to a host as the user that a lab's inventory names."""
    path = f"/home/{machine.ssh_user}/.ssh/authorized_keys"
    machine.write(path, machine.read(path) + key)


def _git(*words: str) -> str:
    done = subprocess.run(("git", *words), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"git {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def _image() -> Path:
    """Return the tree of the host, building it if it is not cached."""
    require_tools()
    recipe = hashlib.sha256(repr((SUITE, HAS, FETCH)).encode()).hexdigest()[:10]
    path = CACHE / f"runner-{recipe}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "runner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            beside = path.with_name(f"{path.name}.new")
            shutil.rmtree(beside, ignore_errors=True)
            _build(beside)
            beside.rename(path)
    return path


def _build(root: Path) -> None:
    line = f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main"
    done = subprocess.run(
        [
            *MORTAL, "--mount-proc",
            "mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(HAS)}",
            '--aptopt=Acquire::Check-Valid-Until "false"',
            "--skip=cleanup/apt", f"--customize-hook={FETCH}", SUITE, str(root), line,
        ],
        check=False, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**BARE, **PROXIES},
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"mmdebstrap failed:\n{done.stderr[-3000:]}")
    (root / "etc/machine-id").write_text("")


def _wheels() -> Path:
    """Return a folder with what requirements.lock names, as this machine's own pip gets it."""
    lock = (ROOT / "requirements.lock").read_text()
    path = CACHE / f"wheels-{hashlib.sha256(lock.encode()).hexdigest()[:10]}"
    if not path.exists():
        beside = path.with_name(f"{path.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        chosen = beside / "requirements.txt"
        chosen.write_text("".join(_for_its_python(lock)))
        words = ("download", "-qq", "--no-deps", "--require-hashes", "--only-binary=:all:")
        where = ("--python-version", PYTHON, "--dest", str(beside), "--requirement", str(chosen))
        subprocess.run((sys.executable, "-m", "pip", *words, *where), check=True)
        beside.rename(path)
    return path


def _for_its_python(lock: str) -> Iterator[str]:
    """Choose what the host's Python will: pip asks markers of the one that runs it here."""
    its = {"python_full_version": PYTHON, "python_version": PYTHON.rpartition(".")[0]}
    for entry in re.split(r"^(?=\w)", lock, flags=re.MULTILINE)[1:]:
        first, rest = entry.split("\n", 1)
        wanted = Requirement(first.rstrip("\\"))
        if wanted.marker is None or wanted.marker.evaluate(its):
            yield f"{wanted.name}{wanted.specifier} \\\n{rest}"
