"""A real name server with dynamic updates, in a namespace of its own."""

import base64
import hashlib
from pathlib import Path

from tests.lab.cgroup import Cgroup
from tests.lab.machine import wait_until
from tests.lab.network import Network, sh

ZONE = "lab.test"
KEY = "relevo"
SECRET = base64.b64encode(hashlib.sha256(b"a lab has no secrets").digest()).decode()
NUMBER = 53

CONF = """\
options {{ directory "/run/relevo-names"; listen-on {{ {address}; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; pid-file none; session-keyfile none; }};
controls {{ }};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "{zone}" {{ type master; file "zone"; allow-update {{ key "{key}"; }};
    allow-transfer {{ key "{key}"; }}; }};
"""
ZONE_FILE = """\
$TTL 60
@ IN SOA ns.{zone}. admin.{zone}. 1 3600 600 86400 60
@ IN NS ns.{zone}.
ns IN A {address}
"""


def start(folder: Path, network: Network, image: Path, records: dict[str, str]) -> None:
    """Serve the zone of the lab with these addresses in it."""
    address = network.address(NUMBER)
    network.plug("ns", NUMBER)
    root = _mount(folder / "ns", image)
    home = root / "run/relevo-names"
    home.mkdir(parents=True)
    (home / "named.conf").write_text(
        CONF.format(address=address, key=KEY, secret=SECRET, zone=ZONE)
    )
    lines = [f"{name} IN A {where}\n" for name, where in records.items()]
    (home / "zone").write_text(ZONE_FILE.format(zone=ZONE, address=address) + "".join(lines))
    Cgroup.of(network.name, "ns").start(
        "ip", "netns", "exec", network.namespace("ns"), "chroot", str(root),
        "/usr/sbin/named", "-g", "-c", "/run/relevo-names/named.conf",
        log=folder / "ns" / "log",
    )  # fmt: skip
    wait_until(lambda: lookup(address, f"ns.{ZONE}") == address, "the name server answers", 20)


def _mount(folder: Path, image: Path) -> Path:
    layers = [folder / each for each in ("upper", "work", "root")]
    for layer in layers:
        layer.mkdir(parents=True)
    upper, work, root = layers
    options = f"lowerdir={image},upperdir={upper},workdir={work}"
    sh("mount", "-t", "overlay", "overlay", "-o", options, str(root))
    return root


def lookup(server: str, name: str, kind: str = "A") -> str:
    """Ask the name server for an address."""
    said = sh("dig", "+short", "+time=1", "+tries=1", f"@{server}", name, kind, check=False)
    return "" if said.startswith(";") else said.strip()


def update(server: str, name: str, address: str, kind: str = "A") -> None:
    """Point a name at an address, as a provider's API would; or nowhere."""
    words = f"server {server}\nzone {ZONE}\nupdate delete {name} {kind}\n"
    words += f"update add {name} 60 {kind} {address}\nsend\n" if address else "send\n"
    sh("nsupdate", "-y", f"hmac-sha256:{KEY}:{SECRET}", stdin=words)
