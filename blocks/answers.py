"""What a host said, taken apart: what cannot be understood is a sentence about that host."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from blocks.errors import CommandFailed

# What taking apart a text raises when the text is another one than was expected; a figure may be
# without an end, too.
SENSELESS = (
    ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError,
)  # fmt: skip
LOOK = "run the command there by hand, and repair or remove what is damaged"


@contextlib.contextmanager
def understood(what: str) -> Iterator[None]:
    """Read what a host said; raise CommandFailed when that is not what was asked for.

    >>> with understood("the port of 13/main on uno"):
    ...     int("none")
    Traceback (most recent call last):
    blocks.errors.CommandFailed: the port of 13/main on uno is not understood: ValueError: invalid \
literal for int() with base 10: 'none'
    HINT: run the command there by hand, and repair or remove what is damaged
    """
    try:
        yield
    except SENSELESS as error:
        raise CommandFailed(
            f"{what} is not understood: {type(error).__name__}: {str(error)[:300]}", hint=LOOK
        ) from error


def value(text: str, what: str) -> Any:
    """Read any JSON."""
    with understood(what):
        return json.loads(text)


def facts(text: str, what: str) -> dict[str, Any]:
    """Read a JSON object.

    >>> facts('{"a": 1}', "it"), facts("[]", "it")
    Traceback (most recent call last):
    blocks.errors.CommandFailed: it is not understood: ValueError: it is not a JSON object
    HINT: run the command there by hand, and repair or remove what is damaged
    """
    with understood(what):
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")  # noqa: TRY004  # a text that is wrong
        return found


def rows(text: str, what: str) -> list[dict[str, Any]]:
    """Read a JSON list of objects.

    >>> rows('[{"a": 1}]', "it")
    [{'a': 1}]
    """
    with understood(what):
        found = json.loads(text)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise ValueError("it is not a list of JSON objects")
        return found
