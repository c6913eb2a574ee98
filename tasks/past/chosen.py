"""Which records somebody wants: a model, and a domain or ids, held against their forms. Pure."""

import ast
import math
import re
from dataclasses import dataclass
from typing import Any

from blocks.errors import Refused

MODEL = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
FIELD = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
LINKS = {"&", "|", "!"}
OPERATOR = re.compile(r"[<>]?=|[<>]|!=|<>|=\?|(not )?(in|i?like)|=i?like|(child|parent)_of")
CONDITION = 3  # field, operator, value
LONGEST, LONGEST_MODEL, MOST_IDS, MOST_ID = 10_000, 128, 10_000, 2**31
EXAMPLE = "[('name', 'ilike', 'garcia')]"


@dataclass(frozen=True)
class Chosen:
    """Records of a model: those of a domain, in Odoo's own form."""

    model: str
    domain: list[Any]
    ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.model


def choose(model: str, domain: str, ids: str) -> Chosen:
    """Read a choice as a person writes it; refuse what has not its form.

    >>> choose("res.partner", "", "7, 9")
    Chosen(model='res.partner', domain=[['id', 'in', [7, 9]]], ids=(7, 9))
    >>> choose("res.partner", "['|', ('name', '=', 'Ana'), ('id', '<', 5)]", "").domain
    ['|', ['name', '=', 'Ana'], ['id', '<', 5]]
    """
    if len(model) > LONGEST_MODEL or not MODEL.fullmatch(model):
        raise Refused(f"{model!r:.80} is no name of a model", hint="write it as res.partner")
    if bool(domain.strip()) == bool(ids.strip()):
        raise Refused(
            "records are chosen by a domain or by ids, one of the two",
            hint=f"write ids as 7,9 or a domain as {EXAMPLE}; [] means all",
        )
    if ids.strip():
        numbers = _numbers(ids)
        return Chosen(model, [["id", "in", list(numbers)]], numbers)
    return Chosen(model, _domain(domain))


def _numbers(text: str) -> tuple[int, ...]:
    words = [each.strip() for each in text.split(",")]
    if len(words) > MOST_IDS or not all(re.fullmatch(r"[0-9]{1,10}", each) for each in words):
        raise Refused(f"{text!r:.80} are no ids of records", hint="write them as 7,9")
    found = tuple(dict.fromkeys(map(int, words)))
    if not all(0 < each < MOST_ID for each in found):
        raise Refused(f"{text!r:.80} are no ids of records", hint="write them as 7,9")
    return found


def _domain(text: str) -> list[Any]:
    wrong = Refused(f"{text!r:.200} is no domain", hint=f"write it as {EXAMPLE}")
    if len(text) > LONGEST:
        raise wrong
    try:
        found = _listed(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise wrong from None
    if not isinstance(found, list) or not all(map(_is_term, found)):
        raise wrong
    return found


def _listed(value: object) -> Any:
    """Odoo takes lists for tuples."""
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value


def _is_term(term: object) -> bool:
    """
    >>> _is_term("|"), _is_term(["name", "=", "x"]), _is_term(["name); DROP", "=", "x"])
    (True, True, False)
    >>> _is_term(["name", "inselect", ["SELECT 1", []]]), _is_term(["name", "=", {}]), _is_term(1)
    (False, False, False)
    """
    if isinstance(term, str):
        return term in LINKS
    if not isinstance(term, list) or len(term) != CONDITION:
        return False
    field, operator, value = term
    named = isinstance(field, str) and FIELD.fullmatch(field) is not None
    compares = isinstance(operator, str) and OPERATOR.fullmatch(operator) is not None
    return named and compares and _is_value(value)


def _is_value(value: object) -> bool:
    """A plain value, or a list of some: what Odoo takes for a statement of its own is neither."""
    if isinstance(value, list):
        return not any(isinstance(each, list) for each in value) and all(map(_is_value, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int | None)
