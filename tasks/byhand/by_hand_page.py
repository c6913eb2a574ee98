"""A page that is followed by hand: all the ways of a procedure, with no word of one night alone.

It is the same every day, so the one that was kept before an accident is the right one after it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from blocks.names import Language
from tasks.byhand.by_hand_step import Step


@dataclass(frozen=True)
class Part:
    """Steps under one heading; those of a way are numbered with its letter."""

    en: str
    es: str
    steps: tuple[Step, ...]
    letter: str = ""
    how_en: str = ""
    how_es: str = ""


@dataclass(frozen=True)
class Page:
    """A procedure with all its ways; the steps that are for all of them are numbered through."""

    en: str
    es: str
    parts: tuple[Part, ...]


WORDS = {
    "alone": (
        (
            "Follow this page only where `relevo {command} {instance}` cannot be used: Relevo does "
            "the same with more care. The page is the same every day: its commands read what "
            "depends on the night."
        ),
        (
            "Siga esta página solo si `relevo {command} {instance}` no puede usarse: Relevo hace "
            "lo mismo con más cuidado. La página es la misma todos los días: sus comandos leen lo "
            "que depende de la noche."
        ),
    ),
    "how": ("How to follow it", "Cómo seguirla"),
    "login": (
        (
            "Log in to the server that a step names, and become root (`sudo -i`). Work inside of "
            "`tmux` or `screen`, so that a lost connection stops nothing."
        ),
        (
            "Entre en el servidor que nombra el paso y hágase root (`sudo -i`). Trabaje dentro de "
            "`tmux` o `screen`, para que una conexión perdida no detenga nada."
        ),
    ),
    "paste": (
        (
            "Read what stands before a block. Then copy the block whole, from `(` to `)`, and "
            "paste it. Nothing in it has to be edited."
        ),
        (
            "Lea lo que está antes del bloque. Después copie el bloque entero, de `(` a `)`, y "
            "péguelo. No hay nada que editar."
        ),
    ),
    "ok": (
        (
            "A block that has come to its end prints its number and OK, for example `A2: OK`. "
            "Without that line something went wrong, and nothing after it was done: read the "
            "error, and do not go on with the next step."
        ),
        (
            "Un bloque que llegó a su fin imprime su número y OK, por ejemplo `A2: OK`. Sin esa "
            "línea algo salió mal, y no se hizo nada de lo que sigue: lea el error y no siga con "
            "el paso siguiente."
        ),
    ),
    "again": (
        (
            "A block may be pasted again, unless its step says otherwise. Steps that begin with "
            '"Only if" are skipped unless that is so.'
        ),
        (
            "Un bloque puede pegarse otra vez, salvo que su paso diga lo contrario. Los pasos que "
            'empiezan con "Solo si" se saltan cuando no es el caso.'
        ),
    ),
    "server": ("server", "servidor"),
    "way in": ("how to log in", "cómo entrar"),
    "you": ("you", "usted"),
}
HINTS = ("login", "paste", "ok", "again")


def word(key: str, language: Language) -> str:
    return WORDS[key][language == "es"]


def draw(page: Page, names: Mapping[str, str], language: Language, *, command: str) -> str:
    """Write a page; `command` is what Relevo would do the same by."""
    return "\n".join(_lines(page, names, language, command)) + "\n"


def _lines(page: Page, names: Mapping[str, str], language: Language, command: str) -> Iterator[str]:
    yield f"# {(page.es if language == 'es' else page.en).format(**names)}"
    if command:
        yield from ("", word("alone", language).format(command=command, **names))
    yield from ("", f"## {word('how', language)}", "")
    yield from (f"- {word(key, language)}" for key in HINTS)
    yield from ("", f"| {word('server', language)} | {word('way in', language)} |", "|---|---|")
    yield from (f"| {names[end]} | `{names[f'{end}_login']}` |" for end in ("origin", "recovery"))
    passed = 0
    for part in page.parts:
        yield from _part(part, names, language, passed)
        passed += 0 if part.letter else len(part.steps)


def _part(part: Part, names: Mapping[str, str], language: Language, passed: int) -> Iterator[str]:
    title, how = (part.es, part.how_es) if language == "es" else (part.en, part.how_en)
    letter = f"{part.letter}. " if part.letter else ""
    yield from ("", f"## {letter}{title.format(**names)}")
    if how:
        yield from ("", how.format(**names))
    previous = ""
    for number, step in enumerate(part.steps, 1 if part.letter else 1 + passed):
        label = f"{part.letter}{number}"
        yield from _step(step, {**names, "previous": previous}, language, label)
        previous = label


def _step(step: Step, names: Mapping[str, str], language: Language, label: str) -> Iterator[str]:
    where = word("you", language) if step.where == "you" else names.get(step.where, step.where)
    yield from ("", f"### {label}. {where}: {step.text(language).format(**names)}")
    if note := step.note(language):
        yield from ("", note.format(**names))
    if step.commands:
        yield from ("", "```bash", *block(step, names, label), "```")


def block(step: Step, names: Mapping[str, str], label: str) -> Iterator[str]:
    """Write what is pasted: a shell of its own, which ends at the first thing that goes wrong."""
    yield from ("(", "set -euo pipefail", "cd /")
    yield from (command.format(**names) for command in step.commands)
    yield from (f"echo '{label}: OK'", ")")
