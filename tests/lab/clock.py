"""A clock of its own for a host: otherwise all hosts have this machine's, which nobody may set.

Debian's libfaketime answers every program of the host that asks for the time of day; the time that
only goes forward, by which programs wait, stays true.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.machine import Machine

# Below /usr: Odoo is given its name by systemd, and a file of the system is at both ends.
AHEAD = "/usr/local/lib/relevo-lab-clock"
# How long a program may go on with the time that it knew.
CACHED_SECONDS = 1
FACTS = (
    f"FAKETIME_TIMESTAMP_FILE={AHEAD}", f"FAKETIME_CACHE_DURATION={CACHED_SECONDS}",
    "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1",
)  # fmt: skip
# A program that reads it finds the old or the new, and nothing between.
SET = 'test -e "$1"; echo "$2" >"$1.new"; mv "$1.new" "$1"'
# Everywhere that an environment begins: at systemd's services, a login, sudo, and a cluster.
INSTALL = r"""
echo +0 >"$1"; shift
library=$(echo /usr/lib/*/faketime/libfaketime.so.1)
test -e "$library"
facts="LD_PRELOAD=$library $*"
printf '%s\n' $facts >>/etc/environment
printf 'Defaults env_file=/etc/environment\n' >/etc/sudoers.d/relevo-lab-clock
chmod 440 /etc/sudoers.d/relevo-lab-clock
# Debian 12's makes Python's sleep fail: services, Odoo among them, keep the true time there.
if env $facts python3 -c 'import time; time.sleep(0.01)' 2>/dev/null; then
    mkdir -p /etc/systemd/system.conf.d
    printf '[Manager]\nDefaultEnvironment=%s\n' "$facts" >/etc/systemd/system.conf.d/clock.conf
fi
# It goes on as another user than it began as, in which libfaketime ends a program.
mv /usr/bin/pg_ctlcluster /usr/bin/pg_ctlcluster.true
printf '#!/bin/sh\nunset LD_PRELOAD\nexec /usr/bin/pg_ctlcluster.true "$@"\n' \
    >/usr/bin/pg_ctlcluster
chmod 755 /usr/bin/pg_ctlcluster
shopt -s nullglob
for file in /etc/postgresql-common/environment /etc/postgresql/*/*/environment; do
    printf "%s'\n" $facts | sed "s/=/='/" >>"$file"
done
"""


REMOVE = r"""
rm -f "$1" /etc/sudoers.d/relevo-lab-clock /etc/systemd/system.conf.d/clock.conf
mv /usr/bin/pg_ctlcluster.true /usr/bin/pg_ctlcluster
shopt -s nullglob
for file in /etc/environment /etc/postgresql-common/environment /etc/postgresql/*/*/environment; do
    sed -i '/^LD_PRELOAD=/d; /FAKE/d' "$file"
done
systemctl daemon-reload
"""


def install(machine: Machine) -> None:
    """Give a host a clock of its own, which goes right until it is set.

    Logins have it at once, a cluster from its next start on, a service from the next boot on.
    """
    do = machine.run if machine.is_running else machine.offline
    do("bash", "-ec", INSTALL, "clock", AHEAD, *FACTS)


@contextmanager
def ahead(machine: Machine, seconds: int) -> Iterator[None]:
    """Let logins, and what they run, find a clock that is so many seconds ahead."""
    install(machine)
    set_ahead(machine, seconds)
    try:
        yield
    finally:
        machine.run("bash", "-ec", REMOVE, "clock", AHEAD)


def set_ahead(machine: Machine, seconds: int) -> None:
    """Set a host's clock so many seconds ahead of the true time, or behind; it may be off."""
    do = machine.run if machine.is_running else machine.offline
    do("sh", "-ec", SET, "set", AHEAD, f"{seconds:+d}")
