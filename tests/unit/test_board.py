"""What is red and why, what wakes somebody, and how it is said."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from tasks.board import words
from tasks.board.alarms import Limits, Measured, alarms, verdict

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
        ({"lag_bytes": 2 << 20}, "red", "2097152 bytes"),
        ({"slot": "lost"}, "red", "slot is lost"),
        ({"synced_at": NOW - 7200}, "red", "files not copied for 120 min"),
        ({"synced_at": None}, "red", "files not copied yet"),
        ({"free_share": 0.15}, "amber", "free share of the disk: 0.15"),
        ({"drilled_at": None}, "amber", "no drill or move yet"),
        ({"drilled_at": NOW - 100 * DAY}, "amber", "last drill or move 100 days ago"),
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


def test_of_an_instance_that_could_not_be_asked_nothing_is_called_never() -> None:
    seen = Measured("vps_1", NOW, wrong=("due did not answer",))

    row = words.table([(seen, *verdict(seen, LIMITS))], links={}).splitlines()[2]

    assert row == (
        "| vps_1 | **RED** | ? | ? |  | ?, ? | ? | ? | ? | ? | ? | ? | due did not answer |"
    )


def test_two_writers_are_shown_as_such() -> None:
    seen = replace(READY, served="both", two_writers="BOTH uno and due accept writes")

    assert "| BOTH |" in words.table([(seen, "red", [])], links={})


def test_the_board_shows_the_worst_first_and_leads_to_its_button() -> None:
    bad = replace(READY, instance="vps_2", streaming=False)

    lines = words.table(
        [(READY, "green", []), (bad, "red", ["no | slot"])], links={"vps_2": "/v2/x"}
    ).splitlines()

    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert lines[2].startswith("| [vps_2](/v2/x) | **RED** | origin | no stream |")
    assert lines[2].endswith("| no \\| slot |")
    assert "▁▁█" in lines[3]


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
