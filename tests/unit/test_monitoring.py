"""The alerts and the dashboard name metrics that exist, and say what they are meant to say."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tasks.board.words import GAUGES
from tests import unpacked
from tests.documents import block

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "monitoring"
RULES, DASHBOARD = FOLDER / "relevo.rules.yml", FOLDER / "relevo.json"
NAME = re.compile(r"\brelevo_\w+")
EXIST = {f"relevo_{gauge.name}" for gauge in GAUGES}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def asked() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def test_every_metric_that_is_named_exists() -> None:
    texts = [RULES.read_text(), DASHBOARD.read_text(), (FOLDER / "README.md").read_text()]
    for text in texts:
        assert {*NAME.findall(text)} - {"relevo_rules"} <= EXIST


def test_every_metric_is_shown_and_explained() -> None:
    assert set(NAME.findall(DASHBOARD.read_text())) == EXIST
    assert set(NAME.findall((FOLDER / "README.md").read_text())) == EXIST


def test_every_metric_has_a_base_unit_and_a_meaning() -> None:
    for gauge in GAUGES:
        assert gauge.help.endswith(".")
        assert gauge.name in {"ready", "streaming", "synchronous"} or gauge.name.endswith(
            ("_bytes", "_seconds", "_ratio")
        )


def test_every_alert_says_of_whom_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["alert"].startswith("Relevo")
        assert rule["labels"]["severity"] in {"warning", "critical"}
        summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
        assert "$labels.exported_instance $labels.instance" in summary or "absent" in rule["expr"]
        assert description.endswith((".", "}}"))


def test_the_dashboard_stands_beside_each_other_and_explains_itself() -> None:
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def promtool() -> str:
    """Find it, of the package of its own that it has since Debian 13."""
    asked = subprocess.run(["apt-cache", "show", "promtool"], capture_output=True, check=False)
    package = "prometheus" if asked.returncode else "promtool"
    return unpacked.find("promtool", (package,))


def test_prometheus_takes_the_rules_and_they_fire_as_they_should(tmp_path: Path) -> None:
    cases = tmp_path / "cases.yml"
    text = (ROOT / "tests/unit/data/relevo.rules.test.yml").read_text()
    cases.write_text(text.replace("RULES]", f"{RULES}]"))

    for words in (("check", "rules", RULES), ("test", "rules", cases)):
        done = subprocess.run([promtool(), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_job_that_the_page_shows(tmp_path: Path) -> None:
    text = block("docs/monitoring/README.md", "Prometheus and Grafana", "scrape_configs:")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job["honor_labels"] is True
    path = tmp_path / "prometheus.yml"
    path.write_text(text)

    done = subprocess.run(
        [promtool(), "check", "config", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_every_question(tmp_path: Path) -> None:
    file = tmp_path / "asked.yml"
    questions = [each.replace("$instance", ".*") for each in asked()]
    group = {
        "name": "asked",
        "rules": [{"record": f"a:{n}", "expr": q} for n, q in enumerate(questions)],
    }
    file.write_text(yaml.safe_dump({"groups": [group]}))

    done = subprocess.run(
        [promtool(), "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
