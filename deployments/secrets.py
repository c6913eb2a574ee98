"""The secrets, in a file of their own that only its owner may read."""

import os
import re
import secrets as dice
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from blocks.errors import Refused
from deployments.alone import alone

NOTIFY = "notify"  # no instance may have this name
PUBLIC_KEY = r"^ssh-ed25519 [A-Za-z0-9+/]+=*$"
OWN = ("replication", "rewind", "signing")
INVENTED = re.compile(r"[A-Za-z0-9_-]{43}")  # as `invent` makes them


class InstanceSecrets(BaseModel):
    """Passwords of an instance's roles, what signs its receipts, its DNS provider's options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replication: SecretStr
    rewind: SecretStr
    signing: SecretStr
    signing_next: SecretStr | None = None
    retired: dict[Annotated[str, Field(pattern=PUBLIC_KEY)], int] = Field(default_factory=dict)
    dns: dict[str, SecretStr] = Field(default_factory=dict)

    @field_validator("replication", "rewind", "signing", "signing_next")
    @classmethod
    def _printable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        secret = value.get_secret_value()
        if len(secret) < 8 or not secret.isascii() or not secret.isprintable():  # noqa: PLR2004
            raise ValueError("must be at least 8 printable ASCII characters")
        return value


class Secrets:
    """What secrets.yaml says, and what had to be invented because it does not say it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.invented: list[str] = []
        self.portless: set[str] = set()  # whose ports at the recovery host nobody has allotted yet
        self._there = False
        self._raw = self._read()

    def _read(self) -> dict[str, dict[str, object]]:
        try:
            mode, text = self.path.stat().st_mode, self.path.read_text()
        except FileNotFoundError:
            if self._there:
                raise Refused(
                    f"{self.path} was there when this run began, and is gone",
                    hint="restore that file, then run this again",
                ) from None
            return {}
        except OSError as error:
            raise Refused(
                f"{self.path} cannot be read: {error.strerror}",
                hint="run this as the owner of that file, or as root",
            ) from None
        if stat.S_IMODE(mode) & 0o077:
            raise Refused(
                f"users other than its owner can read {self.path}",
                hint=f"run chmod 600 {self.path}, and change the passwords if somebody has read "
                "them",
            )
        try:
            raw = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            # Its own message shows the line, and with it a password.
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
            raise Refused(
                f"{self.path}: {where}: this is not YAML", hint="put passwords into quotes"
            ) from None
        if not isinstance(raw, dict) or not all(isinstance(each, dict) for each in raw.values()):
            raise Refused(
                f"{self.path}: must have one entry per instance", hint="see docs/install.md"
            )
        self._there = True
        return raw

    def of(self, name: str) -> InstanceSecrets:
        """The secrets of one instance; passwords that are missing are invented."""
        if name == NOTIFY:
            raise Refused(
                f"no instance may be called {NOTIFY}",
                hint=f"rename that instance: the entry {NOTIFY} names who is told of alarms",
            )
        mine = self._raw.setdefault(name, {})
        for field in OWN:
            if field not in mine:
                mine[field] = invent()
                self.invented.append(f"{name}.{field}")
        try:
            return InstanceSecrets.model_validate(mine)
        except ValidationError as error:
            # The message of pydantic would show the value.
            places = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
            raise Refused(
                f"{self.path}: {name}: {places}: not a usable secret",
                hint="use at least 8 printable ASCII characters, in quotes",
            ) from None

    def receivers(self) -> dict[str, SecretStr]:
        """Who is told: names, and where to, which holds passwords."""
        said = self._raw.get(NOTIFY, {})
        return {name: SecretStr(str(url)) for name, url in said.items()}

    def lacks_key(self, name: str) -> bool:
        """Tell whether the signing key of an instance had to be invented, and is not kept yet."""
        return f"{name}.signing" in self.invented

    def change(self, name: str, **fields: str | dict[str, int] | None) -> None:
        """Write fields of one instance down, durably; what is none goes.

        What was invented for other instances stays unwritten.
        """
        others = [each for each in self.invented if not each.startswith(f"{name}.")]
        with self._changing(unwritten=others):
            mine = self._raw.setdefault(name, {})
            for field, value in fields.items():
                if value is None:
                    mine.pop(field, None)
                else:
                    mine[field] = value

    def given(self, name: str) -> dict[str, object]:
        """What people wrote of an instance; the signing key is its own, whoever made it."""
        mine = self._raw.get(name, {})
        return {field: value for field, value in mine.items() if not _is_ours(field, value)}

    def signs(self, name: str) -> bool:
        """Tell whether the file has a signing key of this name."""
        return "signing" in self._raw.get(name, {}) and not self.lacks_key(name)

    def suppose(self, name: str, given: dict[str, object]) -> None:
        """Take this for what people wrote of a name, and write nothing."""
        self._raw[name] = dict(given)

    def pass_on(self, name: str, heir: str) -> None:
        """Give another name what people wrote for this one, durably, which keeps it as well."""
        if self.given(name):
            with self._changing(unwritten=self.invented):
                self._raw[heir] = self.given(name)

    def forget(self, name: str) -> bool:
        """Take an instance's secrets out, durably; tell whether there were any."""
        there = bool(self._raw.pop(name, None))
        self.invented = [each for each in self.invented if not each.startswith(f"{name}.")]
        if there:
            with self._changing(unwritten=self.invented):
                self._raw.pop(name, None)
        return there

    def save(self) -> None:
        """Write the invented passwords down, whole or not at all."""
        if self.invented:
            with self._changing(unwritten=[]):
                pass

    def renew(self) -> None:
        """Read the file anew, which another run may have changed; what is invented here stays.

        :raises Refused: where another run has made the same passwords; its own may be in use.
        """
        raw = self._read()
        for each in self.invented:
            name, _, field = each.partition(".")
            if field in raw.setdefault(name, {}):
                raise Refused(
                    f"another run has made passwords for {name} at the same time",
                    hint="run this again: it uses the passwords of the other run",
                )
            raw[name][field] = self._raw[name][field]
        self._raw = raw

    @contextmanager
    def _changing(self, *, unwritten: list[str]) -> Iterator[None]:
        """Change what the file says by now, and write all of it but what stays unwritten."""
        try:
            with alone(self.path.parent):
                self.renew()
                yield
                kept = {name: self._kept(name, unwritten) for name in self._raw}
                write(
                    self.path, yaml.safe_dump({name: each for name, each in kept.items() if each})
                )
        except OSError as error:
            raise Refused(
                f"{self.path} cannot be written: {error.strerror}",
                hint=f"run this as a user who may write in {self.path.parent}, or as root",
            ) from None
        self._there, self.invented = True, unwritten

    def _kept(self, name: str, unwritten: list[str]) -> dict[str, object]:
        fields = self._raw[name].items()
        return {field: value for field, value in fields if f"{name}.{field}" not in unwritten}


def invent() -> str:
    """Make a password that nobody guesses."""
    return dice.token_urlsafe(32)


def _is_ours(field: str, value: object) -> bool:
    """Tell what Relevo made: keys, and passwords that look like those that it makes.

    >>> _is_ours("rewind", invent()), _is_ours("rewind", "of the house"), _is_ours("dns", {})
    (True, False, False)
    """
    keys = {"signing", "signing_next", "retired"}
    return field in keys or (field in OWN and INVENTED.fullmatch(str(value)) is not None)


def write(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file whole, and on the disk before anybody relies on it."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        if os.geteuid() == 0:  # the worker's own user goes on reading it
            owned = path if path.exists() else path.parent
            os.fchown(descriptor, owned.stat().st_uid, owned.stat().st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
