"""What only a former primary has, written down for the customer before anything is taken back."""

import json
import re
import time
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import CommandFailed
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.host import files
from tasks.host.files import STATE
from tasks.host.job import run_job
from tasks.install import programs
from tasks.install.programs import LIBRARY
from tasks.postgres.observe import observe, observe_leader
from tasks.records import records
from tasks.records.kinds import Aside, Failover
from tasks.run.step import log, step
from tasks.standby.divergence import Divergence, parse

EXAMINE_SECONDS = 6 * 3600
DAY = 86400
FAILURE = "failure.txt"  # why nothing was written down; the next try begins with an empty folder


def output(quarantine: PurePosixPath) -> PurePosixPath:
    return quarantine.with_name(f"{quarantine.name}.only-here")


@step("write down what only {node} has", retries=0)
def examine(
    instance: OdooInstance, node: Place, leader: Place, quarantine: PurePosixPath, timeline: int
) -> Divergence | None:
    """Export the rows that a node committed after the fork, from its quarantined directory.

    An export that fails does not hold customers up: the directory itself is kept, and says it all.
    """
    shell = node.host.shell()
    if text := files.read(shell, output(quarantine) / "summary.json"):
        return _read(text, node)
    fork = observe_leader(leader).forks.get(timeline)
    if fork is None:
        log().warning("no fork of timeline %d is known: %s is kept as it is", timeline, quarantine)
        return None
    programs.install_program(shell, LIBRARY / "divergence", "divergence")
    config = STATE / instance.name / "divergence.json"
    facts = {
        "bin": str(node.cluster.bin_dir),
        "version": node.cluster.version,
        "port": node.cluster.port,
        "config_file": str(node.cluster.config_dir / "postgresql.conf"),
        "directory": str(quarantine),
        "output": str(output(quarantine)),
        "timeline": timeline,
        "fork": str(fork),
    }
    files.install(shell, config, json.dumps(facts, indent=2) + "\n")
    # The folder around may be root's alone.
    owner = files.owner(shell, node.cluster.owner)
    files.make_directory(shell, output(quarantine), owner=owner, mode="700")
    try:
        run_job(
            shell, f"{instance.name}-divergence", (str(LIBRARY / "divergence"), str(config)),
            user=node.cluster.owner, timeout_seconds=EXAMINE_SECONDS,
        )  # fmt: skip
    except CommandFailed as error:
        log().error("what only %s has was not written down: %s", node, error.message)
        why = error.message + "\n"
        files.install(shell, output(quarantine) / FAILURE, why, owner=owner, mode="600")
        return None
    finally:
        files.remove(shell, config)
    found = _read(files.read(shell, output(quarantine) / "summary.json"), node)
    text = found.markdown(f"What only {node} had", where=str(output(quarantine)))
    files.install(shell, output(quarantine) / "summary.md", text, owner=owner, mode="600")
    log().warning("%s: %s", node, found)
    return found


def _read(text: str, node: Place) -> Divergence:
    with understood(f"what only {node} has"):
        return parse(text)


@step("look for what was kept aside on {place}")
def kept(instance: OdooInstance, place: Place) -> str:
    """Name every data directory that this move has put aside, and how many rows only it has."""
    begun = records.read(instance.recovery, instance, Failover)
    since = begun.time.timestamp() if begun else time.time() - DAY
    found = [path for path, seen in _aside(instance, place).items() if seen >= since]
    shell = place.host.shell()
    whole = [
        path for path in found
        if path.suffix not in {".only-here", ".partial"} and _has_reason(shell, path)
    ]  # fmt: skip
    return "; ".join(f"{only_there(shell, path)} ({path})" for path in whole)


def _aside(instance: OdooInstance, place: Place) -> dict[PurePosixPath, float]:
    """All that was kept aside, and when it was first seen; the recovery host remembers it.

    By our clock: that of a host that has lost power may be years off, and set right a minute later.
    """
    known = (records.read(instance.recovery, instance, Aside) or Aside()).seen
    paths = _beside(place)
    seen = {path: known.get(path, time.time()) for path in paths}
    if seen != known:
        records.write(instance.recovery, instance, Aside(seen=seen))
    return {PurePosixPath(path): at for path, at in seen.items()}


def _beside(place: Place, *which: str) -> list[str]:
    """The paths of all that was kept aside, or of those that `find` is to choose."""
    directory = observe(place).directory
    argv = (
        "find", str(directory.parent), "-maxdepth", "1", "-name", f"{directory.name}.quarantine-*",
        *which, "-print0",
    )  # fmt: skip
    ours = re.compile(rf"{re.escape(str(directory))}\.quarantine-[A-Za-z0-9_.-]+")
    # A name with a line feed would be read as two, and the second could be any path.
    output = place.host.shell().run(argv, user=place.cluster.owner).stdout
    return sorted(each for each in output.split("\0") if ours.fullmatch(each))


def only_there(shell: Shell, aside: PurePosixPath) -> str:
    """Say how many rows only a directory has that was kept aside, or why nobody knows."""
    if text := files.read(shell, output(aside) / "summary.json"):
        return str(parse(text))
    why = files.read(shell, output(aside) / FAILURE).strip().splitlines()
    unknown = "a data directory whose own rows were not written down"
    return f"{unknown}, because {' '.join(why[:1] + why[1:][-1:])}" if why else unknown


def _has_reason(shell: Shell, aside: PurePosixPath) -> bool:
    """Tell whether anything may be only there; what was not read through may hold anything."""
    whole = PurePosixPath(str(aside).removesuffix(output(PurePosixPath("/x")).suffix))
    text = files.read(shell, output(whole) / "summary.json")
    return not text or not parse(text).is_nothing


@step("delete what no longer has to be kept aside on {place}")
def purge(instance: OdooInstance, place: Place) -> None:
    """Delete quarantined directories and exports that are older than the retention.

    Those in which nothing was committed after the fork are not kept at all: this comes when the
    other side follows, and they hold nothing that it has not.
    """
    shell, days = place.host.shell(), instance.replication.quarantine_days
    aside = _aside(instance, place)
    idle = [path for path in aside if not _has_reason(shell, path)]
    # Two clocks have to agree before the last copy of anything goes: one may be years off.
    old_there = {*_beside(place, "-ctime", f"+{days}")}
    for path, seen in aside.items():
        if path in idle:
            log().info("deleting %s on %s: nothing was committed there alone", path, place)
        elif seen < time.time() - days * DAY and str(path) in old_there:
            log().info("deleting %s on %s: kept for more than %d days", path, place, days)
        else:
            continue
        files.remove_tree(shell, path)
