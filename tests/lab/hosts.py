"""Three hosts that differ wherever hosts can differ, so that nothing may be taken for granted."""

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from tests.lab import checkout, names
from tests.lab.image import DATABASES, Generation
from tests.lab.machine import Machine
from tests.lab.prepared import DATA_DIR

NUMBERS = {"uno": 11, "dos": 12, "respaldo": 20}
SSH = {"uno": ("admin", 22), "dos": ("sysop", 5253), "respaldo": ("admin", 22)}
# What a hardened server's logins are like; rsync comes through dos, and so it is quiet there.
STRICT = "umask 077\nexport LANG=es_ES.UTF-8\n"
LOGINS = {"dos": STRICT, "respaldo": f"echo Aviso legal: acceso solo para autorizados\n{STRICT}"}
CHAIN, KEY = (f"/etc/letsencrypt/live/dos/{name}.pem" for name in ("fullchain", "privkey"))
SITE = """\
server {{ listen 443 ssl; server_name {}; ssl_certificate {}; ssl_certificate_key {};
    location / {{ proxy_pass http://127.0.0.1:{}; }} }}
"""
RECOVERY_USER, RECOVERY_HOME = "odoouser", "/opt/odoouser"


@dataclass(frozen=True)
class Origin:
    """What the inventory has to know of an origin."""

    machine: Machine
    version: int
    cluster: str
    port: int
    data_dir: str
    http_port: int
    unit: str = "odoo.service"
    conf: str = "/etc/odoo/odoo.conf"
    sources: str = "/opt/odoo/sources"
    user: str = "odoo"
    databases: tuple[str, ...] = DATABASES
    program: str = "/usr/bin/odoo"
    python: str = "/usr/bin/python3"

    @property
    def address(self) -> str:
        return self.machine.address

    @property
    def ssh_user(self) -> str:
        return self.machine.ssh_user

    @property
    def ssh_port(self) -> int:
        return self.machine.ssh_port

    @property
    def host_key(self) -> str:
        return self.machine.host_key

    @property
    def command(self) -> str:
        """How its unit starts Odoo, without options."""
        runs_itself = self.python == Origin.python
        return self.program if runs_itself else f"{self.python} {self.program}"

    @property
    def odoo(self) -> tuple[str, int]:
        """Where a client finds it."""
        return self.machine.address, self.http_port


def uno(machine: Machine, generation: Generation) -> Origin:
    """The one as Debian makes it."""
    return _of(generation, Origin(machine, generation.postgres, "main", 5432, DATA_DIR, 8069))


def dos(machine: Machine, generation: Generation) -> Origin:
    """The one that somebody has made his own."""
    made = Origin(machine, generation.postgres, "clientes", 5544, "/srv/odoo/data", 8169)
    return _of(generation, made)


def _of(generation: Generation, origin: Origin) -> Origin:
    if not generation.is_checkout:
        return origin
    return replace(origin, program=checkout.PROGRAM, python=checkout.PYTHON)


def furnish(machine: Machine, public_key: str, nameserver: str) -> None:
    """Give a host that is not booted its name, its own keys, and a way in."""
    name, admin = machine.name, machine.ssh_user
    machine.write("/etc/hostname", f"{name}\n")
    machine.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
    resolver = f"nameserver {nameserver}\noptions timeout:1 attempts:1\nsearch {names.ZONE}\n"
    machine.write("/etc/resolv.conf", resolver)
    machine.offline("ssh-keygen", "-A")
    machine.offline("useradd", "--create-home", "--shell", "/bin/bash", admin)
    machine.write(f"/home/{admin}/.ssh/authorized_keys", public_key, mode=0o600)
    if name in LOGINS:
        machine.write(f"/home/{admin}/.bashrc", LOGINS[name], owner=admin)
        machine.write("/etc/sudoers.d/umask", "Defaults umask=0077\n", mode=0o440)
    machine.offline("chown", "-R", f"{admin}:", f"/home/{admin}/.ssh")
    machine.write(f"/etc/sudoers.d/{admin}", f"{admin} ALL=(ALL) NOPASSWD:ALL\n", mode=0o440)
    if machine.ssh_port != 22:
        machine.write("/etc/ssh/sshd_config.d/port.conf", f"Port {machine.ssh_port}\n")


def furnish_uno(origin: Origin) -> None:
    """Serve Odoo."""
    origin.machine.offline("systemctl", "enable", "--quiet", origin.unit)


def furnish_dos(origin: Origin) -> None:
    """Serve Odoo from a renamed cluster, another port and another place, over TLS."""
    machine, version = origin.machine, str(origin.version)
    machine.offline("mkdir", "-p", str(PurePosixPath(CHAIN).parent))
    name = f"cliente2.{names.ZONE}"
    subject = ("-days", "90", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
    made = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        KEY,
        "-out",
        CHAIN,
    )
    machine.offline(*made, *subject)
    machine.offline("rm", "-f", "/etc/nginx/sites-enabled/default")
    machine.write("/etc/nginx/conf.d/odoo.conf", SITE.format(name, CHAIN, KEY, origin.http_port))
    machine.offline("systemctl", "enable", "--quiet", origin.unit, "nginx")
    machine.offline("pg_renamecluster", version, "main", origin.cluster)
    machine.offline("pg_conftool", version, origin.cluster, "set", "port", str(origin.port))
    machine.offline("mkdir", "-p", "/srv/odoo")
    machine.offline("mv", DATA_DIR, origin.data_dir)
    conf = machine.read(origin.conf).replace(DATA_DIR, origin.data_dir)
    conf = conf.replace("http_port = 8069", f"http_port = {origin.http_port}")
    machine.write(origin.conf, conf.replace("db_port = False", f"db_port = {origin.port}"))


def furnish_recovery(machine: Machine, generation: Generation) -> None:
    """Have room for others: no cluster, no Odoo running, a web server, a user."""
    machine.offline("pg_dropcluster", str(generation.postgres), "main")
    machine.offline("useradd", "--system", "--create-home", "--shell", "/bin/bash",
                    "--home-dir", RECOVERY_HOME, RECOVERY_USER)  # fmt: skip
    machine.offline("chmod", "711", RECOVERY_HOME)  # newer useradds make it 700
    machine.offline("systemctl", "enable", "--quiet", "nginx")
    machine.offline("rm", "-rf", "/etc/nginx/sites-enabled/default", "/opt/odoo", DATA_DIR)
