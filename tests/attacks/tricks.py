"""What an unprivileged user does in the folders that are his, while root works in them."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from flows.rsync_filestore import rsync_filestore
from tests.attacks import canary
from tests.attacks.oracle import TOOL
from tests.lab.machine import Machine
from tests.oracles import Pair

MODELS = "/opt/odoo/sources/lab_notes/models.py"
PAYLOAD = f"""
import os, subprocess
if os.path.exists("{TOOL}"):
    subprocess.run(["{TOOL}", "module"], check=False)
"""
NAMES = ("trash", "engine", "data_dir/sessions", "sources", "ssh")
LINK = """
import os, sys
verb, base, target, *names = sys.argv[1:]
for name in names:
    path = os.path.join(base, name)
    try:
        if verb == "link":
            if os.path.lexists(path):
                os.rename(path, path + ".mine")
            os.symlink(target, path)
        else:
            if os.path.islink(path):
                os.unlink(path)
            if os.path.lexists(path + ".mine") and not os.path.lexists(path):
                os.rename(path + ".mine", path)
    except OSError:
        pass
"""
# Replaces every file that mktemp makes before root has given it away.
SWAP = r"""
import os, re, sys, time
target, stop, *folders = sys.argv[1:]
fresh = re.compile(r"\.[A-Za-z0-9_-]{6,8}$|\.new$|^\.relevo")
end, swapped = time.time() + 120, 0
while time.time() < end and not os.path.exists(stop):
    for _ in range(300):
        for folder in folders:
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            for name in names:
                if fresh.search(name):
                    path = os.path.join(folder, name)
                    try:
                        if not os.path.islink(path):
                            os.unlink(path)
                            os.symlink(target, path)
                            swapped += 1
                    except OSError:
                        pass
print(swapped)
"""
STOP = "/var/relevo-loot/stop"
EVIL = "/var/relevo-loot/evil"
OPTIONS = (f"-e{EVIL}==1", f"evil2 @ file://{EVIL}2==1")
PACKAGES = f"""
for folder in '{EVIL}==1' '{EVIL}2==1'; do
    mkdir -p "$folder"
    echo 'import subprocess; subprocess.run(["{TOOL}", "pip"])' >"$folder/setup.py"
    echo 'from setuptools import setup; setup(name="evil2", version="1")' >>"$folder/setup.py"
done
"""
CUSTOMIZE = """
import sys
if "freeze" in sys.argv:
    print({!r})
"""


@contextmanager
def module(pair: Pair, block: OdooInstance) -> Iterator[None]:
    """Let the customer's own module carry a payload, and bring it over as every night."""
    origin = pair.origin.machine
    good = origin.read(MODELS)
    origin.write(MODELS, good + PAYLOAD)
    try:
        rsync_filestore(block, "sources")
        yield
    finally:
        origin.write(MODELS, good)
        with suppress(RelevoError):  # it may not be home
            rsync_filestore(block, "sources")


@contextmanager
def links(machine: Machine, user: str, folder: str, *names: str) -> Iterator[None]:
    """Put links to a folder of root's in the place of some of a user's own."""
    words = (folder, canary.FOLDER, *(names or NAMES))
    machine.run("python3", "-c", LINK, "link", *words, user=user)
    try:
        yield
    finally:
        # As root: what the product has made of a link may not be the user's any more.
        machine.run("python3", "-c", LINK, "unlink", *words)


@contextmanager
def swapping(machine: Machine, user: str, folder: str) -> Iterator[None]:
    """Swap all that root is writing in a user's folders, all the while."""
    machine.run("rm", "-f", STOP)
    folders = (folder, f"{folder}/engine", f"{folder}/ssh", "/opt/odoouser/.ssh")
    argv = ("python3", "-c", SWAP, canary.FILE, STOP, *folders)
    with subprocess.Popen(
        machine.inside(*argv, user=user), stdout=subprocess.PIPE, text=True
    ) as swapper:
        try:
            yield
        finally:
            machine.run("touch", STOP)
            said, _ = swapper.communicate(timeout=30)
            print(f"{user} has swapped {said.strip()} files")
            ours = f"-maxdepth 1 -type l -lname '{canary.CANARY}*'"
            clean = f"find {' '.join(folders)} {ours} -delete"
            machine.run("sh", "-c", clean, check=False)


# Answers every login as Odoo does that knows the database and not the user.
SQUAT = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Fake(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        said = b"<methodResponse><params><param><value><boolean>0</boolean></value></param>"
        said += b"</params></methodResponse>"
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Fake)
print("listening", flush=True)
server.timeout = 60
while True:
    server.handle_request()
"""


@contextmanager
def squatting(machine: Machine, user: str, port: int) -> Iterator[None]:
    """Listen where somebody else's Odoo is going to, and answer in its place."""
    argv = machine.inside("timeout", "120", "python3", "-u", "-c", SQUAT, str(port), user=user)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as squatter:
        assert squatter.stdout is not None, "it was asked for"
        assert squatter.stdout.readline() == "listening\n"
        try:
            yield
        finally:
            squatter.terminate()
            found = machine.run("ss", "-Hltnp", f"sport = :{port}").stdout
            for pid in re.findall(r"pid=(\d+)", found):
                machine.run("kill", "-KILL", pid, check=False)


@contextmanager
def freezing(pair: Pair, *lines: str) -> Iterator[None]:
    """Let pip at the origin list some more lines than packages."""
    machine = pair.origin.machine
    argv = ("python3", "-c", "import site; print(site.getusersitepackages())")
    folder = machine.run(*argv, user=pair.origin.user).stdout.strip()
    path = f"{folder}/usercustomize.py"
    text = CUSTOMIZE.format("\n".join(lines))
    machine.run("install", "-d", folder, user=pair.origin.user)
    machine.write(path, text, owner=pair.origin.user, mode=0o644)
    try:
        yield
    finally:
        machine.run("rm", "-f", path)
