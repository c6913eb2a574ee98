"""The pages of docs/reference that are made of the code: `python -m deployments.reference`."""

import argparse
import importlib
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from blocks import cluster, host, instance, names
from blocks.runtime import Flow
from deployments import inventory, parser
from tasks.readiness import at_home, failed_over
from tasks.readiness.probes import Need

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
MADE = "by `python -m deployments.reference`. Do not edit."
NEEDS = f"""# What a move needs, and how it is tried by day

Made of `tasks/readiness/at_home.py` and `tasks/readiness/failed_over.py` {MADE}

`relevo check` and the board read the same list. What is lacking turns an instance red, and its
remedy is shown.
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

Each is a button in Prefect, and `relevo run FLOW INSTANCE --set NAME=VALUE` in a shell; `board`
runs by its schedule.
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
KINDS: tuple[tuple[Any, str], ...] = (
    (names.HostAddress, "IP address or DNS name"),
    (names.IpAddress, "IP address"),
    (names.IpAddress6, "IPv6 address"),
    (names.DomainName, "DNS name"),
    (names.Port, "port"),
    (names.HostKey, "public key"),
    (names.LocalPath, "path on the runner"),
    (names.TimeZone, "time zone"),
    (names.WebAddress, "web address"),
    (names.ProviderName, "text"),
    (PurePosixPath, "absolute path"),
    (bool, "true or false"),
    (int, "whole number"),
    (float, "number"),
    (str, "text"),
    (Any, "anything"),
)
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most"}


def needs() -> str:
    """Render the page of what moves need."""
    home = _needs("While the origin serves", at_home.NEEDS)
    return "\n".join(
        [NEEDS, *home, "", *_needs("While the recovery host serves", failed_over.NEEDS), ""]
    )


def _needs(title: str, rows: Sequence[Need]) -> Iterator[str]:
    yield f"## {title}\n"
    head = ("need", "used by", "how it is tried", "by whom", "remedy")
    yield from _table(
        head,
        [(r.name, ", ".join(r.moves), r.tried, ", ".join(r.by), r.remedy) for r in rows],
    )


def command() -> str:
    """Render the page of the command, its subcommands and their options."""
    words = parser.build()
    lines = [CLI, str(words.description), "", "```", str(words.epilog).rstrip(), "```", ""]
    lines += [*_options(words), ""]
    for found in words._actions:  # noqa: SLF001  # argparse has no other way
        if isinstance(found, argparse._SubParsersAction):  # noqa: SLF001
            helps = {each.dest: each.help for each in found._choices_actions}  # noqa: SLF001
            for name, each in found.choices.items():
                usage = " ".join(("relevo", name, *_words(each)))
                lines += [f"## relevo {name}\n", f"`{usage}`\n", f"{_sentence(helps[name])}\n"]
                lines += [*_options(each), ""]
    return "\n".join(lines).rstrip() + "\n"


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for each in _arguments(parser):
        optional = each.option_strings or each.nargs == "?"
        yield f"[{_spelled(each)}]" if optional else _spelled(each)


def _arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    unsaid = (argparse._HelpAction, argparse._SubParsersAction)  # noqa: SLF001
    return [each for each in parser._actions if not isinstance(each, unsaid)]  # noqa: SLF001


def _spelled(each: argparse.Action) -> str:
    if not each.option_strings:
        return each.dest.upper()
    value = "" if each.nargs == 0 else f" {each.metavar or each.dest.upper()}"
    return f"{each.option_strings[-1]}{value}"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = [(f"`{_spelled(each)}`", _meaning(each)) for each in _arguments(parser)]
    return _table(("argument", "meaning"), rows) if rows else iter(())


def _meaning(each: argparse.Action) -> str:
    said = [_sentence(each.help)] if each.help else []
    if each.choices:
        said.append(f"One of {', '.join(f'`{choice}`' for choice in each.choices)}.")
    if isinstance(each.default, str) and each.default not in {"", argparse.SUPPRESS}:
        said.append(f"Default: `{each.default}`.")
    return " ".join(said)


def _sentence(text: str | None) -> str:
    """
    >>> _sentence("show who serves"), _sentence(None)
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
        lines += [f"## {title}\n", *_table(("field", "kind", "default", "meaning"), _rows(model))]
        lines.append("")
    return "\n".join(lines)


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        if inner := _model(hints[name]):
            part = f"{name}.NAME" if get_origin(_bare(hints[name])) is dict else name
            if said := _described(model, name):
                yield f"`{prefix}{part}`", "group", "", said
            yield from _rows(inner, f"{prefix}{part}.")
            continue
        kind = ", ".join((_kind(hints[name]), *_limits(hints[name], field)))
        yield f"`{prefix}{name}`", kind, _default(field), _described(model, name)


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


def _bare(hint: Any) -> Any:
    """A type without its conditions, and without the None that it may be instead."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in {Union, types.UnionType}:
        return _bare(next(each for each in get_args(hint) if each is not type(None)))
    return hint


def _model(hint: Any) -> type[BaseModel] | None:
    found = _bare(hint)
    if get_origin(found) is dict:
        found = _bare(get_args(found)[1])
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _kind(hint: Any) -> str:
    """
    >>> _kind(bool), _kind(tuple[names.IpAddress, ...]), _kind(names.UserName | None)
    ('true or false', 'list (IP address)', 'text')
    >>> _kind(Literal["off", "wait"]), _kind(names.AbsolutePath)
    ('`off` or `wait`', 'absolute path')
    """
    if said := next((word for kind, word in KINDS if kind == hint), ""):
        return said
    if get_origin(hint) in {Union, types.UnionType}:
        return _kind(next(each for each in get_args(hint) if each is not type(None)))
    found = _bare(hint)
    if get_origin(found) is Literal:
        return " or ".join(f"`{each}`" for each in get_args(found))
    if get_origin(found) is tuple:
        return f"list ({_kind(get_args(found)[0])})"
    return _kind(found)


def _limits(hint: Any, field: FieldInfo) -> Iterator[str]:
    if hint == names.Port:
        return
    for each in field.metadata:
        for limit, words in LIMITS.items():
            if (value := getattr(each, limit, None)) is not None:
                yield f"{words} {value}"


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
        (f"`{each.name}`", _kind(each.annotation), _value(each), meanings.get(each.name, ""))
        for each in inspect.signature(flow.fn).parameters.values()
        if each.name != "instance"
    ]
    if rows:
        yield from _table(("parameter", "kind", "default", "meaning"), rows)


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


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(_cell(each) for each in row)} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": command, "flows.md": flows, "inventory.md": fields, "needs.md": needs,
}  # fmt: skip

if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
