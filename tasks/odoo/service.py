"""Odoo at either place: is it there, does it run, does it answer?"""

import time
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from blocks.plain import plain
from blocks.shell import Shell
from tasks.host import together
from tasks.odoo import customers, http
from tasks.postgres import cluster, observe
from tasks.run.outcome import Outcome
from tasks.run.step import step
from tasks.run.wait import until

START_SECONDS, SERVE_SECONDS = 120, 180
STRAGGLER_SECONDS = 60  # how long one more database is waited for, once others answer
FIND_SECONDS = 10  # for the catalog of one database, while customers wait

# Arguments: a port and a unit. Names whoever listens at the port and does not belong to the unit.
STRANGERS = """
for pid in $(ss -Hltnp "sport = :$1" | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do
    grep -qE "/$2(/|$)" "/proc/$pid/cgroup" || tail -n 1 "/proc/$pid/cgroup" | sed 's,.*/,,'
done
"""
# Arguments: a unit, and the folder of the units of a host's owner. Says what is a link there, to
# which file; the file of a unit with an @ is its template.
LINKED = """
case $1 in *@*) template="${1%%@*}@.${1##*.}" ;; *) template=$1 ;; esac
for name in "$1" "$template"; do
    [ ! -L "$2/$name" ] || { echo "$name $(readlink -m "$2/$name")"; break; }
done
"""
OWN_UNITS = "/etc/systemd/system"


@dataclass(frozen=True)
class Served:
    """Which databases of a place answer a customer, and why the others do not."""

    names: list[str]
    silent: list[str]

    def __str__(self) -> str:
        return ", ".join(self.names)

    @property
    def outcome(self) -> Outcome:
        """Whether Odoo answers for all of them."""
        if self.silent:
            return Outcome(
                done=False, sentence=f"Odoo does not answer for {'; '.join(self.silent)}"
            )
        return Outcome(done=True, sentence="Odoo answers for every database")


def listening_at(port: int) -> tuple[str, ...]:
    """The command that says who listens at a port."""
    return ("ss", "-Hltn", f"sport = :{port}")


def require_free_port(shell: Shell, instance: OdooInstance, *, workers: int = 0) -> None:
    """Refuse a port that something else on the recovery host listens on.

    An Odoo with workers has a second one, for the live chat.
    """
    odoo = instance.recovery.odoo
    ports = {"http_port": odoo.http_port}
    if workers:
        ports["longpolling_port"] = odoo.longpolling_port
    for name, port in ports.items():
        listening = together.ask(shell, listening_at(port)).stdout.strip()
        if listening and not is_active(shell, odoo.unit):
            raise Refused(
                f"port {port} on {instance.recovery} is taken by another program: "
                f"{observe.holder(shell, port)}",
                hint=f"give {instance.name} another recovery.{name} in the inventory, apply it and "
                "run build-service again",
            )


def is_active(shell: Shell, unit: str) -> bool:
    return shell.run(("systemctl", "is-active", unit), check=False).stdout.strip() == "active"


def starts_at_boot(shell: Shell, unit: str) -> bool:
    """Tell whether systemd starts a unit at boot, by whatever way that was arranged."""
    state = shell.run(("systemctl", "is-enabled", unit), check=False).stdout.strip()
    return state not in {"disabled", "masked"}


def require_own_file(place: Place) -> None:
    """Refuse a unit that is a link: `systemctl disable` removes the link, and the unit with it.

    A move disables Odoo where customers leave; they could not come back there (systemctl(1)).
    """
    unit = place.odoo.unit
    argv = ("sh", "-c", LINKED, "linked", unit, OWN_UNITS)
    name, _, to = place.host.shell().run(argv).stdout.strip().partition(" ")
    if to and to != "/dev/null":
        raise Refused(
            f"the file of {unit} on {place} is a link to {plain(to)}, which systemctl disable "
            "removes: after a failover Odoo could not be started there again",
            hint=_own_name(PurePosixPath(to), unit, name),
        )


def _own_name(to: PurePosixPath, unit: str, name: str) -> str:
    """Say what to do with a link: an alias of another unit, or a file from elsewhere.

    >>> _own_name(PurePosixPath("/usr/lib/systemd/system/odoo14.service"), "odoo.service", "")
    'write odoo.unit: odoo14.service into the inventory and apply it'
    """
    if to.parts[-3:-1] == ("systemd", "system") and "@" not in unit:
        return f"write odoo.unit: {plain(to.name)} into the inventory and apply it"
    file = f"{OWN_UNITS}/{name}"
    return (
        f"run cp --remove-destination {plain(str(to))} {file} there, then systemctl daemon-reload"
    )


@step("start Odoo on {place}")
def start(place: Place) -> None:
    """Start Odoo by its unit, now and at the next boot, as its cluster.

    A unit that has failed too often is forgiven first.
    """
    if not cluster.accepts_writes(place):
        raise Refused(
            f"PostgreSQL on {place} does not accept writes, so Odoo is not started there",
            hint="run the procedure again: it promotes first",
        )
    shell, unit = place.host.shell(), place.odoo.unit
    argv = ("systemctl", "start", unit)
    if shell.run(argv, check=False, timeout_seconds=START_SECONDS).status != 0:
        shell.run(("systemctl", "reset-failed", unit), check=False)
        shell.run(argv, timeout_seconds=START_SECONDS)
    # Odoo starts meanwhile. A boot reads all units anyway, so systemd need not do it now.
    shell.run(("systemctl", "enable", "--no-reload", unit), timeout_seconds=START_SECONDS)
    cluster.start_at_boot(place, "auto")


@step("wait until Odoo on {place} answers for every database")
def wait_until_serving(place: Place) -> Served:
    """Wait until every database of the cluster answers a customer's request over HTTP.

    One that does not keeps nobody else from working: once some answer, the next one has a minute.
    One that cannot even be asked whether it is Odoo's is named, and waited for by nobody.
    """
    asked = customers.odoo(place, timeout_seconds=FIND_SECONDS)
    waiting = dict.fromkeys(asked.names, "")
    served: list[str] = []
    begun = moved = time.monotonic()

    def settled() -> bool:
        nonlocal moved
        answered = _ask_all(place, waiting)
        if answered:
            served.extend(answered)
            moved = time.monotonic()
        patience = STRAGGLER_SECONDS if served else SERVE_SECONDS
        return not waiting or time.monotonic() > max(moved, begun) + patience

    until(settled, what="Odoo answers", timeout_seconds=2 * SERVE_SECONDS + 60 * len(waiting))
    barred = [f"{name!r}: {why}" for name, why in asked.barred.items()]
    found = Served(sorted(served), sorted([*waiting.values(), *barred]))
    if served:
        _require_own_listener(place)
    if waiting and not served:
        raise CommandFailed(
            f"{found.outcome.sentence} on {place}",
            hint=f"run journalctl -u {place.odoo.unit} there",
        )
    return found


def _require_own_listener(place: Place) -> None:
    """Require that it is this Odoo that answered: on one host, another could sit at its port."""
    shell, odoo = place.host.shell(), place.odoo
    argv = ("sh", "-c", STRANGERS, "strangers", str(odoo.http_port), odoo.unit)
    if stranger := shell.run(argv).stdout.strip():
        raise CommandFailed(
            f"port {odoo.http_port} on {place} is answered by {stranger}, not by {odoo.unit}",
            hint=f"stop what listens there (ss -ltnp), then systemctl restart {odoo.unit}",
        )


def _ask_all(place: Place, waiting: dict[str, str]) -> list[str]:
    """Ask the databases that have not answered yet; give those that do, note why of the others."""
    answers = http.answers(place, list(waiting))
    waiting.update({name: f"{name}: {why}" if why else "" for name, why in answers.items()})
    answered = [name for name, why in answers.items() if not why]
    for name in answered:
        del waiting[name]
    return answered


@step("require that nothing is left to do for {instance.name} on {place}")
def require_whole(instance: OdooInstance, place: Place, *outcomes: Outcome) -> None:
    """End red when something is left to do, after everything else has been done.

    Odoo may have died since it answered, so its unit is asked once more.
    """
    if left := [each.sentence for each in (*outcomes, _runs_on(place)) if not each.done]:
        raise CommandFailed(
            f"{instance.name} is served from {place}, but {'; '.join(left)}",
            hint=f"fix this by hand or in the inventory (journalctl -u {place.odoo.unit} there "
            "shows what Odoo says), then retry this run: it repeats what is left",
        )


def _runs_on(place: Place) -> Outcome:
    unit = place.odoo.unit
    return Outcome(
        done=is_active(place.host.shell(), unit),
        sentence=f"{unit} has stopped since Odoo answered",
    )
