"""The sentences of the product, found in its code; `python -m tests.catalogue` brings es.po up.

A sentence is a text of several words that somebody reads. What a log, SQL, a shell or a program
reads is none.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from deployments.parser_words import ARGPARSE, meanings
from tasks.language import prose
from tasks.language.catalogue import LABEL, SPANISH, apart
from tasks.language.template import Template
from tasks.plan.aftermath_read import PAGE
from tasks.programs.files.__main__ import VERBS
from tasks.readiness import ahead, at_home, failed_over, preflight

PAGES = (PAGE,)  # whole pages, said line by line
NEEDS = (*preflight.NEEDS, *ahead.NEEDS, *at_home.NEEDS, *failed_over.NEEDS)
ROOT = Path(__file__).parents[1]
FOLDERS = ("blocks", "tasks", "flows", "deployments")
# Logs stay English, and so do the fields of the inventory and of JSON; the others give their texts
# to a machine.
NOT_READ = frozenset(
    [
        "warning",
        "info",
        "debug",
        "error",
        "compile",
        "match",
        "search",
        "sub",
        "fullmatch",
        "execute",
        "executemany",
        "run",
        "value",
        "query",
        "row",
        "rows",
        "install",
        "edit",
        "understood",
        "Literal",
        "Field",
        "cast",
        "TypeVar",
        "getLogger",
    ]
)
HEADING = re.compile(r"^##+ ")
# Words that stand alone: in a table, before a count.
LABELS = (
    "lost", "next", "domains", "clone", "promotion", "roles", "stream", "service", "receipts",
    "guard", "databases", "green", "amber", "red", "instance", "database", "name", "record",
    "author", "created", "file", "files", "seconds", "Steps", "downtime", "nothing", "never",
    "customers", "stays", "Ready", "lag", "slot", "certificate", "disk", "documents", "modules",
    "primary", "standby", "silent", "down", "done", "failed", "yes", "no", "instances",
    "🟢 green", "🟠 *amber*", "🔴 **RED**", "BOTH", "kept", "with", "without", "gone", "starting",
    "recovery", "Reason", "origin", "served from", "not known", "nobody", "refused", "and",
    "well", "next", "NOW", "NOT ASKED", "BLOCKS REPLICATE", "BLOCKS FAILOVER", "BLOCKS FAILBACK",
    "replica", "passwords", "unknown", "none",
)  # fmt: skip
# Sentences of a word or two, or put together of variables.
SHORT = (
    "**Press** {buttons}", "**Press** {first} or {last}", "not all could be asked", "all well",
    "Type {instance}", "{host} (origin)", "{host} (recovery)", "failover of {instance}",
    "failback of {instance}", "switchover of {instance}", "switchover home of {instance}",
    "promote of {instance}", "pg_rewind of {instance}",
    "the inventory says nothing, the server {theirs}",
    "the inventory says {ours}, the server nothing", "after {span}", "{count} checks",
    "{size} free", "{size} behind",
    "{instance}: {recovery} is gone",
    *(f"{{host}} {cannot} {{path}}: {{why}}" for _, cannot in VERBS.values()),
)  # fmt: skip
# What scripts on a host say of it, as it comes back; {places} for what they put in.
SCRIPTED = (
    "the user {name}", "the command {name}", "the unit {name}", "an unknown host",
    (
        'the login of {user} prints "{said}" also when it is no terminal, and rsync cannot read '
        "past that (let its ~/.bashrc begin with: {line})"
    ),
    (
        "{path} is a symbolic link, and what is moved aside would stay where it points to (name "
        "the real folder in data_directory)"
    ),
    (
        "{path} is a mount point, and could not be moved aside (move the data directory one "
        "folder deeper)"
    ),
    "port {port} is served by {unit}, not by {wanted} (odoo.unit)",
    "there is a network here (see PrivateNetwork= of systemd): no rehearsal is safe",
    "{data} belongs to {owner}, not to {user}, who must not read other instances",
    "its home is {known}, and not {wanted}",
)  # fmt: skip
CODE = re.compile(
    r"\n.*\S|^\s*(SELECT|ALTER|CREATE|DROP|WITH|INSERT|UPDATE|DELETE|SET|LOCK|CHECKPOINT|GRANT|REVOKE)\b"
    r"|\$[1-9@({]|\"\$|(^|\s)--[a-z]|^#|2>|\\[swnd(]|&&|=\{|^/|^import |\bFROM\b|\[@?[a-z]+\]|^<"
)
# What another has said, below a sentence of ours.
BELOW = re.compile(r"\n(\{\w+\}\s*)+$")
FEWEST = 2  # words


@dataclass(frozen=True)
class Sentence:
    where: str
    text: str  # as the catalogue has it: places by name
    context: str | None = None


def sentences() -> list[Sentence]:
    """Find every sentence that the product can say."""
    found = list[Sentence]()
    for path in sorted(each for folder in FOLDERS for each in (ROOT / folder).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name.startswith(NOT_SAID):
            continue
        tree = ast.parse(path.read_text())
        found += [Sentence(f"{name}:{line}", text) for line, text in _strings(tree)]
        if name.startswith("flows/"):
            found += [Sentence(f"{name}: a flow", text) for text in _of_flows(tree)]
    found += [Sentence("tests/catalogue.py", text) for text in (*SHORT, *SCRIPTED)]
    found += [Sentence("relevo --help", text) for text in (*meanings(), *ARGPARSE) if " " in text]
    lines = (apart(line)[2] for page in PAGES for line in page.splitlines())
    found += [Sentence("a page", line) for line in lines if _is_read(line)]
    words = {text for text in ARGPARSE if " " not in text} | {need.name for need in NEEDS}
    alone = {*LABELS, *fields(), *words} - {each.text for each in found}
    return [*found, *(Sentence("a label", text, LABEL) for text in sorted(alone))]


# What says nothing to a person, or says it in both languages by itself.
NOT_SAID = (
    *(f"tasks/programs/{name}" for name in (
        "acting", "bounded", "browse", "divergence", "door", "gate", "guard", "journal", "login",
        "odoo_package", "synchronous", "filestore/follow",
    )),
    "tasks/byhand/", "tasks/language/", "deployments/reference.py",
    "deployments/reference_json.py", "deployments/parser_words.py", "tasks/install/zipapp.py",
)  # fmt: skip


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.JoinedStr | ast.Constant):
        text = _text(node)
        for whole in HEADING.sub("", text or "").split("\n\n"):
            part = BELOW.sub("", whole)
            if _is_read(part):
                yield getattr(node, "lineno", 0), part
        return
    if isinstance(node, ast.Call) and _name(node.func) in NOT_READ:
        return
    for child in ast.iter_child_nodes(node):
        if not _is_docstring(node, child):
            yield from _strings(child)


def flows() -> Iterator[ast.FunctionDef]:
    """Find the flows: what their docstrings say stands on a page of Prefect's, with a form."""
    for path in sorted((ROOT / "flows").glob("*.py")):
        yield from _flows(ast.parse(path.read_text()))


def _flows(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any(map(_is_flow, node.decorator_list)):
            yield node


def _is_flow(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and _name(decorator.func) == "flow"


def _of_flows(tree: ast.Module) -> Iterator[str]:
    for each in _flows(tree):
        for part in prose.parts(ast.get_docstring(each) or ""):
            yield part.text.replace("{", "{{").replace("}", "}}")


def fields() -> set[str]:
    """Name the fields of the forms."""
    return {each.arg for flow in flows() for each in (*flow.args.args, *flow.args.kwonlyargs)} - {
        "instance",
        "instances",
    }


def _is_docstring(parent: ast.AST, child: ast.AST) -> bool:
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return isinstance(child.value.value, str)
    return isinstance(parent, ast.Assert) and child is parent.msg


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _text(node: ast.JoinedStr | ast.Constant) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    parts = list[str]()
    for each in node.values:
        if isinstance(each, ast.Constant):
            parts.append(str(each.value).replace("{", "{{").replace("}", "}}"))
        elif isinstance(each, ast.FormattedValue):
            parts.append("{" + _place(each.value) + "}")
    return "".join(parts)


def _place(value: ast.expr) -> str:
    """Name a place after what stands there: `instance_name` for `instance.name`."""
    return re.sub(r"\W+", "_", ast.unparse(value)).strip("_")[:60] or "value"


def _is_read(text: str) -> bool:
    """Tell whether this is a sentence, or a part of one, in words."""
    if CODE.search(text):
        return False
    try:
        own = Template(text).own
    except ValueError:  # a brace that is no place
        return False
    return len(re.findall(r"[a-z]{2,}", own)) >= FEWEST and " " in own.strip()


def catalogue() -> Catalog:
    with SPANISH.open("rb") as file:
        return read_po(file, locale="es")


def update() -> None:
    """Bring the catalogue up to the code: new sentences without a twin, old ones left out."""
    old, new = (
        catalogue() if SPANISH.exists() else Catalog(),
        Catalog(locale="es", project="relevo"),
    )
    for each in sentences():
        known = old.get(each.text, each.context)
        new.add(each.text, known.string if known else "", context=each.context)
    with SPANISH.open("wb") as file:
        write_po(file, new, width=98, sort_output=True, omit_header=True)


if __name__ == "__main__":
    update()
