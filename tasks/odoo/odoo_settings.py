"""Odoo's settings at the origin as they are in force: its command line over its odoo.conf.

All who want to know what Odoo does there ask here, and none reads odoo.conf alone.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.plain import plain
from tasks.host import files, layout
from tasks.odoo import odoo_conf, odoo_options, odoo_start, of_the_server
from tasks.odoo import started as reading
from tasks.odoo.odoo_start import Start
from tasks.odoo.started import Started

LONGEST = 1 << 18
# Arguments: a unit and the port of its Odoo, by which the process of a unit is found that systemd
# knows no main process of (made of a script in /etc/init.d).
STARTED = """
systemctl show "$1" --property=ExecStart,Environment,EnvironmentFiles,WorkingDirectory \\
    --property=User
echo "unit=$(systemctl cat "$1" 2>/dev/null | base64 -w0)"
pid=$(systemctl show "$1" --property=MainPID --value)
[ "${pid:-0}" -gt 0 ] || for each in $(ss -Hltnp "sport = :$2" | grep -o 'pid=[0-9]*' |
    cut -d= -f2 | sort -un); do
    grep -qE "/$1(/|$)" "/proc/$each/cgroup" && pid=$each && break
done
if [ "${pid:-0}" -gt 0 ] && [ -n "$(tr -d '\\0' <"/proc/$pid/cmdline")" ]; then
    echo "cmdline=$(base64 -w0 "/proc/$pid/cmdline")"
    echo "environ=$(base64 -w0 "/proc/$pid/environ")"
    echo "cwd=$(readlink "/proc/$pid/cwd")"
    echo "owner=$(stat -c %U "/proc/$pid")"
fi
"""
# Are these two names of one file?
SAME = '[ "$1" -ef "$2" ]'
# Arguments: a host's name or address. Prints what it stands for and is not this server's own.
ELSEWHERE = """
found=$(getent ahosts "$1" | cut -d' ' -f1 | sort -u)
[ -n "$found" ] || echo "an unknown host"
for address in $found; do
    case $address in 127.*|::1) continue ;; esac
    ip -o addr show | grep -qF " $address/" || echo "$address"
done
"""
HINT = (
    "fix it on the origin or in the inventory: start Odoo if it is down, set in odoo.conf what "
    "the unit sets, let both name one cluster, and add folders to odoo.sources"
)


def text(place: Place) -> str:
    """The options with which a place's Odoo runs, as an odoo.conf."""
    found = files.read(place.host.shell(), place.odoo.config)
    if not found or place.kind == "recovery":  # there all of them stand in it
        return found
    started = _started(place)
    options = odoo_start.options_of(started, _program(place, started))
    line = odoo_options.read(options or ())
    return odoo_start.in_force(found, started, line, unit=place.odoo.unit)[0]


def observe(instance: OdooInstance) -> Start:
    """Ask the origin with what its Odoo is started, and name all that could not be carried over."""
    origin = instance.origin
    file, started = _file(origin), _started(origin)
    options = odoo_start.options_of(started, _program(origin, started))
    if options is None:
        runs = plain(" ".join(started.words[:2]), longest=200) or "nothing"
        other = f"and the inventory says odoo.program: {origin.odoo.program}"
        return Start(file, wrong=(f"{origin.odoo.unit} runs {runs}, {other}",))
    line = odoo_options.read(options)
    found = odoo_start.judge(
        file, started, line, unit=origin.odoo.unit, user=origin.odoo.user,
        python=origin.odoo.python, copied=instance.copied, sources=origin.odoo.sources,
        rooms={
            origin.odoo.data_dir: instance.recovery.odoo.data_dir,
            files.home(origin.host.shell(), origin.odoo.user): layout.home(instance),
        },
    )  # fmt: skip
    wrong = (*found.wrong, *_of_the_file(origin, started, line), *_of_the_cluster(origin, found))
    if started.unclear:
        unclear = plain(started.unclear, longest=200)
        down = f"{origin.odoo.unit} is down, and {unclear} does not show how Odoo is started"
        wrong = (down, *wrong)
    return replace(found, wrong=wrong, runs=started.runs)


def _file(origin: Place) -> str:
    text = files.read(origin.host.shell(), origin.odoo.config)
    if not text:
        raise Refused(
            f"there is no {origin.odoo.config} on {origin}",
            hint="correct odoo.config in the inventory and apply it",
        )
    return text


def _started(origin: Place) -> Started:
    shell, odoo = origin.host.shell(), origin.odoo
    argv = ("sh", "-c", STARTED, "started", odoo.unit, str(odoo.http_port))
    output = shell.run(argv, limit_bytes=LONGEST).stdout
    with understood(f"how {odoo.unit} on {origin} is started"):
        return reading.read(output)


def _program(origin: Place, started: Started) -> PurePosixPath:
    """Odoo's program by the name with which it was started, which may be a link to it."""
    odoo, program, shell = origin.odoo, origin.odoo.program, origin.host.shell()
    if odoo_start.options_of(started, program) is not None:
        return program
    for word in started.words[:2]:
        path = started.folder / word
        same = shell.run(
            ("sh", "-c", SAME, "same", str(path), str(program)), user=odoo.user, check=False
        )
        if same.status == 0:
            return path
    return program


def _of_the_file(origin: Place, started: Started, line: odoo_options.Line) -> Iterator[str]:
    """Say when Odoo reads another odoo.conf than the inventory names."""
    shell, config, user = origin.host.shell(), origin.odoo.config, origin.odoo.user
    path = odoo_start.config_of(started, line)
    if path is None:
        path = files.home(shell, user) / odoo_start.HOME_CONF
    if path == config:
        return
    same = shell.run(("sh", "-c", SAME, "same", str(path), str(config)), user=user, check=False)
    if same.status != 0:
        yield f"{origin.odoo.unit} reads {path}, and the inventory says odoo.config: {config}"


def _of_the_cluster(origin: Place, found: Start) -> Iterator[str]:
    """Say where Odoo's settings and the inventory disagree, the cluster first of all."""
    where = f"Odoo on {origin}"
    if host := odoo_conf.database_host(found.text):
        shell = origin.host.shell()
        if host.startswith("/"):
            away = "" if PurePosixPath(host) == origin.cluster.sockets else "another socket"
        else:
            away = shell.run(("sh", "-c", ELSEWHERE, "elsewhere", host)).stdout.strip()
        if away:
            yield (
                f"{where} has its databases at {host} (db_host), which is {away.splitlines()[0]} "
                f"and not {origin.cluster} of {origin}"
            )
    for sentence in odoo_conf.differences(
        found.text, data_dir=origin.odoo.data_dir, http_port=origin.odoo.http_port,
        db_port=origin.cluster.port,
    ):  # fmt: skip
        yield f"{where} {sentence}"


def require(instance: OdooInstance) -> Start:
    """Give the settings in force; refuse what the recovery host's Odoo would not have."""
    found = observe(instance)
    if found.wrong:
        raise Refused(
            f"Odoo of {instance.name} would differ on {instance.recovery}: "
            + "; ".join(found.wrong),
            hint=HINT,
        )
    return found


def measure(instance: OdooInstance) -> list[str]:
    """Say that all of it would be on the recovery host, and what would not matter."""
    return said(instance, require(instance))


def said(instance: OdooInstance, found: Start) -> list[str]:
    """What is to be said of settings that can be carried over."""
    fine = f"{instance.origin.odoo.unit} can be carried over"
    return [fine, *found.remarks, *_only_at_the_origin(instance, found)]


def _only_at_the_origin(instance: OdooInstance, found: Start) -> Iterator[str]:
    """Say which files odoo.conf names that the recovery host has not and nobody copies."""
    copies = (*instance.origin.odoo.sources, instance.origin.odoo.data_dir)
    paths = of_the_server.named(
        odoo_conf.parsed(found.text),
        lambda path: odoo_start.is_system(path) or any(path.is_relative_to(c) for c in copies),
    )
    if not paths:
        return
    whole = [PurePosixPath(path) for path in paths]
    here, there = (place.host.shell() for place in (instance.recovery, instance.origin))
    gone = {*files.missing(there, *whole)}
    if lost := [path for path in files.missing(here, *whole) if path not in gone]:
        names = plain(", ".join(f"{paths[path]} = {path}" for path in lost), longest=400)
        yield (
            f"odoo.conf names files that {instance.recovery} lacks: {names}; move them into a "
            f"folder of odoo.sources, or put them there too"
        )
