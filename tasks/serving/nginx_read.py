"""The configuration of nginx, as `nginx -T` prints it: read as nginx does, file by file."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

FOLDER = PurePosixPath("/etc/nginx")
FILE = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
TOKEN = re.compile(
    r"""\s+ | \#[^\n]*
    | (?P<sign>[{};])
    | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
    | (?P<word>(?:\$\{\w*\}|\\.|[^\s;{}\\])+)""",
    re.VERBOSE | re.DOTALL,
)
DEEPEST, MOST = 30, 200_000  # of blocks and includes in each other, and of directives in all
PATTERN = re.compile(r"[*?\[]")
AS_ONE = 10  # names of files to which a pattern is held, which count as one directive


@dataclass(frozen=True)
class Directive:
    """A word of nginx's with its arguments, and what stands in its block."""

    name: str
    words: tuple[str, ...] = ()
    block: tuple["Directive", ...] = ()


Files: TypeAlias = Mapping[str, tuple[Directive, ...]]


def read(text: str) -> tuple[Directive, ...]:
    r"""Read all files as one, each at the place of the include that names it.

    >>> text = "# configuration file /etc/nginx/nginx.conf:\nhttp { include conf.d/*.conf; }\n"
    >>> text += "# configuration file /etc/nginx/conf.d/a.conf:\nserver { listen 80; }\n"
    >>> read(text)[0].block[0].block[0]
    Directive(name='listen', words=('80',), block=())
    """
    names = FILE.split(text)[1:]
    files = {name: parse(content) for name, content in zip(names[::2], names[1::2], strict=True)}
    if not files:
        return ()
    count = [0]
    return tuple(_joined(next(iter(files.values())), files, 0, count))


def parse(text: str) -> tuple[Directive, ...]:
    """Read one file; what no nginx would accept is passed over.

    >>> parse('server_name "a b" c; # x')
    (Directive(name='server_name', words=('a b', 'c'), block=()),)
    """
    tokens = iter(_tokens(text))
    return tuple(_block(tokens, 0))


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Give each token, and whether it is a sign of nginx's own."""
    for found in TOKEN.finditer(text):
        if found["sign"]:
            yield found["sign"], True
        elif found["word"]:
            yield found["word"], False
        elif found["double"] is not None or found["single"] is not None:
            said = found["double"] if found["double"] is not None else found["single"]
            yield re.sub(r"\\(.)", r"\1", said), False


def _block(tokens: Iterator[tuple[str, bool]], depth: int) -> Iterator[Directive]:
    if depth > DEEPEST:
        raise ValueError("its blocks stand too deep in each other")
    words: list[str] = []
    for said, is_sign in tokens:
        if not is_sign:
            words.append(said)
            continue
        inside = tuple(_block(tokens, depth + 1)) if said == "{" else ()
        if words:
            yield Directive(words[0], tuple(words[1:]), inside)
        words = []
        if said == "}":
            return


def _joined(
    found: tuple[Directive, ...], files: Files, depth: int, count: list[int]
) -> Iterator[Directive]:
    """Put what is included in the place of each include."""
    for each in found:
        count[0] += 1
        includes = each.name == "include" and bool(each.words)
        if includes and PATTERN.search(each.words[0]):
            count[0] += len(files) // AS_ONE
        if depth > DEEPEST or count[0] > MOST:
            raise ValueError("its files include each other without an end")
        if includes:
            for name in _included(each.words[0], files):
                yield from _joined(files[name], files, depth + 1, count)
        else:
            inside = tuple(_joined(each.block, files, depth + 1, count)) if each.block else ()
            yield Directive(each.name, each.words, inside)


def _included(pattern: str, files: Files) -> list[str]:
    """
    >>> _included("sites-enabled/*", {"/etc/nginx/sites-enabled/a": (), "/etc/nginx/x": ()})
    ['/etc/nginx/sites-enabled/a']
    """
    whole = str(FOLDER / pattern)
    if not PATTERN.search(whole):
        return [whole] if whole in files else []
    depth = whole.count("/")
    return sorted(n for n in files if n.count("/") == depth and fnmatch.fnmatchcase(n, whole))
