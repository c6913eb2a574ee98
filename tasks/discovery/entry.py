"""One entry of an inventory as it was found: values, what is left to fill in, and remarks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from blocks.plain import plain
from tasks.language.reader import translated

GROUPS = (
    "host", "postgres", "odoo", "recovery", "domains", "dns", "certificate", "certificates",
)  # fmt: skip
LONGEST = 400
FILL_IN = "FILL IN"


@dataclass
class Entry:
    """What a server says of one Odoo, in the words of the inventory.

    `missing` has a reason for each field (group.field) that was not found or cannot be mapped, and
    `proposed` what it might be. `barred` says why the entry as a whole would not load.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    proposed: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    barred: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Nothing is left to do before it can be replicated, for which a proposal may wait."""
        return not (self.missing.keys() - self.proposed or self.remarks or self.barred)

    def put(self, place: str, value: object) -> None:
        """Write a value down by its place (group.field)."""
        group, _, name = place.partition(".")
        if name:
            self.values.setdefault(group, {})[name] = value
        else:
            self.values[group] = value

    def offer(self, model: type[BaseModel], place: str, value: object, **others: object) -> bool:
        """Take a value, if the inventory would; else say why it does not."""
        group, _, name = place.partition(".")
        try:
            model.model_validate({**others, (name or group): value})
        except ValidationError as error:
            wants = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            self.lack(place, f"it is {value!s:.120} there; in an inventory it {wants}")
            return False
        self.put(place, value)
        return True

    def lack(self, place: str, why: str) -> None:
        """Leave a field to be filled in, and say why."""
        self.missing[place] = plain(why, longest=LONGEST)

    def propose(self, place: str, value: object, why: str) -> None:
        """Leave a value to be taken by whoever has done what it takes."""
        self.proposed[place] = scalar(value)
        self.lack(place, why)

    def remark(self, what: str) -> None:
        """Say what somebody should know before replicate is run."""
        self.remarks.append(plain(" ".join(what.split()), longest=LONGEST))


def render(entry: Entry, *, indent: int = 2, step: int = 2) -> str:
    """Write an entry as YAML, with comments for whoever reads; one that would not load is comments.

    >>> one = Entry("vps_1", {"host": {"address": "10.0.0.1"}})
    >>> one.lack("odoo.config", "not found")
    >>> print(render(one), end="")
      vps_1:
        host:
          address: 10.0.0.1
        # odoo:
          # config:  # FILL IN: not found
    """
    lines = [f"{' ' * step}# {translated(each)}" for each in entry.remarks]
    for group in GROUPS:
        lines += [" " * step + line for line in _group(entry, group, " " * step)]
    lines = [f"{entry.name}:", *lines]
    if entry.barred:
        why = [translated(f"{entry.name} would not load: {plain(each)}") for each in entry.barred]
        lines = [f"# {line}" for line in (*why, *lines)]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _group(entry: Entry, group: str, step: str) -> Iterator[str]:
    value = entry.values.get(group)
    lacking = _lacking(entry.missing, group)
    if whole := lacking.pop("", ""):
        yield f"# {group}: {entry.proposed.get(group, '')} # {FILL_IN}: {whole}"
        return
    if isinstance(value, Mapping) or lacking:
        filled = [line for name, each in (value or {}).items() for line in _field(name, each, step)]
        yield f"{group}:" if filled else f"# {group}:"
        yield from (step + line for line in filled)
        yield from (f"{step}# {name}:  # {FILL_IN}: {why}" for name, why in lacking.items())
    elif value:
        yield f"{group}: {scalar(value)}"


def _lacking(missing: Mapping[str, str], group: str) -> dict[str, str]:
    parts = {place.partition(".")[::2]: why for place, why in missing.items()}
    return {name: translated(why) for (head, name), why in parts.items() if head == group}


def _field(name: str, value: object, step: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield f"{scalar(name)}:"
        yield from (f"{step}{scalar(key)}: {scalar(each)}" for key, each in value.items())
    elif value is not None:
        yield f"{scalar(name)}: {scalar(value)}"


def scalar(value: object) -> str:
    """Write a value as YAML in one line.

    >>> scalar("no"), scalar(5432), scalar(["/opt/a", "/opt/b"])
    ("'no'", '5432', '[/opt/a, /opt/b]')
    """
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 20, allow_unicode=True)
    return text.strip().removesuffix("...").strip()
