"""The pages of docs/reference that are made of the code: `python -m deployments.reference`."""

import argparse
import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from blocks import cluster, host, instance
from blocks.runtime import Flow
from deployments import inventory, parser, reference_json
from deployments.reference_words import bare, kind, limits, table
from tasks.readiness import ahead, at_home, failed_over, preflight
from tasks.readiness.probes import Need

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
MADE = "by `python -m deployments.reference`. Do not edit."
NEEDS = f"""# What a move needs, and how it is tried by day

Made of `preflight.py`, `ahead.py`, `at_home.py` and `failed_over.py` in `tasks/readiness` {MADE}

`relevo check` and the board read the same list. What is lacking turns an instance red, and its
remedy is shown. `relevo doctor` reads all of it, and leaves out what tries by a change.
"""
CLI = f"""# The command `relevo`

Made of `deployments/parser.py` {MADE}
"""
INVENTORY = f"""# The inventory

Made of `deployments/inventory.py` {MADE}

`inventory.example.yaml` shows it whole, with comments. Passwords, tokens and keys stand in
`secrets.yaml` beside it. `defaults` gives each instance what its own entry does not say.
"""
FLOWS = f"""# The flows

Made of the files in `flows/` {MADE}

Each is a button in Prefect, and `relevo run FLOW INSTANCE --set NAME=VALUE` in a shell. Besides,
`board` runs by schedule, and for each recovery host `copies`; where it has a time machine, `watch`.
"""
# Which block says what the fields of an entry mean, where the entry does not.
SAME: dict[type[BaseModel], type[BaseModel]] = {
    inventory.HostEntry: host.Host,
    inventory.RecoveryEntry: host.Host,
    inventory.PostgresEntry: cluster.Cluster,
    inventory.ReplicationEntry: instance.Replication,
    inventory.DnsEntry: instance.Dns,
    inventory.InstanceEntry: instance.OdooInstance,
}


def needs() -> str:
    """Render the page of what moves need."""
    parts = {
        "Before it is replicated": (*preflight.NEEDS, *ahead.NEEDS),
        "While the origin serves": at_home.NEEDS,
        "While the recovery host serves": failed_over.NEEDS,
    }
    return "\n".join([NEEDS, *(line for part in parts.items() for line in (*_needs(*part), ""))])


def _needs(title: str, rows: Sequence[Need]) -> Iterator[str]:
    yield f"## {title}\n"
    head = ("need", "used by", "how it is tried", "by whom", "remedy")
    yield from table(
        head,
        [(r.name, ", ".join(r.moves), r.tried, ", ".join(r.by), r.remedy) for r in rows],
    )


def command() -> str:
    """Render the page of the command, its subcommands and their options."""
    words = parser.build()
    lines = [CLI, str(words.description), "", "```", str(words.epilog).rstrip(), "```", ""]
    lines += [*_options(words), ""]
    meanings = helps(words)
    for name, each in parser.commands(words).items():
        lines += [f"## relevo {name}\n", f"`{usage(name, each)}`\n"]
        lines += [f"{sentence(meanings[name])}\n", *_options(each), ""]
    return "\n".join(lines).rstrip() + "\n"


def helps(words: argparse.ArgumentParser) -> dict[str, str]:
    """Give what each command says of itself."""
    return {
        each.dest: each.help or ""
        for found in words._actions  # noqa: SLF001  # argparse has no other way
        if isinstance(found, argparse._SubParsersAction)  # noqa: SLF001
        for each in found._choices_actions  # noqa: SLF001
    }


def usage(name: str, command: argparse.ArgumentParser) -> str:
    return " ".join(("relevo", name, *_words(command)))


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for each in arguments(parser):
        optional = each.option_strings or each.nargs in {"?", "*"}
        yield f"[{spelled(each)}]" if optional else spelled(each)


def arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    unsaid = (argparse._HelpAction, argparse._SubParsersAction)  # noqa: SLF001
    return [each for each in parser._actions if not isinstance(each, unsaid)]  # noqa: SLF001


def spelled(each: argparse.Action) -> str:
    if not each.option_strings:
        return each.dest.upper()
    value = "" if each.nargs == 0 else f" {each.metavar or each.dest.upper()}"
    return f"{each.option_strings[-1]}{value}"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = [(f"`{spelled(each)}`", meaning(each)) for each in arguments(parser)]
    return table(("argument", "meaning"), rows) if rows else iter(())


def meaning(each: argparse.Action) -> str:
    said = [sentence(each.help)] if each.help else []
    if each.choices:
        said.append(f"One of {', '.join(f'`{choice}`' for choice in each.choices)}.")
    if isinstance(each.default, str) and each.default not in {"", argparse.SUPPRESS}:
        said.append(f"Default: `{each.default}`.")
    return " ".join(said)


def sentence(text: str | None) -> str:
    """
    >>> sentence("show who serves"), sentence(None)
    ('Show who serves.', '')
    """
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def fields() -> str:
    """Render the page of the inventory: every field, its kind, its default and its meaning."""
    lines = [INVENTORY]
    for title, model in (
        ("the file itself", inventory.Reading), ("recovery", inventory.RecoveryEntry),
        ("instances.NAME", inventory.InstanceEntry),
    ):  # fmt: skip
        lines += [f"## {title}\n", *table(("field", "kind", "default", "meaning"), _rows(model))]
        lines.append("")
    return "\n".join(lines)


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        if inner := _model(hints[name]):
            part = f"{name}.NAME" if get_origin(bare(hints[name])) is dict else name
            if said := _described(model, name):
                yield f"`{prefix}{part}`", "group", "", said
            yield from _rows(inner, f"{prefix}{part}.")
            continue
        said = ", ".join((kind(hints[name]), *limits(hints[name], field)))
        yield f"`{prefix}{name}`", said, _default(field), _described(model, name)


def _described(model: type[BaseModel], name: str) -> str:
    """What a field means, said by itself or by the block that is made of it."""
    places = (model, SAME.get(model, model))
    found = [each.model_fields[name].description for each in places if name in each.model_fields]
    return next((said for said in found if said), "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}) or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _model(hint: Any) -> type[BaseModel] | None:
    found = bare(hint)
    if get_origin(found) is dict:
        found = bare(get_args(found)[1])
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def flows() -> str:
    """Render the page of the flows: what each does, and what may be said to it."""
    lines = [FLOWS]
    for name in (*parser.FLOWS, "board"):
        lines += [*_flow(getattr(importlib.import_module(f"flows.{name}"), name)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _flow(flow: "Flow[Any, Any]") -> Iterator[str]:
    what, _, arguments = (inspect.getdoc(flow.fn) or "").partition("\nArgs:\n")
    meanings = _arguments_of(arguments)
    yield f"## {flow.name}\n"
    yield f"{what.strip()}\n"
    rows = [
        (f"`{each.name}`", kind(each.annotation), _value(each), meanings.get(each.name, ""))
        for each in inspect.signature(flow.fn).parameters.values()
        if each.name != "instance"
    ]
    if rows:
        yield from table(("parameter", "kind", "default", "meaning"), rows)


def _value(each: inspect.Parameter) -> str:
    if each.default is inspect.Parameter.empty:
        return "needed"
    value = str(each.default).lower() if isinstance(each.default, bool) else str(each.default)
    return f"`{value}`" if value else ""


def _arguments_of(text: str) -> dict[str, str]:
    r"""Read the part of a docstring that says what the arguments mean.

    >>> _arguments_of("    to: Where\n        they go.\n    reason: Why.")
    {'to': 'Where they go.', 'reason': 'Why.'}
    """
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(text).splitlines():
        if line.startswith(" "):
            found[name] += f" {line.strip()}"
        elif line:
            name, _, said = line.partition(": ")
            found[name] = said
    return found


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": command, "flows.md": flows, "inventory.md": fields, "needs.md": needs,
    "json.md": reference_json.page,
}  # fmt: skip

if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
    from deployments import manpage  # it needs this module

    manpage.PATH.parent.mkdir(exist_ok=True)
    manpage.PATH.write_text(manpage.page())
