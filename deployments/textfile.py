"""The file for node_exporter's textfile collector, which several checks may share."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from blocks.errors import Refused
from deployments import secrets

HEAD = re.compile(r"# (?:HELP|TYPE) (\w+) ")
SAMPLE = re.compile(r'(\w+)\{instance="([^"]*)"\} ')


def leave(path: Path, fresh: str, *, keep: Collection[str]) -> None:
    """Write a file that is whole whenever somebody reads it.

    Figures of the instances in `keep` stay as they stood there: each has the time of its own.
    """
    try:
        former = path.read_text(errors="replace") if keep and path.exists() else ""
        secrets.write(path, merged(fresh, former, keep=keep), mode=0o644)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror}",
            hint="let this user write in that folder, or name another with --textfile",
        ) from None


def merged(fresh: str, former: str, *, keep: Collection[str]) -> str:
    r"""Put kept figures below the fresh ones, each under the head of its metric.

    >>> new = '# TYPE relevo_ready gauge\nrelevo_ready{instance="a"} 2\n'
    >>> old = '# TYPE relevo_ready gauge\nrelevo_ready{instance="a"} 0\n' \
    ... 'relevo_ready{instance="b"} 1\nrelevo_ready{instance="gone"} 1\n'
    >>> print(merged(new, old, keep={"b"}), end="")
    # TYPE relevo_ready gauge
    relevo_ready{instance="a"} 2
    relevo_ready{instance="b"} 1
    """
    metrics = dict[str, tuple[list[str], list[str]]]()
    for text, wanted in ((fresh, None), (former, keep)):
        for name, is_head, line in _lines(text, wanted):
            head, samples = metrics.setdefault(name, ([], []))
            if not is_head:
                samples.append(line)
            elif not samples and line not in head:
                head.append(line)
    lines = [line for head, samples in metrics.values() if samples for line in (*head, *samples)]
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str, wanted: Collection[str] | None) -> Iterator[tuple[str, bool, str]]:
    """Each line with its metric; of samples those of the wanted instances, or all."""
    for line in text.splitlines():
        if found := HEAD.match(line):
            yield found[1], True, line
        elif (found := SAMPLE.match(line)) and (wanted is None or found[2] in wanted):
            yield found[1], False, line
