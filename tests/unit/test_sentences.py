"""The sentences of the product are plain English: `python -m tests.sentences` lists them."""

import re

import pytest

from tests.sentences import Sentence, sentences

VERBS = {
    "add", "allow", "bring", "check", "choose", "compare", "confirm", "copy", "correct", "create",
    "delete", "do", "end", "find", "fix", "generate", "give", "install", "keep", "leave", "let",
    "look", "make", "mount", "move", "name", "open", "power", "press", "put", "read", "remove",
    "rename", "renew", "repair", "restart", "restore", "retry", "run", "see", "set", "start",
    "stop", "take", "unmount", "upgrade", "use", "wait", "write",
}  # fmt: skip
# What reads as a translation, and what a person at three in the morning would say instead.
PLAIN = {
    r"lets? us in": "SSH login to uno failed",
    r"says? yes|said yes|a yes\b": "was not approved",
    r"of nobody|nobody keeps|wait for nobody": "with no consumer",
    r"\bmend": "fix",
    r"by other means": "from another source",
    r"\banew\b": "again",
    r"\bby halves\b": "in part",
    r"put right\b": "correct",
    r"no more$|(?<!there )is none$": "no longer; is not one",
    r"stands? for (a|the)|what stands there|stood there": "is kept; is there",
    r"(cannot|has been|is|be) held\b": "fenced",
    r"its word\b|somebody says so": "confirms",
    r"a rehearsal": "a drill",
    r"another one at each": "changed during",
}
EVERY = sentences()


def named(each: Sentence) -> str:
    return f"{each.file}:{each.line}"


@pytest.mark.parametrize(
    "hint", [each for each in EVERY if each.kind == "hint" and each.text], ids=named
)
def test_a_hint_begins_with_a_verb(hint: Sentence) -> None:
    first = re.split(r"\W", hint.text, maxsplit=1)[0]
    assert first in VERBS or hint.text.startswith("{"), str(hint)


@pytest.mark.parametrize(("calque", "instead"), PLAIN.items(), ids=list(PLAIN))
def test_no_sentence_reads_as_a_translation(calque: str, instead: str) -> None:
    found = [str(each) for each in EVERY if re.search(calque, each.text)]
    assert not found, f"say {instead!r}"


def test_the_list_has_steps_hints_docstrings_of_flows_and_messages_over_several_lines() -> None:
    said = {each.text for each in EVERY}
    assert any(each.kind == "step" and each.text == "promote {place}" for each in EVERY)
    assert any(each.kind == "hint" and each.text.startswith("run ") for each in EVERY)
    assert any(text.startswith("Serve an instance's customers from") for text in said)
    assert any("{unit} on {shell.host} was stopped before it finished" in text for text in said)
