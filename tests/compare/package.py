"""repmgr 5.3 for the lab's PostgreSQL: Debian 12's source package, built once and cached."""

import hashlib
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from tests.lab.image import CACHE, PROXIES, chroot
from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.lab.mirror import mirror
from tests.lab.network import sh
from tests.lab.trouble import LabError

VERSION = "5.3.3"
SOURCE = f"pool/main/r/repmgr/repmgr_{VERSION}.orig.tar.gz"
SHA256 = "60be6d39a706b64de5af5ac3cfe7f8675376ab6049fb2c2a9b7e9d50bf962e01"
LIBRARIES = (
    "build-essential", "flex", "libreadline-dev", "zlib1g-dev", "libssl-dev", "libkrb5-dev",
    "libselinux1-dev", "libxml2-dev", "libxslt1-dev", "libpam0g-dev", "liblz4-dev", "libedit-dev",
)  # fmt: skip
BUILD = """
version=$1; shift
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o Acquire::Check-Valid-Until=false update
apt-get -qq install --no-install-recommends "postgresql-server-dev-$version" "$@"
cd /tmp/repmgr-*/
./configure PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config"
make
make install DESTDIR=/tmp/out
tar -C /tmp/out -czf /tmp/repmgr.tar.gz .
"""


def ensure_package(lab: Lab) -> Path:
    """Return what `make install` made, building it if it is not cached."""
    version = str(lab.generation.postgres)
    kept = CACHE / f"repmgr-{VERSION}-{lab.generation.suite}-{version}.tar.gz"
    if kept.exists():
        return kept
    print(f"building repmgr {VERSION} for PostgreSQL {version} (once; a minute)", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="relevo-repmgr-"))
    root = folder / "root"
    try:
        for layer in ("upper", "work", "root"):
            (folder / layer).mkdir()
        layers = f"lowerdir={lab.image},upperdir={folder / 'upper'},workdir={folder / 'work'}"
        sh("mount", "-t", "overlay", "overlay", "-o", layers, str(root))
        _source(root / "tmp")
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        proxies = (f"{name}={value}" for name, value in PROXIES.items())
        chroot(root, "env", *proxies, "bash", "-ec", BUILD, "build", version, *LIBRARIES)
        shutil.copy(root / "tmp/repmgr.tar.gz", kept)
    finally:
        sh("umount", str(root), check=False)
        shutil.rmtree(folder, ignore_errors=True)
    return kept


def _source(into: Path) -> None:
    packed = into / "repmgr.orig.tar.gz"
    with urllib.request.urlopen(f"{mirror()}/{SOURCE}", timeout=60) as answer:
        packed.write_bytes(answer.read())
    if (found := hashlib.sha256(packed.read_bytes()).hexdigest()) != SHA256:
        raise LabError(f"{SOURCE} has the sha256 {found}", hint=f"expected {SHA256}")
    with tarfile.open(packed) as archive:
        archive.extractall(into, filter="data")


def install(machine: Machine, package: Path) -> None:
    """Lay it over a host, booted or not."""
    (machine.root / "var/tmp/repmgr.tar.gz").write_bytes(package.read_bytes())
    machine.run("tar", "-C", "/", "--no-same-owner", "-xzf", "/var/tmp/repmgr.tar.gz")
    machine.run("ln", "-sf", *_programs(machine), "/usr/bin/")


def _programs(machine: Machine) -> list[str]:
    found = machine.run("sh", "-c", "ls /usr/lib/postgresql/*/bin/repmgr*").stdout
    return found.split()
