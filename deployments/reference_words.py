"""Kinds of values in words, and tables, for the pages of docs/reference."""

import types
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from blocks import names

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
    (datetime, "time"),
    (bool, "true or false"),
    (int, "whole number"),
    (float, "number"),
    (str, "text"),
    (Any, "anything"),
)
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most"}


def bare(hint: Any) -> Any:
    """A type without its conditions, and without the None that it may be instead."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in {Union, types.UnionType}:
        return bare(next(each for each in get_args(hint) if each is not type(None)))
    return hint


def kind(hint: Any) -> str:
    """
    >>> kind(bool), kind(tuple[names.IpAddress, ...]), kind(names.UserName | None)
    ('true or false', 'list (IP address)', 'text')
    >>> kind(Literal["off", "wait"]), kind(names.AbsolutePath)
    ('`off` or `wait`', 'absolute path')
    """
    if said := next((word for kind, word in KINDS if kind == hint), ""):
        return said
    if get_origin(hint) in {Union, types.UnionType}:
        return kind(next(each for each in get_args(hint) if each is not type(None)))
    found = bare(hint)
    if get_origin(found) is Literal:
        return " or ".join(f"`{each}`" for each in get_args(found))
    if get_origin(found) is tuple:
        return f"list ({kind(get_args(found)[0])})"
    return kind(found)


def limits(hint: Any, field: FieldInfo) -> Iterator[str]:
    if hint == names.Port:
        return
    for each in field.metadata:
        for limit, words in LIMITS.items():
            if (value := getattr(each, limit, None)) is not None:
                yield f"{words} {value}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell(each) for each in row)} |"


def cell(text: str) -> str:
    return text.replace("|", r"\|")
