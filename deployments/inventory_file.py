"""The file of the inventory: read, given its defaults, refused with every mistake in it."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from blocks.errors import Refused
from deployments.inventory import Document
from deployments.inventory_rules import clashes
from deployments.inventory_words import at_lines, mistakes
from deployments.settings import PLACES


class StrictLoader(yaml.SafeLoader):
    """YAML without its trap of taking the last of two equal keys."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Look at the keys as they were written: what `<<` brings in is no second one."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a value that begins with { or [ needs quotes", key.start_mark
                )
        keys = Counter((key.tag, key.value) for key, _ in node.value)
        if doubled := [name for (_, name), count in keys.items() if count > 1]:
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(doubled)}: appears twice", node.start_mark
            )
        return node


def read(path: Path) -> Document:
    """Read and check an inventory; raise Refused with every mistake in it."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        looked = PLACES if path == PLACES[0] else (path,)
        raise Refused(
            f"there is no inventory {' or '.join(map(str, looked))}",
            hint="write one with relevo discover, or name another with RELEVO_INVENTORY",
        ) from None
    except OSError as error:
        raise Refused(
            f"the inventory {path} cannot be read: {error.strerror}",
            hint="run this as the owner of that file, or as root",
        ) from None
    except UnicodeDecodeError as error:
        raise _refused(path, [" ".join(str(error).split())]) from None
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """Check the text of an inventory; raise Refused with every mistake in it."""
    try:
        raw = yaml.load(text, Loader=StrictLoader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        raise _refused(path, [" ".join(str(error).split())]) from None
    if not isinstance(raw, dict):
        what = "is empty" if raw is None else "is not an inventory"
        raise _refused(path, [f"{what}: it must have the keys recovery and instances"])
    try:
        document = Document.model_validate(_with_defaults(raw))
    except ValidationError as error:
        raise _refused(path, mistakes(error, Document, _nodes(text))) from None
    if found := list(clashes(document)):
        raise _refused(path, list(at_lines(found, _nodes(text))))
    return document


def _nodes(text: str) -> yaml.Node | None:
    """Read the file as it is written, with its lines."""
    return yaml.compose(text, Loader=StrictLoader)


def _refused(path: Path, mistakes: list[str]) -> Refused:
    return Refused(
        "\n".join(f"{path}: {mistake}" for mistake in mistakes),
        hint="fix the inventory; nothing was changed",
    )


def _with_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """Give each instance what `defaults` says and it does not."""
    if not isinstance(raw.get("defaults"), dict):
        return raw
    instances = raw.get("instances")
    if not isinstance(instances, dict):
        return raw
    merged = {name: _merge(raw["defaults"], entry) for name, entry in instances.items()}
    return {**raw, "instances": merged}


def _merge(under: object, over: object) -> object:
    """
    >>> _merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    if isinstance(under, dict) and isinstance(over, dict):
        return {**under, **{key: _merge(under.get(key), over[key]) for key in over}}
    return over
