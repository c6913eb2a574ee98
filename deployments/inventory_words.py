"""What is wrong with an inventory: each mistake once, with its line, its value, what is wanted."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

MERGE = "tag:yaml.org,2002:merge"
KEY = "[key]"
MUST_BE = {
    "int_parsing": "a whole number", "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number", "float_type": "a number",
    "bool_parsing": "true or false", "bool_type": "true or false",
    "string_type": "text", "path_type": "a path", "tuple_type": "a list",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}", "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}", "less_than": "less than {lt}",
    "dict_type": "a group of entries", "model_type": "a group of entries",
    "model_attributes_type": "a group of entries",
}  # fmt: skip


def mistakes(error: ValidationError, model: type[BaseModel], root: yaml.Node | None) -> list[str]:
    """Say each mistake of a document; one that stands under `defaults` is said there, and once."""
    found: dict[str, int] = {}
    for each in error.errors(include_url=False):
        place, line = _placed(root, [part for part in each["loc"] if part != KEY])
        found.setdefault(f"{_dotted(place)}: {_said(each, model)}", line)
    return [f"line {line}: {said}" for said, line in sorted(found.items(), key=_by_line)]


def _by_line(found: tuple[str, int]) -> tuple[int, str]:
    return found[1], found[0]


def at_lines(sentences: Iterable[str], root: yaml.Node | None) -> Iterator[str]:
    """Add its line to what begins with a place of the document."""
    for said in sentences:
        _, line = _placed(root, said.partition(": ")[0].split("."))
        yield f"line {line}: {said}"


def _dotted(place: Sequence[str | int]) -> str:
    parts = (str(part) for part in place)
    return ".".join(part if part.isprintable() else repr(part) for part in parts)


def _placed(root: yaml.Node | None, place: Sequence[str | int]) -> tuple[Sequence[str | int], int]:
    """Find where a mistake was written: in its entry, or in the defaults that it was given."""
    depth, line = _followed(root, place)
    if len(place) > 2 and place[0] == "instances":  # noqa: PLR2004  # instances, a name, a field
        default = ("defaults", *place[2:])
        deeper, there = _followed(root, default)
        if deeper - 1 > max(0, depth - 2):
            return default, there
    return place, line


def _followed(root: yaml.Node | None, place: Sequence[str | int]) -> tuple[int, int]:
    """How far a place can be followed in the file, and the line at which that ends."""
    node, line = root, 1
    for depth, part in enumerate(place):
        key, node = _below(node, part)
        if key is None:
            return depth, line
        line = key.start_mark.line + 1
    return len(place), line


def _below(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    """Give the key and the value of a part of a node, also where an anchor brings them in."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if not isinstance(node, yaml.MappingNode):
        return None, None
    for key, value in node.value:
        if key.value == str(part):
            return key, value
    for key, value in node.value:
        if key.tag == MERGE:
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            found = next((pair for each in merged if (pair := _below(each, part))[0]), None)
            return found or (None, None)
    return None, None


def _said(each: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Say what is there, and what is wanted instead, in words."""
    kind, place = each["type"], each["loc"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        meant = alike(str(place[-1]), _keys(model, place[:-1]))
        return f"is not a key that Relevo knows{meant}"
    value, context = f"{each['input']!r:.80}", each.get("ctx", {})
    if kind in MUST_BE:
        return f"is {value}; it must be {MUST_BE[kind].format(**context)}"
    said = str(each["msg"]).removeprefix("Value error, ")
    if place[-1:] == (KEY,):
        return said + _as_name(str(each["input"]))
    return said if said.startswith("is ") else f"is {value}{_joined(said)}"


def _joined(said: str) -> str:
    """Join what a value is to what it should be.

    >>> _joined("must be text"), _joined("no text")
    ('; it must be text', ': no text')
    """
    return f"; it {said}" if said.startswith("must ") else f": {said}"


def alike(typed: str, known: Iterable[str]) -> str:
    """Ask for the name that somebody may have meant.

    >>> alike("http_prot", ["http_port", "postgres_port"]), alike("colour", ["http_port"])
    (': did you mean http_port?', '')
    """
    found = difflib.get_close_matches(typed, known, n=1)
    return f": did you mean {found[0]}?" if found else ""


def _as_name(typed: str) -> str:
    """Propose a name of the form that instances have.

    >>> _as_name("Vps-Clientes 3"), _as_name("\u00f1u")
    (': did you mean vps_clientes_3?', '')
    """
    name = re.sub(r"[^a-z0-9]+", "_", typed.lower()).strip("_")
    return f": did you mean {name}?" if re.match(r"[a-z]{2}", name) and typed.isascii() else ""


def _keys(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """Name the keys that may stand at a place."""
    hint: Any = model
    for part in place:
        found = _model(hint)
        if found and part in found.model_fields:
            hint = found.model_fields[str(part)].annotation
        elif get_origin(hint) is dict:
            hint = get_args(hint)[1]
        else:
            return []
    found = _model(hint)
    return list(found.model_fields) if found else []


def _model(hint: Any) -> type[BaseModel] | None:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    if get_origin(hint) in {Union, UnionType, Annotated}:
        return next((found for each in get_args(hint) if (found := _model(each))), None)
    return None
