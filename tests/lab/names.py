"""A real name server with dynamic updates, in a namespace of its own."""

import base64
import hashlib
import os
import signal
import subprocess
from pathlib import Path

from tests.lab.machine import wait_until
from tests.lab.network import Network, sh

ZONE = "lab.test"
KEY = "relevo"
SECRET = base64.b64encode(hashlib.sha256(b"a lab has no secrets").digest()).decode()

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
cliente1 IN A {origin}
"""


def start(folder: Path, network: Network, image: Path) -> None:
    """Serve the zone of the lab; cliente1 points at the first origin."""
    address = network.address(53)
    network.plug("ns", 53)
    layers = [folder / "ns" / each for each in ("upper", "work", "root")]
    for layer in layers:
        layer.mkdir(parents=True)
    upper, work, root = map(str, layers)
    options = f"lowerdir={image},upperdir={upper},workdir={work}"
    sh("mount", "-t", "overlay", "overlay", "-o", options, root)
    home = Path(root, "run/relevo-names")
    home.mkdir(parents=True)
    (home / "named.conf").write_text(CONF.format(address=address, key=KEY, secret=SECRET, zone=ZONE))
    text = ZONE_FILE.format(zone=ZONE, address=address, origin=network.address(11))
    (home / "zone").write_text(text)
    with (folder / "ns" / "log").open("wb") as log:
        process = subprocess.Popen(
            ["ip", "netns", "exec", network.namespace("ns"), "chroot", root,
             "/usr/sbin/named", "-g", "-c", "/run/relevo-names/named.conf"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    (folder / "ns" / "pid").write_text(str(process.pid))
    wait_until(lambda: lookup(address, f"ns.{ZONE}") == address, "the name server answers", 20)


def lookup(server: str, name: str) -> str:
    """Ask the name server for an address."""
    return sh("dig", "+short", "+time=1", "+tries=1", f"@{server}", name, "A", check=False).strip()


def stop(folder: Path) -> None:
    path = folder / "ns" / "pid"
    if path.exists():
        try:
            os.killpg(int(path.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            return
