"""Odoo and nginx asked over HTTP on their host itself, as a customer's client asks them.

Asked there, and not through a tunnel: a hardened sshd forbids tunnels, and then the night would
find nobody at work. As Odoo's user, since what answers is a customer's code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blocks.answers import facts, understood
from blocks.instance import Place
from blocks.plain import plain

PROGRAMS = Path(__file__).parents[1] / "programs"
LOGIN = (PROGRAMS / "login.py").read_text()
BROWSE = (PROGRAMS / "browse.py").read_text()
ANSWER_SECONDS, AT_ONCE = 20, 8  # as in both programs
ANSWER_BYTES = 1 << 20
LONGEST = 300


@dataclass(frozen=True)
class Page:
    """What a web server answered: a status and its first words, or an error; and who it says it is.

    `leaf` is the certificate that it showed, as PEM.
    """

    status: int = 0
    words: str = ""
    leaf: str = ""
    error: str = ""

    @property
    def works(self) -> bool:
        """Whatever the answer, it is not the server that cannot."""
        return not self.error and self.status < 500  # noqa: PLR2004

    def __str__(self) -> str:
        return self.error or str(self.status)


def answers(place: Place, databases: Sequence[str]) -> dict[str, str]:
    """Ask Odoo for a login to each database; give "" for one that was asked, else why not."""
    if not databases:
        return {}
    argv = ("python3", "-I", "-c", LOGIN, str(place.odoo.http_port), *databases)
    said = _ask(place, argv, rounds=1 + len(databases) // AT_ONCE)
    return {each: plain(str(said[each]), longest=LONGEST) for each in databases}


def pages(place: Place, urls: Sequence[str], *, path: str = "/web/login") -> dict[str, Page]:
    """Ask a place's own web servers for a page, each by the name in its URL."""
    answers = _ask(place, ("python3", "-I", "-c", BROWSE, path, *urls))
    with understood(f"what web servers on {place} answer"):
        return {url: _page(answers[url]) for url in urls}


def read(output: str) -> dict[str, Page]:
    """Read what the program of `pages` printed, wherever it was run."""
    answers = facts(output, "what is answered over HTTP in a drill")
    with understood("what is answered over HTTP in a drill"):
        return {url: _page(answer) for url, answer in answers.items()}


def _ask(place: Place, argv: Sequence[str], *, rounds: int = 1) -> dict[str, object]:
    done = place.host.shell().run(
        argv, user=place.odoo.user, timeout_seconds=ANSWER_SECONDS * rounds + 40,
        limit_bytes=ANSWER_BYTES,
    )  # fmt: skip
    return facts(done.stdout, f"what is answered over HTTP on {place}")


def _page(answer: object) -> Page:
    if not isinstance(answer, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # a text that is wrong
    error, leaf = str(answer.get("error", "")), str(answer.get("leaf", ""))
    if error:
        return Page(error=plain(error, longest=LONGEST))
    return Page(int(answer["status"]), plain(str(answer["said"]), longest=LONGEST), leaf)
