"""What stands on the hosts is read for good, and what is not understood is never taken for none."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused
from tasks.postgres.wal import Lsn
from tasks.records import kinds
from tasks.records.kinds import Approval, Owners
from tasks.records.loss import Exposure, Sample
from tasks.records.proven import Proven, Warned
from tasks.records.schema import HINT, Record, parse
from tasks.recovery import allotted

GOLDEN = Path(__file__).parent / "golden" / "records"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 28, 12, 0, 1, 250000, tzinfo=UTC)
OWN, SHARED = Owners("odoo_vps_1", "db_vps_1"), Owners("odoo", "postgres")
WHERE = "the record failover.json on due"
# As Relevo writes them; of those that have more than one form, the other one stands in VARIANTS.
WRITTEN: list[Record] = [
    kinds.Failover(
        exposure=Exposure(
            lossless=False, seconds=9.5, about_bytes=None,
            last_commit="2026-11-28T11:59:50.500+00:00", synchronous="go_on",
        ),
        reason="the hoster confirms a fire", time=NOON,
    ),
    kinds.Identity(system_identifier="7345678901234567890"),
    kinds.Link(samples=(Sample(10.5, Lsn.parse("0/3000028"), 733), Sample(70.0, Lsn(99), 0))),
    kinds.AutoConf(text="archive_mode = 'on'\n"),
    kinds.Users(odoo=OWN.odoo, postgres=OWN.postgres, whole=True),
    kinds.SetUp(at=1795867200.5),
    kinds.Synced(at=1795867200.5),
    kinds.Verified(at=1795867200.5),
    kinds.Served(at=1795867200.5, seconds=41.5),
    kinds.Drilled(at=1795867200.5, seconds=63.0),
    kinds.Provider(at=1795867200.5, mark="c0ffee", remarks=("shop.example.com: slow",)),
    kinds.Names(addresses={"shop.example.com": {"AAAA": "2001:db8::1"}}),
    kinds.Lags(lags=(0, 4096)),
    kinds.Told(alarms=("lag",), seen=("lag", "slot-lost"), served="origin", at=1795867200.5),
    kinds.ToldAway(alarms=("not-synchronous",), seen=("not-synchronous",)),
    kinds.Decided(
        run="5f0c", procedure="failover",
        said=Approval(
            origin_is_down=True, reason="a fire", approved_by="ana", watch=LATER
        ),
    ),
    kinds.Schedules(on=False),
    kinds.Runs(runs=(kinds.Run("failover", NOON, ended="good", text="# Done", good=True),)),
    kinds.LeftOutSources(count=7, named=("null", "zero")),
    kinds.LeftOutFilestore(count=1, named=("null",)),
    kinds.Aside(seen={"/pg/13/main.quarantine-1-0-28": 1795867200.5}),
    kinds.Trash(at=1795867200.5, seen={"2026-11-27": 86400.0}, sizes={"2026-11-27": 4096}),
    Warned(keys=("shop 16400 1795867200",)),
    Proven(at=1795867200.5, moment=1795860000.25, failed="no page", missing=2),
    allotted.Ports(
        instances={"vps_1": {"postgres_port": 5433, "http_port": 8169, "longpolling_port": 8172}}
    ),
]  # fmt: skip
MOVING = {
    "odoo": "odoo_vps_1", "postgres": "postgres", "whole": False,
    "former": {"odoo": "odoo", "postgres": "postgres"},
    "wanted": {"odoo": "odoo_vps_1", "postgres": "db_vps_1"},
}  # fmt: skip
LOSSLESS = {"lossless": True, "seconds": 0, "about_bytes": 0, "last_commit": ""}
UNASKED: dict[str, Any] = {"origin_is_down": False, "reason": "", "approved_by": ""}
VARIANTS: list[tuple[dict[str, Any], Record]] = [
    (
        MOVING,
        kinds.Users(odoo="odoo_vps_1", postgres="postgres", former=SHARED, wanted=OWN, whole=False),
    ),
    ({"served": "recovery", "at": 5, "seen": []}, kinds.Told(served="recovery", at=5)),
    ({"alarms": [], "seen": [], "served": ""}, kinds.Told(served="")),
    (
        {"samples": [[10.5, "0/3000028"]]},
        kinds.Link(samples=(Sample(10.5, Lsn.parse("0/3000028")),)),
    ),
    (
        {"run": "", "procedure": "failback", "said": UNASKED},
        kinds.Decided(run="", procedure="failback", said=Approval(**UNASKED)),
    ),
    (
        {"exposure": LOSSLESS, "reason": "aver\udceda", "time": "2026-11-28T12:00:00+00:00"},
        kinds.Failover(exposure=Exposure.none(), reason="aver\udceda", time=NOON),
    ),
]


def every_kind(base: type[Record] = Record) -> list[type[Record]]:
    """Every class that has a file."""
    below = base.__subclasses__()
    return [kind for each in below for kind in (each, *every_kind(each)) if hasattr(kind, "name")]


def golden(kind: type[Record]) -> str:
    return (GOLDEN / f"{kind.name}.json").read_text()


def named(written: Record) -> str:
    return written.name


def test_each_record_has_a_file_of_its_own_and_a_golden_one() -> None:
    paths = sorted(str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*.json"))

    assert sorted(f"{kind.name}.json" for kind in every_kind()) == paths
    assert {type(each) for each in WRITTEN} == set(every_kind())


@pytest.mark.parametrize("written", WRITTEN, ids=named)
def test_a_record_is_written_word_for_word_as_the_golden_one(written: Record) -> None:
    assert written.as_text() == golden(type(written))


@pytest.mark.parametrize("written", WRITTEN, ids=named)
def test_a_record_is_read_as_it_was_written_also_one_of_before_there_were_versions(
    written: Record,
) -> None:
    text = golden(type(written))
    old = json.loads(text)
    del old["version"]

    assert parse(type(written), text, WHERE) == written
    assert parse(type(written), json.dumps(old), WHERE) == written


@pytest.mark.parametrize(("facts", "meant"), VARIANTS, ids=[each.name for _, each in VARIANTS])
def test_every_form_that_was_ever_written_is_read(facts: dict[str, Any], meant: Record) -> None:
    assert parse(type(meant), json.dumps(facts), WHERE) == meant
    assert parse(type(meant), meant.as_text(), WHERE) == meant


@pytest.mark.parametrize("written", WRITTEN, ids=named)
def test_keys_that_this_version_does_not_know_do_no_harm(written: Record) -> None:
    facts = json.loads(golden(type(written)))
    strange = {} if isinstance(written, kinds.Names) else {"colour": "red"}  # keys are domains
    for each in (facts.get("exposure"), facts.get("said"), *facts.get("runs", ())):
        if each is not None:
            each.update(strange)

    assert parse(type(written), json.dumps({**facts, **strange}), WHERE) == written


@pytest.mark.parametrize("kind", every_kind(), ids=lambda kind: kind.name)
def test_a_record_of_a_newer_version_is_refused_whatever_stands_in_it(kind: type[Record]) -> None:
    said = re.escape(
        "the record failover.json on due was written by a newer Relevo (version 2, this one "
        "knows 1)\nHINT: upgrade this runner, or run this from the one that wrote it"
    )
    empty: dict[str, Any] = {}
    for rest in (empty, json.loads(golden(kind))):
        with pytest.raises(Refused, match=f"^{said}$"):
            parse(kind, json.dumps({**rest, "version": 2}), WHERE)


@pytest.mark.parametrize("version", ["true", '"1"', "0", "-1", "1.0", "null", "[]"])
def test_a_version_that_is_no_number_spoils_a_record(version: str) -> None:
    with pytest.raises(Refused, match=r"^the record failover.json on due is spoiled: its version"):
        parse(kinds.Schedules, f'{{"on": true, "version": {version}}}', WHERE)


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        (kinds.Failover, "", "is not understood: JSONDecodeError"),
        (kinds.Failover, "[]", "it is not a JSON object"),
        (kinds.Failover, "[" * 100_000, "RecursionError"),
        (kinds.Failover, "{}", "exposure: Field required; reason: Field required; time: F"),
        (
            kinds.Failover,
            golden(kinds.Failover).replace("2026-11-28T12:00:00+00:00", "noon"),
            "time: Input should be a valid datetime",
        ),
        (
            kinds.Failover,
            golden(kinds.Failover).replace("lossless", "losless"),
            "exposure.lossless: Field required",
        ),
        (kinds.Identity, '{"system_identifier": 7345}', "system_identifier: Input should be a v"),
        (kinds.Link, '{"samples": [[1]]}', "samples.0: not enough values"),
        (kinds.Link, '{"samples": [[null, "0/30"]]}', "samples.0: float"),
        (kinds.Link, '{"samples": [[1, 30]]}', "samples.0: 'int' object"),
        (kinds.Link, '{"samples": [[1, "0/30", 2, 3]]}', "samples.0: "),
        (kinds.Users, '{"odoo": "a", "postgres": "b"}', "whole: Field required"),
        (
            kinds.Users,
            '{"odoo": "a", "postgres": "b", "former": {}, "whole": false}',
            "spoiled: a move that was cut off lacks the users",
        ),
        (kinds.Names, '{"shop.example.com": "192.0.2.1"}', "addresses.shop.example.com: "),
        (kinds.Synced, '{"at": NaN}', "at: Input should be a finite number"),
        (kinds.Schedules, '{"on": "perhaps"}', "on: Input should be a valid boolean"),
        (kinds.Trash, '{"seen": {}}', "at: Field required"),
    ],
)
def test_a_record_that_does_not_fit_is_spoiled(kind: type[Record], text: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(kind, text, WHERE)

    assert refused.value.message.startswith("the record failover.json on due is spoiled: ")
    assert why in refused.value.message
    assert refused.value.hint == HINT
