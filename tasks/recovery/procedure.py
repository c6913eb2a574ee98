"""What a flow is: a procedure on an instance, with the users that it has now."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from blocks.errors import RelevoError, speak_plainly
from blocks.instance import OdooInstance
from blocks.names import Language
from blocks.runtime import Flow
from tasks.language.reader import read_in, translated
from tasks.notices import audit
from tasks.recovery import users
from tasks.run.desk import desk
from tasks.run.step import log

speak_plainly()

P = ParamSpec("P")
R = TypeVar("R")


class Procedure(Flow[P, R]):
    """A flow, which whoever watches runs as one of Prefect's or as a plain function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]  # Prefect's has more
        return desk().begin(self, *args, **kwargs)


def flow(*, as_found: bool = True, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a function a flow.

    Its instance is taken as it is found on the recovery host: between an upgrade of the runner and
    the next replicate it still runs as the users of Relevo 0.1. Only replicate itself takes it as
    the inventory wants it. Who has it done, and why, is written down.
    """

    def make(function: Callable[P, R]) -> Flow[P, R]:
        found = _finding(function) if as_found else function
        made = _ending(_noting(found, str(options["name"])))
        if "flow_run_name" in options:
            options["flow_run_name"] = RunName(options["flow_run_name"])
        return Procedure(_reading(made), **options)

    return make


class RunName(str):
    """The name of a run, in the language of its instances once it has them."""

    __slots__ = ()

    def format(self, *_: object, **given: Any) -> str:
        with read_in(_language(given)):
            return translated(str.format(self, **given))


def _language(given: Mapping[str, Any]) -> Language:
    everyone = [given["instance"]] if "instance" in given else given.get("instances", ())
    return everyone[0].language if everyone else "en"


def _reading(function: Callable[P, R]) -> Callable[P, R]:
    """Say all that a procedure says in the language of its instances."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        with read_in(_language(signature.bind(*args, **kwargs).arguments)):
            return function(*args, **kwargs)

    return reading


def _ending(function: Callable[P, R]) -> Callable[P, R]:
    """Let the desk say in a sentence how a procedure has ended, if it has a place for that."""

    @functools.wraps(function)
    def ended(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given = function(*args, **kwargs)
        except RelevoError as error:
            if (failed := desk().end(error)) is None:
                raise
            log().error("%s", error)
            return cast("R", failed)
        done = desk().end(given)
        return given if done is None else cast("R", done)

    return ended


def _noting(function: Callable[P, R], procedure: str) -> Callable[P, R]:
    signature = inspect.signature(function)
    if "instance" not in signature.parameters:
        return function

    @functools.wraps(function)
    def noting(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs).arguments
        said = {"reason": given.get("reason", ""), "person": given.get("approved_by", "")}
        with audit.noted(given["instance"], procedure, **said):
            return function(*args, **kwargs)

    return noting


def _finding(function: Callable[P, R]) -> Callable[P, R]:
    signature = inspect.signature(function)
    if "instance" not in signature.parameters:
        return function

    @functools.wraps(function)
    def found(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        instance = bound.arguments["instance"]
        assert isinstance(instance, OdooInstance), "whoever calls a flow names an instance"
        bound.arguments["instance"] = users.as_found(instance)
        return function(*bound.args, **bound.kwargs)

    return found
