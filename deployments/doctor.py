"""relevo doctor: all that a set-up and a move need, one line a check; nothing is changed."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments import chosen, machine, machine_setup
from deployments.break_glass import put, say
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.doctor import examine, findings
from tasks.doctor.findings import NOT_ASKED, TO_FIX, WELL, Examined, Finding
from tasks.readiness import ahead

VERDICTS: dict[int, Literal["well", "to fix", "not all asked"]] = {
    WELL: "well",
    TO_FIX: "to fix",
    NOT_ASKED: "not all asked",
}


def command(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Examine one instance or all, and say what to fix first."""
    del settings
    if given.instance and given.all:
        raise Refused("an instance and --all were named", hint="give one of the two")
    asked = [chosen.named(given.instance, instances)] if given.instance else instances
    known = {each.name: list(_known_here(each.name, secrets)) for each in asked}
    examined = []
    for found in examine.examine(asked, known):
        each = _without_ports(found) if found.instance in secrets.portless else found
        for line in () if given.json else each.lines(well=given.well or len(asked) == 1):
            put(line)
        examined.append(each)
    if given.json:
        machine.say(document(examined))
    elif len(asked) != 1:
        say(findings.summary(examined))
    return findings.code(examined)


def _without_ports(examined: Examined) -> Examined:
    """Leave out what was asked of ports that stand for those which are not allotted yet."""
    left = [each for each in examined.findings if each.check not in ahead.PORTS]
    return replace(examined, findings=left)


def document(examined: Sequence[Examined]) -> machine_setup.DoctorDocument:
    """What was found, as fields."""
    return machine_setup.DoctorDocument(instances=tuple(map(_patient, examined)))


def _patient(examined: Examined) -> machine_setup.Patient:
    return machine_setup.Patient(
        instance=examined.instance,
        verdict=VERDICTS[examined.code],
        findings=tuple(
            machine_setup.Found(
                check=each.check, state=each.state, said=each.said, remedy=each.remedy or None
            )
            for each in examined.in_order
        ),
    )


def _known_here(name: str, secrets: Secrets) -> Iterator[Finding]:
    """What this machine lacks itself."""
    if name in secrets.portless:
        yield Finding(
            "recovery ports", "next", "none are allotted yet: the inventory leaves them out",
            "run relevo apply, which has the recovery server allot them",
        )  # fmt: skip
    if chosen.lacks_passwords(name, secrets):
        yield Finding(
            "passwords", "replicate", f"{secrets.path} has none for {name}",
            "run relevo apply, if the instance is new; else bring secrets.yaml here",
        )  # fmt: skip
