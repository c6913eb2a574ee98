"""What a plan says is decided from what was measured, and can be followed by hand."""

import hashlib
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from blocks.names import Language
from tasks.authority.situation import SILENT, Plan, Procedure, Situation
from tasks.byhand import by_hand
from tasks.byhand.by_hand_gone import FILES_HOME
from tasks.orchestrator.form import form
from tasks.plan import approval, summary, words
from tasks.records.commits import CommitNotice
from tasks.records.loss import Exposure
from tasks.run.question import Yes, objection

KINDS: tuple[tuple[Procedure, str], ...] = (
    ("failover", "planned"), ("failover", "forced"), ("failback", "follow"),
    ("failback", "rewind"), ("failback", "reclone"), ("switchover", "planned"),
    ("switchover home", "planned"),
)  # fmt: skip
GONE: tuple[Procedure, str] = ("recovery is gone", "forced")
LOSS = Exposure(lossless=False, seconds=12.5, about_bytes=256, last_commit="2027-01-15T08:00:00Z")
END = (
    "", "_address", "_login", "_shown", "_unit", "_user", "_odoo_config", "_data_dir", "_http_port",
    "_cluster", "_cluster_unit", "_cluster_words", "_version", "_config", "_bin", "_owner",
    "_ctl", "_configured", "_passfile",
)  # fmt: skip
NAMES = {
    "instance": "vps_1", "domains": "shop.example.com", "to_recovery": "host=10.0.0.2",
    "to_origin": "host=10.0.0.1", "rewind": "pg_rewind ...", "recover_offline": "postgres --single",
    "base_backup": "pg_basebackup ...", "writable": "/run/relevo/vps_1.writable",
    "recovery_rsh": "--rsh 'ssh -F /c'", "open_door": "door open", "close_door": "door shut",
    "replication_user": "replica_user", "verify_backup": "pg_verifybackup ...",
    "create_cluster": "pg_createcluster ...", "foreign_settings": "/^port/d",
    "origin_settings": "wal_level", "origin_hba": "-e '1i x'", "own_passwords": "s/a/b/p",
    **{f"origin{each}": f"uno{each}" for each in END},
    **{f"recovery{each}": f"due{each}" for each in END},
}  # fmt: skip


def plan(
    procedure: Procedure = "failover", origin: str = SILENT, exposure: Exposure = LOSS, *,
    way: str = "", refusals: tuple[str, ...] = (), notice: CommitNotice | None = None,
) -> Plan:  # fmt: skip
    seen = Situation(
        at="2027-01-15T08:00:12Z", origin=origin, recovery="standby", streaming=False,
        exposure=exposure, lag_bytes=256, way=way, refusals=refusals, notice=notice,
    )  # fmt: skip
    return Plan(procedure, seen, NAMES)


def test_a_plan_says_what_is_not_copied_and_what_is_not_known() -> None:
    made = plan()
    said = ("shop: 5000 documents are kept in another storage ('s3'), which is not copied",)
    seen = replace(made.situation, documents=0, not_copied=said)

    page = summary.summary(replace(made, situation=seen))

    assert "| not copied, or not known | shop: 5000 documents are kept in another" in page
    assert "not copied" not in summary.summary(made)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize(("procedure", "kind"), [*KINDS, GONE])
def test_every_page_has_all_its_names_filled_in(
    procedure: Procedure, kind: str, language: Language
) -> None:
    origin = {"planned": "primary", "forced": SILENT}.get(kind, "down")
    made = plan(procedure, origin, Exposure.none() if kind == "planned" else LOSS, way=kind)

    page = words.page(made, language)

    assert made.kind == kind
    assert not re.search(r"(?<!%)\{[a-z]", page)
    assert re.search("Promote|Promueva", page)


@pytest.mark.parametrize("procedure", list(by_hand.PAGES))
def test_an_instance_without_domains_has_no_names_to_move(procedure: Procedure) -> None:
    shown, plain = (
        {step.where for part in by_hand.page(procedure, names).parts for step in part.steps}
        for names in (NAMES, {**NAMES, "domains": ""})
    )

    assert shown - plain == {"DNS"}


def test_a_site_that_was_never_prepared_is_not_shown_on_nginx() -> None:
    assert (
        "test -e /etc/nginx/relevo/vps_1/serving.conf\necho 'include "
        "/etc/nginx/relevo/vps_1/serving.conf;' >/etc/nginx/relevo/vps_1/shown.conf\n"
    ) in words.page(plan(), "en")


@pytest.mark.parametrize(
    ("language", "title", "lost"),
    [
        ("en", "# vps_1: due is gone\n", "may be lost"),
        ("es", "# vps_1: due ha caído\n", "puede perderse"),
    ],
)
def test_the_page_for_a_recovery_host_that_died_serving_leads_home_in_the_right_order(
    language: Language, title: str, lost: str
) -> None:
    made = plan("recovery is gone")
    page = words.page(made, language)

    assert page.startswith(title)
    assert lost in page
    assert [each.where for each in by_hand.GONE[:8]] == [
        "you", "origin", "origin", "origin", "origin", "origin", "DNS", "recovery",
    ]  # fmt: skip
    at = [
        page.index(each)
        for each in (
            "disable --now relevo-guard-vps_1", "systemctl start uno_cluster_unit",
            "uno_ctl promote", "systemctl start uno_unit", "tee due_config/start.conf",
            "failover.json.kept-by-hand", "--exclude-from=- ./ vps_1:uno_data_dir",
        )
    ]  # fmt: skip
    assert at == sorted(at)


def test_files_that_a_crash_has_torn_are_not_copied_home(tmp_path: Path) -> None:
    here, there = tmp_path / "due" / "filestore", tmp_path / "uno" / "filestore"
    whole, torn = (hashlib.sha1(text).hexdigest() for text in (b"whole", b"torn"))
    for name, text in ((whole, b"whole"), (torn, b"to")):
        path = here / "a shop" / name[:2] / name
        path.parent.mkdir(parents=True)
        path.write_bytes(text)
    there.mkdir(parents=True)
    typed = (
        "\n".join(FILES_HOME.commands)
        .replace("{instance}:", "")
        .format(
            recovery_data_dir=here.parent,
            recovery_user="root",
            recovery_rsh="",
            origin_data_dir=there.parent,
        )
    )

    subprocess.run(["bash", "-c", typed.replace("runuser -u root -- ", "")], check=True)

    assert [each.name for each in there.rglob("*") if each.is_file()] == [whole]


def test_a_page_in_spanish_has_no_english_sentence_left() -> None:
    page = words.page(plan(), "es") + words.page(plan("recovery is gone"), "es")

    assert "Los cambios guardados después de 08:00:00 (UTC) pueden perderse: 13 s" in page
    assert "normalmente unos 256 bytes" in page
    page += words.page(plan(exposure=replace(LOSS, synchronous="go_on")), "es")
    assert not re.search(r"\b(the|will|until|nobody|is|of)\b", page, re.IGNORECASE)


@pytest.mark.parametrize(
    ("waits", "language", "row"),
    [
        (True, "en", "| commits wait for due | since 08:00:00 (UTC), 12 s ago; after 30 s without"),
        (True, "es", "| los commits esperan a due | desde 08:00:00 (UTC), hace 12 s; tras 30 s"),
        (False, "en", "| commits wait for due | no: uno commits alone since 08:00:00 (UTC), 12 s"),
        (False, "es", "| los commits esperan a due | no: uno confirma sin esperar desde 08:00:00"),
    ],
)
def test_a_plan_says_whether_commits_waited(waits: bool, language: Language, row: str) -> None:
    notice = CommitNotice(
        "go_on", 30, waits, since=1_800_000_000, covered=1_800_000_000, timeline=1
    )

    assert row in words.page(plan(notice=notice), language)
    assert "| commits wait for" not in words.page(plan(), "en")


BUENOS_AIRES = "America/Argentina/Buenos_Aires"


def test_a_plan_says_a_loss_in_one_sentence_and_in_the_time_of_who_reads_it() -> None:
    made = replace(plan(), timezone=BUENOS_AIRES)

    facts = summary.facts(made)

    assert facts["measured at"] == "2027-01-15 05:00:12 (UTC-3)"
    assert facts["what would be lost"] == (
        "Changes saved after 05:00:00 (UTC-3) may be lost: 13 s before this plan; usually about "
        "256 bytes."
    )
    assert "behind the origin" not in facts, "of a silent origin nobody knows"
    assert facts["received, and not replayed yet"] == "256 bytes"


def test_of_an_origin_that_serves_a_plan_says_how_far_behind_the_standby_is() -> None:
    made = plan(origin="primary", exposure=Exposure.none())
    seen = replace(made.situation, lag_bytes=118_000_000, lag_seconds=3.2, last_drill="2027-01-01")

    facts = summary.facts(replace(made, situation=seen))

    assert facts["behind the origin"] == "118 MB, 3 s"
    assert facts["what would be lost"] == "nothing"
    assert facts["last drill or move"] == "2027-01-01 00:00:00 (UTC), 14 d ago"


def test_what_commits_that_waited_leave_to_be_lost_is_said_in_both_languages() -> None:
    waited = Exposure(False, 0, 0, "", "wait")
    until = replace(LOSS, synchronous="go_on")

    assert "nada: todo commit confirmado había esperado" in words.page(plan(exposure=waited), "es")
    said = words.page(plan(exposure=until), "es")
    assert "Hasta 08:00:00 (UTC) los commits esperaban" in said
    assert "Until 08:00:00 (UTC) commits waited for this host." in words.page(
        plan(exposure=until), "en"
    )


def test_a_plan_that_is_refused_says_why_and_shows_the_usual_way() -> None:
    said = summary.summary(plan(refusals=("replay is paused on due",)))

    assert "- replay is paused on due" in said
    assert "promote the cluster on due" in said


ORDERS = re.compile(r"^\d+\. (Promote|Stop|Start|Point|Copy|Run|Let|Keep)\b", re.MULTILINE)


@pytest.mark.parametrize(("procedure", "kind"), KINDS)
def test_what_a_person_does_is_told_apart_from_what_relevo_does(
    procedure: Procedure, kind: str
) -> None:
    origin = {"planned": "primary", "forced": SILENT}.get(kind, "down")
    made = plan(procedure, origin, Exposure.none() if kind == "planned" else LOSS, way=kind)

    said = summary.summary(made)

    before, _, then = said.partition("## Relevo will then ...\n\n1. ")
    assert len(then.splitlines()) > 3
    assert ("## Before you approve, you ...\n\n- confirm" in before) == (kind == "forced")
    assert not ORDERS.search(said), "nobody who reads a plan is given an order"
    assert "{" not in said


def test_names_that_no_provider_moves_are_said_to_be_left_to_a_person() -> None:
    made = plan()
    moves = replace(made, names={**NAMES, "dns": "ddns"})

    assert "shop.example.com are to be pointed at due_shown: that is left" in summary.summary(made)
    assert "point shop.example.com at due" in summary.summary(moves)


YES = Yes("vps_1", reason="fire", approved_by="Ana", origin_is_down=True)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (YES, ""),
        (replace(YES, instance_name="vps_2"), "'vps_2' was typed, and this plan is about vps_1"),
        (replace(YES, instance_name="VPS-1"), ""),
        (replace(YES, reason=" "), "a reason and a name are needed"),
        (
            replace(YES, origin_is_down=False),
            "nobody has confirmed that uno is down and stays down",
        ),
    ],
)
def test_a_yes_that_does_not_fit_is_told_why(answer: Yes, why: str) -> None:
    said = objection(approval.question(plan()), answer)

    assert said.startswith(why) if why else said == ""


def test_the_form_says_what_to_type_and_asks_only_what_matters() -> None:
    home = plan(origin="primary", exposure=Exposure.none())
    forced = form(approval.question(plan())).model_json_schema()["properties"]
    planned = form(approval.question(home)).model_json_schema()

    assert forced["instance_name"]["title"] == "Type vps_1"
    assert "pattern" not in str(forced), "a regular expression is no sentence"
    assert "stays down" in forced["origin_is_down"]["title"]
    assert "origin_is_down" not in planned["properties"]
    assert planned["required"] == ["approved_by", "reason", "instance_name"]
    assert list(forced) == ["origin_is_down", "approved_by", "reason", "instance_name"]
    assert [each["position"] for each in forced.values()] == [0, 1, 2, 3]
    assert "If unsure, leave this switch off." in forced["origin_is_down"]["description"]


def test_a_dead_leader_is_not_started_beside_a_silent_origin_without_a_word() -> None:
    """Nothing was lost when it took over, and nobody knows what became of the origin since."""
    seen = Situation("", SILENT, "down", False, Exposure.none(), leader_is_down=True)

    assert Plan("failover", seen).asks_whether_down
    assert not Plan("failover", replace(seen, origin="standby")).asks_whether_down
