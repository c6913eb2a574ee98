"""How a record is written and read, whatever it holds: its version, and what fits it.

A class gains keys with a default and keeps its version: an older Relevo reads past what it does not
know, and loses it when it writes. A key that an older one must not miss raises the version, for a
record of a newer version is refused. Files of before there were versions are of version 1.
"""

import json
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from blocks.answers import facts
from blocks.errors import CommandFailed, Refused

HINT = "check which cluster accepts writes, then move this file away and run this again"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What stands in one file of an instance on one host; None stands for a key that is absent."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    # A procedure is decided by it; without what is no more than a note, each goes on.
    decides: ClassVar[bool] = False
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)

    @classmethod
    def from_keys(cls, found: dict[str, Any]) -> dict[str, Any]:
        """Give the fields of this class that the keys of a file are."""
        return found

    def to_keys(self) -> dict[str, Any]:
        """Give the keys of the file, in JSON's own types."""
        said = _adapter(type(self)).dump_python(self, mode="json")
        return {name: value for name, value in said.items() if value is not None}

    def as_text(self) -> str:
        """Give the text of the file."""
        whole = {**self.to_keys(), "version": self.version}
        return json.dumps(whole, indent=2, sort_keys=True) + "\n"


R = TypeVar("R", bound=Record)
_ADAPTERS: dict[type[Record], TypeAdapter[Any]] = {}


def _adapter(kind: type[R]) -> TypeAdapter[R]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def parse(kind: type[R], text: str, where: str) -> R:
    """Read a record's text; `where` names the file and its host.

    :raises Refused: for a text that is no such record, and for one of a newer version.
    """
    try:
        found = facts(text, where)
    except CommandFailed as error:
        raise _spoiled(where, error.message) from error
    version = found.pop("version", 1)
    if type(version) is not int or version < 1:
        raise _spoiled(where, f"its version is {version!r:.60}")
    if version > kind.version:
        raise Refused(
            f"{where} was written by a newer Relevo (version {version}, this one knows "
            f"{kind.version})",
            hint="upgrade this runner, or run this from the one that wrote it",
        )
    try:
        return _adapter(kind).validate_python(kind.from_keys(found))
    except ValidationError as error:
        raise _spoiled(where, _sentence(error)) from error


def _spoiled(where: str, why: str) -> Refused:
    return Refused(f"{where} is spoiled: {why}", hint=HINT)


def _sentence(error: ValidationError) -> str:
    said = []
    for each in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        what = each["msg"].removeprefix("Value error, ")
        said.append(": ".join([*filter(None, [".".join(map(str, each["loc"]))]), what]))
    return "; ".join(said)[:300]
