"""What is red and why, what wakes somebody, and how it is said."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from tasks.board import table, words
from tasks.board.alarms import Limits, Measured, alarms, verdict
from tasks.board.table import Buttons
from tasks.board.words import Judged
from tasks.run.moments import Clock, moment_of

NOW, DAY = 1_800_000_000.0, 86400.0
LIMITS = Limits(lag_bytes=1 << 20, lag_seconds=60, sync_seconds=1800)
READY = Measured(
    instance="vps_1", at=NOW, served="origin", roles="primary/standby", streaming=True,
    lag_bytes=0, lag_seconds=0.0, slot="reserved", kept_bytes=100, synced_at=NOW - 60,
    verified_at=NOW - DAY, drilled_at=NOW - DAY, certificate_days=80, free_share=0.5,
    origin_answers=True, lags=(0, 10, 80),
)  # fmt: skip


def test_an_instance_that_is_ready_is_green_and_wakes_nobody() -> None:
    assert verdict(READY, LIMITS) == ("green", [])
    assert alarms(READY, LIMITS) == {}


@pytest.mark.parametrize(
    ("differs", "colour", "why"),
    [
        ({"wrong": ("replay is paused on due",)}, "red", "replay is paused on due"),
        ({"lag_bytes": 2 << 20}, "red", "2.1 MB and 0 s behind"),
        ({"slot": "lost"}, "red", "slot is lost"),
        ({"synced_at": NOW - 7200}, "red", "files not copied for 2 h"),
        ({"synced_at": None}, "red", "files not copied yet"),
        ({"free_share": 0.15}, "amber", "free share of the disk: 15%"),
        ({"drilled_at": None}, "amber", "no drill or move yet"),
        ({"drilled_at": NOW - 100 * DAY}, "amber", "the last drill or move was 100 d ago"),
        ({"busy": "failback", "slot": "lost"}, "amber", "failback is under way"),
    ],
)
def test_each_finding_gives_its_colour_and_its_reason(
    differs: dict[str, object], colour: str, why: str
) -> None:
    got, said = verdict(replace(READY, **differs), LIMITS)  # type: ignore[arg-type]  # by name

    assert got == colour
    assert why in "; ".join(said)


@pytest.mark.parametrize(
    ("differs", "names"),
    [
        ({"lag_bytes": 10, "lag_seconds": 61.0}, {"lag"}),
        ({"lag_bytes": 0, "lag_seconds": 9999.0}, set()),  # a quiet origin is no lag
        ({"slot": "lost"}, {"slot-lost"}),
        ({"slot": "lost", "busy": "failback"}, set()),
        ({"served": "recovery", "slot": "lost", "lag_bytes": 1 << 30}, {"origin-returned"}),
        ({"served": "recovery", "origin_answers": False}, set()),
        ({"served": "recovery", "handed_over": True}, set()),  # it never was away
        ({"served": "both", "two_writers": "BOTH accept writes"}, {"two-writers"}),
        ({"served": "", "nobody_works": "uno does not answer"}, {"not-served"}),
        (
            {"served": "recovery", "nobody_works": "odoo_vps_1 is not running"},
            {"not-served", "origin-returned"},
        ),
        ({"served": "", "nobody_works": "uno is down", "busy": "failover"}, set()),
        ({"served": "", "roles": "", "synchronous": False}, {"not-synchronous"}),
    ],
)
def test_only_what_matters_wakes_somebody(differs: dict[str, object], names: set[str]) -> None:
    assert alarms(replace(READY, **differs), LIMITS).keys() == names  # type: ignore[arg-type]  # by name


def test_a_sentence_that_is_a_finding_and_an_alarm_is_said_once() -> None:
    both = "BOTH uno and due accept writes"

    said = verdict(replace(READY, served="both", two_writers=both, wrong=(both,)), LIMITS)

    assert said == ("red", [both])


def page(*rows: Judged, links: Buttons | None = None) -> list[str]:
    clock = Clock("America/Argentina/Buenos_Aires", moment_of(NOW), dated=True)
    return table.page(rows, links=links or {}, clock=clock).splitlines()


def test_of_an_instance_that_could_not_be_asked_nothing_is_called_never() -> None:
    seen = Measured("vps_1", NOW, wrong=("due did not answer",))

    lines = page((seen, *verdict(seen, LIMITS)))

    assert lines[-1] == ("| 🔴 **RED** | vps_1 | ? | due did not answer. **Press** check/vps_1 |")


def test_two_writers_are_shown_as_such() -> None:
    seen = replace(READY, served="both", two_writers="BOTH uno and due accept writes")

    assert "| BOTH |" in page((seen, "red", []))[-1]


def test_the_board_counts_and_shows_first_what_needs_somebody_and_what_to_press() -> None:
    bad = replace(READY, instance="vps_2", slot="lost")
    away = replace(READY, instance="vps_3", served="recovery")
    buttons = {"vps_2": {"": "/v2/d?tags=x", "replicate": "/v2/x", "check": "/v2/y"}}

    lines = page(
        (READY, "green", []), (away, "amber", ["uno is back"]), (bad, "red", ["no | slot"]),
        links=buttons,
    )  # fmt: skip

    assert lines[0] == "# 1 red, 1 amber, 1 green"
    assert lines[2] == "Measured at 2027-01-15 05:00:00 (UTC-3)."
    at = lines.index("|  | instance | served from | why, and what to press |")
    assert lines[at + 2] == (
        "| 🔴 **RED** | [vps_2](/v2/d?tags=x) | origin | no \\| slot. **Press** [replicate](/v2/x) "
        "or [check](/v2/y) |"
    )
    assert lines[at + 3].endswith("| uno is back. **Press** failback/vps_3 or check/vps_3 |")
    assert lines[-1] == "| vps_1 | origin | 0 bytes ▁▁█ | 60 s ago | 24 h ago |"


def test_a_time_machine_says_what_it_keeps_what_that_costs_and_when_it_was_tried() -> None:
    said = "any second since 2027-01-01 00:00:00 (UTC); 2.0 GB of 10 GB, 2 base backups"
    keeps = replace(READY, facts={"time machine": said})
    off = replace(READY, instance="vps_2", facts={"time machine": "off"})

    lines = page((keeps, "green", []), (off, "green", []))

    assert lines[lines.index("## Time machine") + 2 :] == [
        "| instance | what it keeps, at which cost, and when that was last tried |",
        "|---|---|",
        f"| vps_1 | {said} |",
    ]
    assert "## Time machine" not in page((off, "green", []))


def test_a_board_fits_a_phone() -> None:
    """Four columns for what needs somebody were tried at 390 pixels; five for what is ready."""
    heads = [line for line in page((READY, "green", []), (READY, "red", [])) if " | why" in line]

    assert [line.count("|") - 1 for line in heads] == [4]


def test_nagios_reads_the_worst() -> None:
    rows = [
        (READY, "green", []),
        (replace(READY, instance="vps_2"), "amber", ["no drill or move yet"]),
    ]

    assert words.nagios(rows) == (1, "WARNING - vps_2: no drill or move yet")  # type: ignore[arg-type]  # literals
    assert words.nagios(rows[:1]) == (0, "OK - 1 instances are ready")  # type: ignore[arg-type]  # literals


def test_prometheus_reads_each_figure_with_its_help_its_type_and_its_base_unit() -> None:
    odd = replace(READY, instance="vps_2", roles="", certificate_days=None)

    read = list(families(words.metrics([(READY, "green", []), (odd, "red", ["why"])])))

    assert {each.type for each in read} == {"gauge"}
    assert all(each.documentation.endswith(".") for each in read)
    said = {each.name: {s.labels["instance"]: s.value for s in each.samples} for each in read}
    assert said["relevo_ready"] == {"vps_1": 2, "vps_2": 0}
    assert said["relevo_streaming"] == {"vps_1": 1}, "what could not be asked is no figure"
    assert said["relevo_certificate_remaining_seconds"] == {"vps_1": 80 * DAY}
    units = ("_bytes", "_seconds", "_ratio")
    assert {n for n in said if not n.endswith(units)} == {"relevo_ready", "relevo_streaming"}
