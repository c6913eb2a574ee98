"""Who runs the procedures: Prefect, or a shell on its own. Asked once, of the environment.

`relevo` says `shell` for whatever needs no server (`deployments/__main__.py`). Then nothing of
Prefect is imported: that takes most of the time from Enter to the first step, and on the night
Prefect may be what is broken. Whoever says nothing gets Prefect.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
SHELL = os.environ.get("RELEVO_RUNTIME") == "shell"

if TYPE_CHECKING or not SHELL:
    from prefect import Flow
    from prefect.blocks.core import Block
else:
    from pydantic import BaseModel as Block

    class Flow(Generic[P, R]):
        """What a flow is without Prefect: a function with a name."""

        def __init__(self, fn: Callable[P, R], name: str = "", **_: object) -> None:
            self.fn, self.name = fn, name

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
            return self.fn(*args, **kwargs)


__all__ = ["SHELL", "Block", "Flow"]
