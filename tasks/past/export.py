"""Chosen records as they were, read by Odoo itself on the copy of then, and brought as CSV."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from blocks.answers import understood
from blocks.errors import CommandFailed, Refused
from blocks.plain import plain
from tasks.build import build
from tasks.host import files, systemd_unit
from tasks.host.job import show
from tasks.install.programs import UNITS
from tasks.past import backup
from tasks.past.backup import Whole
from tasks.past.chosen import Chosen
from tasks.past.scratch import Past, words
from tasks.readiness import drill_commands as lines
from tasks.readiness import drill_steps
from tasks.run.step import step
from tasks.run.wait import until

MOST, MOST_BYTES = 100_000, 256 << 20
READ_SECONDS = 3600
PROGRAM = (Path(__file__).parents[1] / "programs" / "odoo_records.py").read_text()
TECHNICAL = "look its name up in Odoo: Settings, Technical, Models"


@dataclass(frozen=True)
class Records(Whole):
    """What is in a table, and which of the ids were no records then."""

    rows: int
    lacking: tuple[int, ...]


@contextmanager
def written(past: Past, database: str, chosen: Chosen) -> Iterator[tuple[PurePosixPath, Records]]:
    """Have a table on the recovery host for as long as this lasts."""
    with backup.room(past) as folder:
        path = folder / "records.csv"
        ask_odoo(past, database, chosen, path)
        yield path, table(past, database, chosen, path)


@step("read {chosen} of {database} as it was", retries=0)
def ask_odoo(past: Past, database: str, chosen: Chosen, path: PurePosixPath) -> None:
    """Run Odoo's own shell on the copy, isolated as in a drill, and let it write what is asked."""
    stage, shell, odoo = past.stage, past.stage.shell, past.stage.instance.recovery.odoo
    drill_steps.require_apart(stage)
    asked, program = path.with_name("asked.json"), path.with_name("records.py")
    owner = files.owner(shell, odoo.user)
    files.install(shell, asked, _asked(chosen, path), owner=owner, mode="600")
    files.install(shell, program, PROGRAM, owner=owner, mode="600")
    command = lines.view(
        data=odoo.data_dir, layer=stage.layer, user=odoo.user,
        folder=systemd_unit.folder_of(files.read(shell, UNITS / odoo.unit)),
        variables=build.variables(stage.instance),
        command=lines.odoo_shell(
            build.in_force(stage.instance), program=program, asked=asked, database=database,
            port=stage.cluster.port, data_dir=stage.layer / "data",
        ),
    )  # fmt: skip
    unit, apart = stage.unit("odoo"), drill_steps.apart(stage, path.parent)
    shell.run(lines.start_unit(unit, command, *apart, seconds=READ_SECONDS))
    until(
        lambda: not show(shell, unit).running, what=f"Odoo has read {chosen}",
        timeout_seconds=READ_SECONDS, every=0.5, hint=f"run journalctl -u {unit} there",
    )  # fmt: skip


def _asked(chosen: Chosen, path: PurePosixPath) -> str:
    facts = {
        "model": chosen.model, "domain": chosen.domain, "ids": chosen.ids, "most": MOST,
        "bytes": MOST_BYTES, "output": f"{path}.raw", "said": f"{path}.said",
    }  # fmt: skip
    return json.dumps(facts) + "\n"


@step("write {chosen} of {database} as CSV")
def table(past: Past, database: str, chosen: Chosen, path: PurePosixPath) -> Records:
    """Let no text in the table become a formula; refuse what Odoo could not read."""
    instance, unit = past.stage.instance, past.stage.unit("odoo")
    made = backup.run(past, "table", path, database=database)
    with understood(f"what {backup.PROGRAM.name} says on {instance.recovery}"):
        if "silent" in made:
            raise CommandFailed(
                f"Odoo of then has ended without a word: {words(past.stage.shell, unit)}",
                hint="bring the whole database back, without a model",
            )
        if "rows" not in made:
            raise _refusal(database, chosen, made)
        if not made["rows"]:
            raise Refused(
                f"no record of {chosen} was there then that fits",
                hint="choose another moment, or other records",
            )
        return Records(
            size=int(made["size"]), sha256=str(made["sha256"]), rows=int(made["rows"]),
            lacking=tuple(map(int, made["lacking"])),
        )  # fmt: skip


def _refusal(database: str, chosen: Chosen, made: dict[str, Any]) -> Refused | CommandFailed:
    """Say why Odoo has read nothing."""
    fewer = "choose fewer by a domain or by ids"
    refused = {
        "unknown": (f"{database} has no model {chosen}", TECHNICAL),
        "nothing-kept": (f"{chosen} keeps no records", TECHNICAL),
        "too-many": (f"more than {MOST} records of {chosen} fit", fewer),
        "too-big": (f"the records of {chosen} take more than {MOST_BYTES >> 20} MB", fewer),
    }
    if said := refused.get(str(made.get("refused", ""))):
        return Refused(said[0], hint=said[1])
    return CommandFailed(
        f"Odoo cannot read {chosen} of then: {plain(str(made['complaint']))}",
        hint="correct the fields of the domain, or bring the whole database back",
    )
