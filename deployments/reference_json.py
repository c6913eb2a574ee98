"""The page of what `--json` prints, made of the documents themselves."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from deployments.documents import DOCUMENTS
from deployments.machine import VERSION
from deployments.reference_words import bare, kind, table

PAGE = f"""# What `--json` prints

Made of `deployments/documents.py` by `python -m deployments.reference`. Do not edit.

With `--json` a command prints one JSON document on standard output, and nothing else. Errors are a
sentence on standard error, as without it, and no document is printed then. The exit codes are the
same ([command](cli.md)).

- `version` is {VERSION}. Within a version no field is taken away, and none changes its meaning. New
  fields may come: a program has to read past those that it does not know. The same holds for the
  values of a `text` that are named here.
- Sizes are bytes. Durations are seconds. Times are ISO 8601 in UTC, to the second.
- What is not known is `null`.
- `[]` marks a list.
- The text is ASCII: other characters are escaped.

For example, the instances that are not green, and those whose standby is more than 64 MiB behind:

    relevo check --json | jq -r '.instances[] | select(.colour != "green") | .instance'
    relevo check --json | jq -r '.instances[] | select(.lag_bytes > 67108864) | .instance'
"""


def page() -> str:
    """Render the page of all documents."""
    lines = [PAGE]
    for command, document in DOCUMENTS.items():
        lines += [f"## relevo {command} --json\n"]
        lines += [*table(("field", "kind", "meaning"), rows(document)), ""]
    return "\n".join(lines)


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Give each field with its kind and meaning; those of parts after what they are parts of."""
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        hint, said = hints[name], field.description or ""
        listed = get_origin(bare(hint)) is tuple
        inner = bare(get_args(bare(hint))[0] if listed else hint)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            path = f"{prefix}{name}{'[]' if listed else ''}"
            if said:
                yield f"`{path}`", "list" if listed else "group", said
            yield from rows(inner, f"{path}.")
        else:
            yield f"`{prefix}{name}`", _kind(hint), said


def _kind(hint: Any) -> str:
    """Name the kind of a value, and whether it may be null.

    >>> _kind(int), _kind(int | None)
    ('whole number', 'whole number or null')
    """
    named = kind(bare(hint)) if get_origin(bare(hint)) is not tuple else kind(hint)
    return f"{named} or null" if type(None) in get_args(hint) else named
