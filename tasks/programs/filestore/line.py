"""How fast contents come over a line, and whether ssh is to compress them on their way.

A processor compresses some 30 MB a second. Where the line carries less, and what comes is text or
office files, more comes in the same time; where it is pictures, nothing is gained, and the origin's
processor has better to do. So it is tried, judged by what came, and tried again another day.
"""

from __future__ import annotations

import json
import os
import time
from typing import Callable, Sequence  # Python 3.8

THIN = 20e6  # bytes a second: what carries more is not compressed
ENOUGH = 4 << 20  # bytes to judge by: fewer tell of round trips, and not of the line
GAIN = 1.1  # times as much in the same time: less is not worth the origin's processor
AGAIN_SECONDS = 86400.0
PACKED = ("-o", "Compression=yes")


class Line:
    """What is known of the line to one origin; `note` is told when that changes."""

    def __init__(self, known: str = "", note: Callable[[str], None] = lambda _: None) -> None:
        self.note = note
        try:
            facts = json.loads(known or "{}")
            self.plain, self.vain_at = float(facts.get("plain", 0)), float(facts.get("vain", 0))
        except (ValueError, AttributeError, TypeError):  # it is only a hint
            self.plain = self.vain_at = 0.0

    @property
    def packs(self) -> bool:
        """Tell whether the next connection is to compress."""
        return self.plain > 0

    def saw(self, size: int, seconds: float) -> bool:
        """Judge by what came in a time; tell whether the next connection is to be another.

        >>> line = Line()
        >>> line.saw(50_000_000, 4.0), line.packs
        (True, True)
        >>> line.saw(50_000_000, 2.0), line.packs
        (False, True)
        >>> line.saw(50_000_000, 4.0), line.packs
        (True, False)
        >>> line.saw(50_000_000, 4.0), line.saw(1000, 4.0), line.packs
        (False, False, False)
        """
        if size < ENOUGH:
            return False
        rate, before = size / max(seconds, 1e-6), self.packs
        if before and rate < GAIN * self.plain:
            self.plain, self.vain_at = 0.0, time.time()
        elif not before and rate < THIN and not 0 <= time.time() - self.vain_at < AGAIN_SECONDS:
            self.plain = rate
        if self.packs != before:
            self.note(json.dumps({"plain": self.plain, "vain": self.vain_at}))
        return self.packs != before

    def command(self, command: Sequence[str]) -> list[str]:
        """Have ssh compress, where that is worth it.

        >>> Line('{"plain": 9e6}').command(["ssh", "uno"])
        ['ssh', '-o', 'Compression=yes', 'uno']
        >>> Line("spoiled").command(["ssh", "uno"])
        ['ssh', 'uno']
        """
        program, *rest = command
        packed = PACKED if self.packs and os.path.basename(program) == "ssh" else ()
        return [program, *packed, *rest]
