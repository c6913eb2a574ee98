"""The text of an inventory, with entries added to it: what is there stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from blocks.errors import Refused
from deployments import inventory_file
from deployments.inventory import Document
from deployments.secrets import write
from tasks.discovery.entry import scalar

NEW_MODE = 0o640
INSTANCES = "instances"


@dataclass(frozen=True)
class Book:
    """An inventory as a text: a file's, or one that is to become a file."""

    path: Path
    text: str
    is_new: bool = False

    @classmethod
    def open(cls, path: Path) -> "Book":
        """Read an inventory that is there, and loads; raise Refused when it does not."""
        inventory_file.read(path)
        return cls(path, _text(path))

    def document(self) -> Document:
        """Load the text; raise Refused with every mistake in it."""
        return inventory_file.parse(self.text, self.path)

    @property
    def indent(self) -> int:
        """How far the names of instances are indented."""
        _, found = self._instances()
        if isinstance(found, yaml.MappingNode) and found.value:
            return int(found.value[0][0].start_mark.column)
        return 2

    def with_entries(self, entries: Sequence[str]) -> "Book":
        """Add rendered entries behind the last instance; raise Refused where that is not clear."""
        if not entries:
            return self
        key, found = self._instances()
        lines = self.text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        if key is None or found is None:
            return replace(self, text="".join((*lines, f"\n{INSTANCES}:\n", *entries)))
        if not (isinstance(found, yaml.MappingNode) and found.value):
            begin, end = found.start_mark.index, found.end_mark.index
            lines = f"{self.text[:begin].rstrip(' ')}{self.text[end:]}".splitlines(keepends=True)
            at = key.end_mark.line + 1
        elif found.flow_style:
            raise Refused(
                f"the instances of {self.path} stand between braces, where nothing can be added",
                hint="write each instance on lines of its own",
            )
        else:
            at = _end(lines, found.end_mark.line)
        return replace(self, text="".join((*lines[:at], *entries, *lines[at:])))

    def renamed(self, old: str, new: str) -> "Book":
        """Give an instance another name where it stands; refuse where that changes more, or less.

        Comments, order and anchors stay.
        """
        _, found = self._instances()
        keys = [key for key, _ in found.value] if isinstance(found, yaml.MappingNode) else []
        at = next((key.end_mark.index for key in keys if key.value == old), 0)
        spots = [
            token
            for token in yaml.scan(self.text, Loader=yaml.SafeLoader)
            if isinstance(token, yaml.ScalarToken) and token.end_mark.index == at
        ]
        if not spots or spots[0].value != old:
            raise self._no_place(old)
        before, after = self.text[: spots[0].start_mark.index], self.text[at:]
        made = replace(self, text=f"{before}{scalar(new)}{after}")
        wanted = yaml.safe_load(self.text)
        names = {name: new if name == old else name for name in wanted[INSTANCES]}
        wanted[INSTANCES] = {names[name]: said for name, said in wanted[INSTANCES].items()}
        if yaml.safe_load(made.text) != wanted:
            raise self._no_place(old)
        return made

    def _no_place(self, old: str) -> Refused:
        return Refused(
            f"the name {old} cannot be changed in {self.path}, as it is written there",
            hint=f"write {old}: on a line of its own under {INSTANCES}, without an alias",
        )

    def _instances(self) -> tuple[yaml.Node | None, yaml.Node | None]:
        root = yaml.compose(self.text, Loader=yaml.SafeLoader)
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        return next(((k, v) for k, v in pairs if k.value == INSTANCES), (None, None))

    def save(self, former: "Book") -> None:
        """Write it down, whole or not at all, if its file is what was read of it before."""
        path, there = self.path.resolve(), self.path.exists()
        if there == former.is_new or (there and _text(path) != former.text):
            raise Refused(
                f"{self.path} was changed meanwhile, and was left as it is", hint="run this again"
            )
        try:
            write(path, self.text, mode=path.stat().st_mode & 0o777 if there else NEW_MODE)
        except OSError as error:
            raise Refused(
                f"{self.path} cannot be written: {error.strerror}",
                hint="name a file in a folder of yours, or run this without --write",
            ) from error


def _text(path: Path) -> str:
    """Read a file with its ends of lines as they are."""
    return path.read_bytes().decode()


def _end(lines: Sequence[str], at: int) -> int:
    """Where a block of lines ends: blanks and comments at the margin are the next one's."""
    at = min(at, len(lines))
    while at and (not lines[at - 1].strip() or lines[at - 1].startswith("#")):
        at -= 1
    return at
