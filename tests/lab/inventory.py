"""The inventory of a lab, as an operator would write it."""

from pathlib import Path

import yaml

from tests.lab import checkout, names
from tests.lab.hosts import CHAIN, KEY
from tests.lab.lab import Lab, Origin

BASE = "/opt/odoouser/respaldo_filestore"
GO_ON_SECONDS = 5


def write(
    lab: Lab, folder: Path, *, filestore_seconds: int = 3600, synchronous: str = "off"
) -> Path:
    """Write inventory.yaml and secrets.yaml for both origins; return the inventory's path."""
    folder.mkdir(parents=True, exist_ok=True)
    recovery = lab.respaldo
    document = {
        "recovery": {
            "name": "respaldo",
            "address": recovery.address,
            "user": "admin",
            "key_file": str(lab.key),
            "host_key": lab.host_key(recovery),
            "directory": BASE,
        },
        "defaults": {
            "postgres": {"version": lab.generation.postgres},
            "odoo": {"sources": _sources(lab)},
            "replication": {
                "wal_keep_mb": 64,
                "synchronous": synchronous,
                "go_on_seconds": GO_ON_SECONDS,
            },
            # Odoo's collector takes a large share of so small a filestore on its first run.
            "filestore": {"max_deleted_share": 0.5},
            "schedules": {"filestore_seconds": filestore_seconds},
            "alarms": {"sync_minutes": max(30, filestore_seconds // 30)},
        },
        "instances": {
            "vps_uno": {
                **_instance(lab, lab.uno, 5433, 8169),
                "domains": [f"cliente1.{names.ZONE}"],
                "dns": {"provider": "ddns", "zone": names.ZONE},
            },
            "vps_dos": {
                **_instance(lab, lab.dos, 5434, 8269),
                "domains": [f"cliente2.{names.ZONE}"],
                "certificate": {"chain": CHAIN, "key": KEY},
            },
        },
    }
    path = folder / "inventory.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    secrets = folder / "secrets.yaml"
    if secrets.exists():
        return path
    secrets.touch(mode=0o600)
    secrets.write_text(yaml.safe_dump({"vps_uno": {"dns": dns(lab)}}))
    return path


def _sources(lab: Lab) -> list[str]:
    own = [checkout.SOURCE] if lab.generation.is_checkout else []
    return [*own, "/opt/odoo/sources"]


def dns(lab: Lab) -> dict[str, str]:
    """Give what the name server of a lab wants to know."""
    token = f"hmac-sha256:{names.KEY}:{names.SECRET}"
    return {"auth_token": token, "ddns_server": lab.nameserver}


def _instance(lab: Lab, origin: Origin, postgres_port: int, http_port: int) -> dict[str, object]:
    return {
        "host": {
            "name": origin.machine.name,
            "address": origin.machine.address,
            "port": origin.ssh_port,
            "user": origin.ssh_user,
            "key_file": str(lab.key),
            "host_key": lab.host_key(origin.machine),
        },
        "postgres": {"name": origin.cluster, "port": origin.port},
        "odoo": {
            "data_dir": origin.data_dir,
            "http_port": origin.http_port,
            "program": origin.program,
            "python": origin.python,
        },
        "recovery": {
            "postgres_port": postgres_port,
            "http_port": http_port,
            "longpolling_port": http_port + 3,
        },
    }
