"""What `relevo apply` asks Prefect: as much for many instances as for one."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prefect.client.base import PrefectHttpxSyncClient

from blocks.instance import OdooInstance
from deployments.apply import apply
from tests.flows.test_stories_rounds import another

pytestmark = pytest.mark.usefixtures("prefect")
POOL = "applying-of-a-test"


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The questions that go to the server meanwhile."""
    asked, send = list[str](), PrefectHttpxSyncClient.send

    def noting(
        self: PrefectHttpxSyncClient, request: httpx.Request, **more: object
    ) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return send(self, request, **more)

    with monkeypatch.context() as patched:
        patched.setattr(PrefectHttpxSyncClient, "send", noting)
        yield asked


def _changes(everyone: list[OdooInstance]) -> list[str]:
    outcomes = apply(everyone, {}, pool=POOL, prune=False)
    return [each.sentence for each in outcomes if each.done]


def test_an_apply_that_changes_nothing_asks_as_much_for_three_instances_as_for_one(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = []
    for count in (1, 3):
        everyone = [another(instance, f"many_{n}", "many") for n in range(count)]
        assert any("rsync-filestore/many_0" in each for each in _changes(everyone)) == (count == 1)
        with counted(monkeypatch) as asked:
            assert _changes(everyone) == []
        questions.append(asked)

    assert questions[0] == questions[1]
    assert len(questions[0]) < 30, questions[0]
