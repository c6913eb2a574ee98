"""Whoever reads now, and what is said in that language: on a page, in a form, at a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from blocks.names import Language
from tasks.language import catalogue

READER: ContextVar[Language] = ContextVar("reader", default="en")


def reading() -> Language:
    """Name the language of whoever reads."""
    return READER.get()


@contextmanager
def read_in(language: Language) -> Iterator[None]:
    """Let what is said in this block be read in a language."""
    token = READER.set(language)
    try:
        yield
    finally:
        READER.reset(token)


def read_by(language: Language) -> None:
    """Let what is said from here on, to the end of the block around, be read in a language."""
    READER.set(language)


def translated(text: str) -> str:
    """Say a sentence to whoever reads."""
    return catalogue.translated(text, reading())


def word(alone: str) -> str:
    """Say a word where no name can stand: a role in its column, a colour, how something ended."""
    if reading() == "en":
        return alone
    return catalogue.labels().get(alone) or catalogue.twins().get(alone, alone)


def shown(markdown: str) -> str:
    """Say a page, or the lines of a terminal, to whoever reads."""
    return catalogue.page(markdown, reading())
