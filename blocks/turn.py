"""Whose turn it is to act on an instance: told with each command, and judged on the host.

A run that takes the lock gets a number that is higher than all before it. Who is below the highest
that a host has seen executes nothing there: not even what was on its way when the lock was lost.
The host's half is turn_program.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROGRAM = Path(__file__).with_name("turn_program.py").read_text()
Kind = Literal["ends", "stays"]
# A command that is at work when the lock changes hands may end by itself for so long.
PATIENCE_SECONDS = 10.0
REFUSED, STUCK = 97, 98
SAYS = "relevo-turn"
# The shell stays and holds the file, the command does not: a service that it starts holds nothing.
JUDGE = """
d=/run/relevo/$1.turn n=$2; shift 3
say() { echo "relevo-turn $1" >&2; exit 97; }
judge() {
    o=; for m in "$d"/*; do
        [ "${m##*/}" -gt "$n" ] 2>/dev/null && say over
        [ "$m" = "$d/$n" ] || o=1
    done
    [ -z "$o" ] || say unknown
}
[ ! -e "$d/$n" ] || { flock --shared 9; judge; "$@" 9<&-; exit; } 9<"$d/$n"
judge; say unknown
"""


@dataclass(frozen=True)
class Turn:
    """The number of a run's turn, and the name of the lock that it goes with."""

    name: str
    number: str

    def judged(self, argv: Sequence[str], kind: Kind) -> tuple[str, ...]:
        """Let a command of root's run only while no higher turn is known.

        >>> Turn("vps_1", "7").judged(("id",), "ends")[3:]
        ('turn', 'vps_1', '7', 'ends', 'id')
        """
        return ("sh", "-c", JUDGE, "turn", self.name, self.number, kind, *argv)

    def entering(self, patience_seconds: float = PATIENCE_SECONDS) -> tuple[str, ...]:
        """Bring the turn to a host, and end there what is left of lower ones."""
        words = ("enter", self.name, self.number, str(patience_seconds))
        return ("python3", "-I", "-S", "-c", PROGRAM, *words)


def verdict(status: int, output: str) -> str:
    r"""What a host said of the turn: "over", "unknown", or nothing where the command ran.

    >>> verdict(97, "relevo-turn over\n"), verdict(97, "rsync: 97"), verdict(0, "")
    ('over', '', '')
    """
    word, _, what = output.strip().rpartition("\n")[2].partition(" ")
    return what if status == REFUSED and word == SAYS else ""
