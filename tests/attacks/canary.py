"""What is root's: canaries that an attack tries to take, and who owns what beside them."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.machine import Machine

CANARY = "/root/canary"
FILE, FOLDER, START = f"{CANARY}/file", f"{CANARY}/folder", "/usr/local/canary-start"
MAKE = f"""
set -e
rm -rf {CANARY}
mkdir -m 755 {CANARY} {FOLDER}
for path in {FILE} {FOLDER}/file; do echo "what is root's" >$path; chmod 600 $path; done
echo auto >{START}
touch -d '400 days ago' {FOLDER}/file {FOLDER}
"""
# Owners, modes and contents of the canaries; owners and modes of whatever is not plainly root's.
SEEN = f"""
find {CANARY} {START} -printf '%p %u:%g %m %s\\n' | sort
find {CANARY} {START} -type f -exec sha256sum {{}} + | sort
find /etc /usr/local /var/lib/relevo -xdev \\( ! -user root -o -perm /022 \\) ! -type l \\
    ! -path '/etc/postgresql/*' ! -path '/var/lib/relevo/*/asked' -printf '%p %u:%g %m\\n' | sort
stat -c '%n %U:%G %a' /etc /etc/passwd /etc/shadow /etc/sudoers /root /usr/local /var/lib/relevo
"""


@contextmanager
def untouched(*machines: Machine) -> Iterator[None]:
    """Let nothing that is root's change hands, be written or vanish meanwhile."""
    for machine in machines:
        machine.run("sh", "-c", MAKE)
    before = [_seen(machine) for machine in machines]
    yield
    for machine, was in zip(machines, before, strict=True):
        now = _seen(machine)
        gone, new = sorted(set(was) - set(now)), sorted(set(now) - set(was))
        assert not gone, f"{machine.name} had {gone}, and has {new}"
        assert not new, f"{machine.name} has now {new}"


def _seen(machine: Machine) -> list[str]:
    return machine.run("sh", "-c", SEEN, check=False).stdout.splitlines()
