"""How things are after a run was cut off, in sentences: who serves, and what to press next."""

from dataclasses import dataclass

from blocks.plain import markdown
from tasks.authority.situation import SILENT
from tasks.run.tags import BOARD

ASKS_NO_MORE = "*Retry* does not ask for the approval again."

PAGE = """\
# {title}

## What failed

{why}

## What is kept

- {said}
- Completed steps are kept, and the next run finds them done. {lock}

## What to press

- When that is fixed: *Retry*, in the menu at the top right of the run's page, or {button} \
again.{asks}
- {hint}
- [The board]({board}) says how all instances are.
"""


@dataclass(frozen=True)
class End:
    """One end of an instance: its server, the role of its cluster, and its Odoo."""

    place: str
    role: str
    unit: str
    odoo_runs: bool = False

    @property
    def writes(self) -> bool:
        return self.role == "primary"

    def __str__(self) -> str:
        """
        >>> print(End("uno", "silent", "odoo.service"))
        uno does not answer
        >>> print(End("uno", "standby", "odoo.service"))
        uno is standby, without Odoo
        """
        if self.role == SILENT:
            return f"{self.place} does not answer"
        return f"{self.place} is {self.role}, {'with' if self.odoo_runs else 'without'} Odoo"


@dataclass(frozen=True)
class Aftermath:
    """Both ends of an instance, once the run that was cancelled, or has failed, is gone."""

    instance: str
    procedure: str
    origin: End
    recovery: End
    going_on: tuple[str, ...] = ()
    ended: str = "was cancelled"

    def sentence(self) -> str:
        """Who serves, and how both ends are."""
        ends = f"{self.origin}; {self.recovery}"
        said = f"{self.procedure} of {self.instance} {self.ended}: {self._served()} ({ends})"
        if self.going_on:
            said += f"; a long command goes on by itself: {', '.join(self.going_on)}"
        return said

    def hint(self) -> str:
        """What to press next, and how to stay where customers can be served already."""
        again = f"press {self.procedure} again"
        if len(self._writers) > 1:
            return (
                f"power one of them off now: relevo check {self.instance} names who has the write "
                f"right; then {again}"
            )
        if not self._writers:
            return f"{again}: it goes on from here, and nothing is lost by it"
        writer = self._writers[0]
        if not writer.odoo_runs:
            return (
                f"{again}, which goes on from here; or, to stay on {writer.place}: "
                f"systemctl enable --now {writer.unit} there"
            )
        return f"{again} when you want to finish it: completed steps are skipped"

    @property
    def _writers(self) -> list[End]:
        return [end for end in (self.origin, self.recovery) if end.writes]

    def _served(self) -> str:
        if len(self._writers) > 1:
            return "BOTH SERVERS ACCEPT WRITES"
        if not self._writers:
            return "nobody accepts writes, customers cannot work"
        writer = self._writers[0]
        if not writer.odoo_runs:
            return f"{writer.place} accepts writes and its Odoo is off, customers cannot work"
        return f"customers are served from {writer.place}"


def page(aftermath: Aftermath, *, why: str, button: str, lock: str, approved: bool = False) -> str:
    """Say on one page what failed, what is kept, and what to press.

    `lock` is the sentence about it; `approved` where a yes to this very run is written down.

    >>> uno, due = End("uno", "standby", "odoo.service"), End("due", "primary", "odoo_1", True)
    >>> failed = Aftermath("vps_1", "failback", uno, due, ended="has failed")
    >>> page(failed, why="no room on uno", button="/v2/x", lock="").splitlines()[0]
    '# failback of vps_1 has failed'
    """
    button = f"[{aftermath.procedure}]({button})" if button else "the same button"
    title = f"{aftermath.procedure} of {aftermath.instance} {aftermath.ended}"
    return PAGE.format(
        title=markdown(title), why="  \n".join(markdown(line) for line in why.splitlines()),
        said=markdown(aftermath.sentence()), button=button, hint=markdown(aftermath.hint()),
        board=BOARD, lock=markdown(lock), asks=f"\n  {ASKS_NO_MORE}" if approved else "",
    )  # fmt: skip
