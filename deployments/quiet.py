"""The commands that change nothing: what is known, as a person reads it or as a program does."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from blocks.errors import RelevoError, Unreachable
from blocks.instance import OdooInstance, Place
from blocks.plain import plain
from deployments import break_glass, chosen, machine, status, textfile
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.authority.situation import Plan
from tasks.board import words as board_words
from tasks.board.alarms import Colour, Measured
from tasks.board.words import Judged
from tasks.language.reader import translated, word
from tasks.plan.doing import doing
from tasks.records import history
from tasks.records.history import Entry, Kept
from tasks.records.loss import Exposure
from tasks.run import terminal
from tasks.run.moments import Clock, span


def complete(given: argparse.Namespace) -> int:
    """Print the completion of a shell."""
    from deployments import completion  # noqa: PLC0415  # shtab, which nothing else needs

    print(completion.script(given.shell))  # noqa: T201  # a script of ours, with its own escapes
    return 0


def listed(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Show the instances of the inventory."""
    del secrets, settings
    if given.json:
        machine.say(machine.ListDocument(instances=tuple(map(_listed, instances))))
        return 0
    for each in instances:
        where = f"{each.origin} -> {each.recovery} (cluster {each.recovery.cluster})"
        break_glass.say(f"{each.name}: {where}")
    return 0


def _listed(instance: OdooInstance) -> machine.Listed:
    return machine.Listed(
        instance=instance.name, origin=_server(instance.origin),
        recovery=_server(instance.recovery), domains=instance.domains,
    )  # fmt: skip


def _server(place: Place) -> machine.Server:
    return machine.Server(name=str(place), address=place.host.address, cluster=str(place.cluster))


def status_of_all(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Show who serves each instance."""
    del secrets, settings
    rows = status.measure(instances)
    if given.json:
        machine.say(machine.StatusDocument(instances=tuple(rows)))
    else:
        for line in status.lines(rows):
            break_glass.put(line)
    return status.code(rows)


def checked(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Measure all, or one; leave a file for Prometheus where one is named."""
    del settings
    asked = [chosen.one(given.instance, instances, secrets)] if given.instance else instances
    rows = break_glass.measured(asked)
    code, line = board_words.nagios(rows)
    if given.json:
        machine.say(check_document(rows))
    else:
        break_glass.say_check(rows, line)
    if given.textfile is not None:
        others = {each.name for each in instances} - {each.name for each in asked}
        textfile.leave(given.textfile, board_words.metrics(rows), keep=others)
    break_glass.keep_pages(asked, rows)
    return code


def check_document(rows: Sequence[Judged]) -> machine.CheckDocument:
    """What was measured and judged, as fields."""
    ranks = board_words.NAGIOS
    return machine.CheckDocument(
        colour=max((row[1] for row in rows), key=lambda each: ranks[each][0], default=None),
        instances=tuple(_checked(*row) for row in rows),
    )


def _checked(measured: Measured, colour: Colour, why: Iterable[str]) -> machine.Checked:
    both = "both" if measured.served == "both" else None
    place = "origin" if measured.served == "origin" else "recovery" if measured.served else None
    return machine.Checked(
        instance=measured.instance,
        colour=colour,
        why=tuple(why),
        measured_at=datetime.fromtimestamp(measured.at, UTC),
        served_from=both or place,
        under_way=measured.busy or None,
        streaming=measured.streaming if measured.roles else None,
        synchronous=measured.synchronous,
        lag_bytes=measured.lag_bytes,
        lag_seconds=measured.lag_seconds,
        slot=measured.slot or None,
        slot_kept_bytes=measured.kept_bytes,
        files_synced_at=machine.moment(measured.synced_at),
        service_tried_at=machine.moment(measured.verified_at),
        drilled_at=machine.moment(measured.drilled_at),
        certificate_days=measured.certificate_days,
        disk_free_ratio=measured.free_share,
        predicted_rto_seconds=measured.predicted_seconds,
    )


def plan_document(made: Plan) -> machine.PlanDocument:
    """A plan as fields; what it takes is in English."""
    situation, names = made.situation, {key: plain(name) for key, name in made.names.items()}
    steps = doing(made.procedure, made.usual, names, wakes=situation.leader_is_down)
    return machine.PlanDocument(
        procedure=made.procedure,
        instance=made.instance,
        measured_at=datetime.fromisoformat(situation.at),
        origin=machine.End(server=names["origin"], role=situation.shut_out or situation.origin),
        recovery=machine.End(server=names["recovery"], role=situation.recovery),
        kind=made.kind,
        loss=_loss(situation.exposure),
        lag_bytes=situation.lag_bytes,
        lag_seconds=situation.lag_seconds,
        documents_missing=situation.documents,
        not_copied=situation.not_copied,
        predicted_seconds=situation.predicted_seconds,
        asks_whether_down=made.asks_whether_down,
        refusals=situation.refusals,
        lacking=situation.lacking,
        before=steps.before,
        then=steps.then,
    )


def _loss(exposure: Exposure) -> machine.Loss:
    return machine.Loss(
        lossless=exposure.lossless or exposure.synchronous == "wait",
        sentence=str(exposure),
        after=datetime.fromisoformat(exposure.last_commit) if exposure.last_commit else None,
        seconds=exposure.seconds,
        about_bytes=exposure.about_bytes,
    )


def past(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Show who did what to an instance, from the history of both servers."""
    del secrets, settings
    instance = chosen.named(given.instance, instances)
    found = list(_histories(instance))
    if not found:
        raise Unreachable(
            f"neither {instance.origin} nor {instance.recovery} gave the history of "
            f"{instance.name}",
            hint="see that one of them is up and lets this runner log in, then run this again",
        )
    entries = history.merged((place.kind, each) for place, each in found)
    if given.json:
        asked = tuple(place.kind for place, _ in found)
        done = tuple(map(_done, entries))
        machine.say(machine.HistoryDocument(instance=instance.name, asked=asked, entries=done))
        return 0
    for each in entries:
        break_glass.put(_line(each, Clock(instance.timezone, dated=True)))
    return 0


def _histories(instance: OdooInstance) -> Iterator[tuple[Place, list[Entry]]]:
    """Read what each server keeps; say of one that does not answer that its part is missing."""
    with terminal.without_server():
        for place in (instance.origin, instance.recovery):
            try:
                yield place, history.read(place, instance)
            except RelevoError as error:
                terminal.LOG.warning("the history on %s is not read: %s", place, error.message)


def _line(kept: Kept, clock: Clock) -> str:
    entry = kept.entry
    ended = translated("no end is known")
    if entry.ended:
        took = translated(f"after {span((entry.ended - entry.begun).total_seconds())}")
        ended = f"{word(entry.outcome or '')} {took}"
    person = entry.person or translated("nobody known")
    line = f"{translated(clock.when(entry.begun))}  {entry.procedure:<18} {ended:<18} {person}"
    doubt = ""
    if "recovery" not in kept.places:
        doubt = "only the origin has a record of it"
    elif kept.ends == ("origin",):
        doubt = "only the origin has a record of its end"
    why = "; ".join(filter(None, (entry.reason, translated(entry.said), translated(doubt))))
    return f"{line}: {why}" if why else line


def _done(kept: Kept) -> machine.Done:
    entry = kept.entry
    return machine.Done(
        run=entry.run, procedure=entry.procedure, person=entry.person or None,
        reason=entry.reason or None, runner=entry.runner, begun=entry.begun, ended=entry.ended,
        outcome=entry.outcome, said=entry.said or None, kept_on=kept.places,
        end_kept_on=kept.ends,
    )  # fmt: skip
