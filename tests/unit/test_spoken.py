"""Words alone and texts of many lines are said in Spanish as well, and no name or command is."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect import Flow

from blocks.errors import CommandFailed
from deployments import break_glass, cli, forms, parser_words, quiet, status
from deployments.machine import End, Standing
from tasks.board.alarms import Measured
from tasks.doctor.findings import Examined, Finding
from tasks.language import catalogue, prose
from tasks.language.catalogue import spoken
from tasks.language.reader import read_in
from tasks.language.template import Template
from tasks.records.history import Entry, Kept
from tasks.run.moments import Clock
from tests import catalogue as found

ROOT = Path(__file__).parents[2]
ENGLISH = re.compile(r"\b(the|of|and|what|which|with|when|it|not|is)\b")
# Names that are words of ours as well; they are the customer's, and stay as they are.
NAME, HOST, OTHER = "files", "primary", "standby"


def standing(origin: str, recovery: str, *serves: str, why: str | None = None) -> Standing:
    return Standing(
        instance=NAME, origin=End(server=HOST, role=origin),
        recovery=End(server=OTHER, role=recovery), served_from=serves,
        known=bool(serves) or why == status.NOBODY, why=why,
    )  # fmt: skip


def test_who_serves_is_said_in_spanish_and_each_name_stays() -> None:
    rows = [
        standing("primary", "standby", "origin"),
        standing("primary", "primary", "origin", "recovery"),
        standing("down", "standby", why=status.NOBODY),
        standing("silent", "not known", why="uno does not answer"),
    ]  # fmt: skip

    with read_in("es"):
        head, *lines = status.lines(rows)

    assert head.split() == ["instancia", "origen", "respaldo", "se", "atiende", "desde"]
    said = [re.split(r"  +", line) for line in lines]
    assert [each[0] for each in said] == [NAME] * 4
    assert [each[1] for each in said] == ["primario", "primario", "detenido", "no responde"]
    assert [each[-1] for each in said][:3] == [HOST, f"AMBOS: {HOST} y {OTHER}", "nadie"]
    assert said[3][2:] == ["?", "se desconoce: uno no responde"]
    assert [*status.lines(rows)][2].endswith(f"BOTH: {HOST} and {OTHER}")


def test_the_doctor_speaks_spanish_and_names_stay() -> None:
    wrong = Finding("PostgreSQL port at the recovery", "replicate", "port 5433 on files is taken "
                    "by something else", "run relevo apply")  # fmt: skip
    seen = Examined(NAME, f"{HOST} -> {OTHER}", [wrong, Finding("disk", "well", "enough")])

    with read_in("es"):
        first, second, third = seen.lines(well=False)

    assert first == f"{NAME} ({HOST} -> {OTHER}): 1 por corregir"
    assert re.match(r"  IMPIDE REPLICATE +\S.*: .*5433.*files.*\(SUGERENCIA: ", second)
    assert third.split() == ["bien", "1", "comprobaciones"]
    assert [*seen.lines(well=False)][1].startswith("  BLOCKS REPLICATE  PostgreSQL port")


def test_a_check_says_colours_and_the_line_of_nagios_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = (Measured(NAME, 0), "amber", ["no drill or move yet", "failback is under way"])

    with read_in("es"):
        break_glass.say_check([row], "WARNING - files: no drill or move yet")  # type: ignore[list-item]

    first, second = capsys.readouterr().out.splitlines()
    assert first == "WARNING - files: no drill or move yet"
    assert second.startswith("en ámbar files ")
    assert not ENGLISH.search(second)


def test_the_history_says_times_where_the_reader_is() -> None:
    begun, ended = (datetime(2026, 11, 25, 15, at, tzinfo=UTC) for at in (18, 30))
    entry = Entry(
        run="a", procedure="failover", person="Ana", reason="a fire", begun=begun, ended=ended,
        outcome="done", said="", runner="due",
    )  # fmt: skip
    clock = Clock("America/Argentina/Buenos_Aires", datetime(2026, 11, 28, 15, tzinfo=UTC), True)

    with read_in("es"):
        line = quiet._line(Kept(entry, ("recovery",), ("recovery",)), clock)

    assert line == (
        "2026-11-25 12:18:00 (UTC-3), hace 3 d  failover           hecho tras 12 min  Ana: a fire"
    )


def test_the_help_is_in_spanish_and_its_commands_can_be_typed() -> None:
    with read_in("es"):
        said = parser_words.epilog()

    assert not ENGLISH.search(re.sub(r"relevo .*?(  |$)|/var/\S+", "", said, flags=re.MULTILINE))
    commands = re.compile(r"^  relevo .*?(?=  |$)", re.MULTILINE)
    assert commands.findall(said) == commands.findall(parser_words.EPILOG)
    assert len(said.splitlines()) == len(parser_words.EPILOG.splitlines())


def test_what_is_wrong_with_a_command_line_is_said_in_spanish(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["plan", "failover"], ["statsu"], ["list", "--jsno"]):
        with pytest.raises(SystemExit):
            cli.main(["--language", "es", *words])
    said = capsys.readouterr().err
    assert "faltan los argumentos: instance" in said
    assert "opción no válida: 'statsu'" in said
    assert "argumentos no reconocidos: --jsno" in said
    assert said.startswith("uso: relevo ")


def test_a_command_that_failed_is_shown_as_it_was_run() -> None:
    typed = "sh -c 'done; the unit odoo; not known' run"
    error = CommandFailed(f"sh failed on uno with status 3: {typed}\nuno does not answer")

    assert spoken(error, "es") == f"sh falló en uno con el estado 3: {typed}\nuno no responde"


def test_what_a_host_says_in_our_words_is_still_what_its_scripts_say() -> None:
    scripts = "".join(path.read_text() for path in (ROOT / "tasks").rglob("*.py"))
    flat = re.sub(r"\\+\n|\\(?=\")|\\", "", scripts)
    for each in found.SCRIPTED:
        longest = re.sub(r"\s", "", Template(each).longest)
        assert longest in re.sub(r"\s", "", flat), each


@pytest.mark.parametrize("flow", list(found.flows()), ids=lambda flow: flow.name)
def test_a_flow_is_described_in_spanish(flow: ast.FunctionDef) -> None:
    text = ast.get_docstring(flow) or ""

    said = prose.translated(text, "es")

    assert prose.translated(text, "en") == text
    assert all(part.before in said for part in prose.parts(text))
    assert not ENGLISH.search(re.sub(r"`[^`]*`|«[^»]*»", "", said))


def test_every_field_of_a_form_has_a_name_in_spanish() -> None:
    assert found.fields() <= catalogue.labels().keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("streaming, 5.2 MB behind", "recibe WAL, con 5,2 MB de retraso"),
        ("1.0 MB free", "1,0 MB libres"),
        ("the last drill or move was 100 d ago: run drill", "hace 100 d: ejecute drill"),
        (
            "PostgreSQL 15.2 and 15.2, glibc 2.31 and 2.36, clocks 0.5 s apart",
            "15.2, glibc 2.31 y 2.36, relojes con 0,5 s de diferencia",
        ),
    ],
)
def test_sizes_ages_and_decimals_are_said_as_people_write_them(text: str, said: str) -> None:
    assert said in catalogue.translated(text, "es")


def test_seconds_of_a_report_have_their_comma_and_versions_keep_their_point() -> None:
    facts = "| | |\n|---|---|\n| seconds of downtime | 3.1 |\n| domains | 16.4 |"
    steps = "| | seconds |\n|---|---|\n| promote due | 0.6 |"

    assert "| 3,1 |" in catalogue.page(facts, "es")
    assert "| 16.4 |" in catalogue.page(facts, "es")
    assert "| 0,6 |" in catalogue.page(steps, "es")


def test_a_deployment_says_its_form_in_spanish_and_takes_what_it_took() -> None:
    flow = Flow.from_source(source=str(ROOT), entrypoint="flows/failover.py:failover")
    made, english = (flow.to_deployment(name="vps_1") for _ in range(2))  # type: ignore[union-attr]

    forms.tell(made, "es")  # type: ignore[arg-type]
    forms.tell(english, "en")  # type: ignore[arg-type]

    spanish, kept = (each._parameter_openapi_schema.properties for each in (made, english))  # type: ignore[union-attr]
    assert spanish["origin_is_down"]["title"] == "el origen está caído"
    assert "seguirá caído" in spanish["origin_is_down"]["description"]
    assert kept["origin_is_down"]["title"] == "origin_is_down"
    words = ("title", "description")
    for name, field in spanish.items():
        assert {k: v for k, v in field.items() if k not in words} == {
            k: v for k, v in kept[name].items() if k not in words
        }
    assert str(made.description).startswith("Atiende a los clientes")  # type: ignore[union-attr]
