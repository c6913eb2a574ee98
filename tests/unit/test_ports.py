"""Ports that the inventory leaves out: allotted once, kept, given to nobody else, free again."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.errors import Refused, Unreachable
from blocks.host import Host
from blocks.instance import OdooInstance
from deployments import chosen, cli, inventory, inventory_file, ports
from deployments.inventory import Document
from deployments.secrets import Secrets
from tasks.host import files
from tasks.recovery import allotted
from tasks.run import terminal
from tests.fakes import FakeHost

LISTENS = "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\nLISTEN 0 128 0.0.0.0:{} 0.0.0.0:*\n"
FIRST = {"postgres_port": 5433, "http_port": 8169, "longpolling_port": 8172}
SECOND = {"postgres_port": 5434, "http_port": 8269, "longpolling_port": 8272}
THIRD = {"postgres_port": 5435, "http_port": 8369, "longpolling_port": 8372}


class Ledger:
    """A recovery host whose list is a text, changed as the program for files changes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.text, self.meanwhile = "", ""
        self.host = FakeHost("due", {"ss -Hltn": LISTENS.format(8069), "pg_lsclusters *": ""})
        monkeypatch.setattr(Host, "shell", lambda _: self.host.shell())
        monkeypatch.setattr(files, "read", lambda *_: self.text)
        monkeypatch.setattr(files, "exists", lambda *_: bool(self.text))
        monkeypatch.setattr(files, "remove", lambda *_: setattr(self, "text", ""))
        monkeypatch.setattr(files, "_install", self.install)

    def install(self, *said: Any, former: str = "", **_: Any) -> str:
        if self.meanwhile:  # another runner was faster
            self.text, self.meanwhile = self.meanwhile, ""
            return "stale"
        assert former
        self.text = said[2]
        return "installed"

    @property
    def instances(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = json.loads(self.text)["instances"]
        return found


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    return Ledger(monkeypatch)


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path / "secrets.yaml")


def document(**recovery: dict[str, int] | None) -> Document:
    """An inventory of instances with these ports; none where they are left out."""
    numbered = enumerate(recovery.items(), 1)
    entries = {
        name: {
            "host": {"address": f"192.0.2.{number}"}, "postgres": {"version": 15},
            **({"recovery": said} if said else {}),
        }
        for number, (name, said) in numbered
    }  # fmt: skip
    raw = {"recovery": {"name": "due", "address": "192.0.2.9"}, "instances": entries}
    return inventory_file.parse(yaml.safe_dump(raw, sort_keys=False), Path("inventory.yaml"))


def made(of: Document, secrets: Secrets) -> dict[str, OdooInstance]:
    return {each.name: each for each in inventory.instances(of, secrets)}


def allot(of: Document, secrets: Secrets) -> list[str]:
    return list(ports.allot(of, secrets))


def test_what_is_left_out_is_allotted_and_stays_when_another_comes_or_goes(
    ledger: Ledger, secrets: Secrets
) -> None:
    said = allot(document(uno=None, dos=None), secrets)

    assert said[0] == (
        "allotted ports on due for uno: postgres_port 5433, http_port 8169, longpolling_port 8172"
    )
    assert ledger.instances == {"uno": FIRST, "dos": SECOND} == ports.read(ports.path(secrets))
    found = made(document(cero=None, dos=None), secrets)["dos"]
    assert allotted.of(found) == SECOND
    assert allot(document(dos=None), secrets) == []
    assert allot(document(cero=None, dos=None), secrets)[0].startswith("allotted ports on due for")
    assert ledger.instances["cero"] == THIRD


def test_what_somebody_listens_on_or_the_inventory_names_is_not_allotted(
    ledger: Ledger, secrets: Secrets
) -> None:
    ledger.host.answers = {"ss -Hltn": LISTENS.format(8172), "pg_lsclusters *": ""}

    allot(document(uno=SECOND, dos=None), secrets)

    assert ledger.instances == {"dos": THIRD}


def test_two_that_are_allotted_at_the_same_moment_never_get_the_same(
    ledger: Ledger, secrets: Secrets
) -> None:
    ledger.meanwhile = json.dumps({"instances": {"of_another_runner": FIRST}, "version": 1})

    allot(document(uno=None), secrets)

    assert ledger.instances == {"of_another_runner": FIRST, "uno": SECOND}


def test_a_port_that_is_named_wins_and_the_others_are_allotted(
    ledger: Ledger, secrets: Secrets
) -> None:
    allot(document(uno={"http_port": 9000}), secrets)
    assert ledger.instances["uno"] == {**FIRST, "http_port": 9000}

    later = made(document(uno={"http_port": 9000, "postgres_port": 6000}), secrets)["uno"]
    assert allotted.of(later) == {**FIRST, "http_port": 9000, "postgres_port": 6000}


def test_a_runner_that_has_lost_the_file_gets_the_same_again(
    ledger: Ledger, secrets: Secrets
) -> None:
    allot(document(uno=None, dos=None), secrets)
    ports.path(secrets).unlink()

    allot(document(dos=None), secrets)

    assert ports.read(ports.path(secrets)) == {"dos": SECOND}


def test_a_cluster_whose_ports_nobody_has_noted_keeps_them(
    ledger: Ledger, secrets: Secrets
) -> None:
    listed = "15 uno 5440 online db_uno /var/lib/postgresql/15/uno /var/log/x.log\n"
    ledger.host.answers = {"ss -Hltn": LISTENS.format(1), "pg_lsclusters *": listed}

    with pytest.raises(Refused, match="has a cluster uno already"):
        allot(document(uno=None), secrets)


def test_a_port_that_was_allotted_is_not_given_away_by_the_inventory(
    ledger: Ledger, secrets: Secrets
) -> None:
    allot(document(uno=None), secrets)

    with pytest.raises(Refused, match=r"has for uno: 5433 \(instances\.dos\)"):
        made(document(uno=None, dos={**SECOND, "postgres_port": 5433}), secrets)


def test_what_has_no_ports_yet_stops_no_other_and_is_acted_on_by_nobody(
    ledger: Ledger, secrets: Secrets
) -> None:
    found = list(made(document(uno=FIRST, dos=None), secrets).values())
    secrets.invented.clear()

    assert secrets.portless == {"dos"}
    assert chosen.one("uno", found, secrets).name == "uno"
    with pytest.raises(Refused, match="has no ports for dos") as error:
        chosen.one("dos", found, secrets)
    assert "run relevo apply" in error.value.hint
    ledger.text = json.dumps({"instances": {"dos": THIRD}, "version": 1})
    assert allotted.of(chosen.one("dos", found, secrets)) == THIRD


def test_removal_frees_them_and_the_last_one_takes_the_list(
    ledger: Ledger, secrets: Secrets
) -> None:
    allot(document(uno=None, dos=None), secrets)
    both = made(document(uno=None, dos=None), secrets)

    allotted.free(both["uno"])
    ports.forget(secrets, "uno")
    assert (ledger.instances, ports.read(ports.path(secrets))) == ({"dos": SECOND},) * 2
    allotted.free(both["dos"])
    assert ledger.text == ""


def test_the_list_is_written_as_the_next_release_reads_it(ledger: Ledger, secrets: Secrets) -> None:
    allot(document(uno=None), secrets)

    assert json.loads(ledger.text) == {"instances": {"uno": FIRST}, "version": 1}


def test_a_set_up_notes_its_ports_and_refuses_those_of_another(
    ledger: Ledger, secrets: Secrets
) -> None:
    both = made(document(uno=FIRST, dos={**SECOND, "http_port": 8170}), secrets)
    with terminal.without_server():
        allotted.keep(both["uno"])
    assert ledger.instances == {"uno": FIRST}
    assert allotted.require_free(both["dos"]) == "5434, 8170, 8272 are no other instance's"
    ledger.text = json.dumps({"instances": {"x": {"http_port": 8170}}, "version": 1})

    for refuse in (allotted.keep, allotted.require_free):
        with (
            terminal.without_server(),
            pytest.raises(Refused, match=r"for other instances: http_port 8170 \(x\)"),
        ):
            refuse(both["dos"])


def test_a_recovery_host_that_is_silent_allots_nothing(ledger: Ledger, secrets: Secrets) -> None:
    ledger.host.answers = {"*": Unreachable("due did not answer")}

    with pytest.raises(Unreachable, match="no ports can be allotted for uno: due did not"):
        allot(document(uno=None), secrets)
    assert not ports.path(secrets).exists()


@pytest.mark.parametrize("text", ["[]", "uno: 1", "uno: {http_port: 1}", "uno: {", "\x00"])
def test_a_spoiled_file_is_refused(secrets: Secrets, text: str) -> None:
    ports.path(secrets).write_text(text)

    with pytest.raises(Refused):
        made(document(uno=None), secrets)


def test_the_command_says_how_to_have_them_allotted(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("RELEVO_LANGUAGE", "en")
    path = tmp_path / "inventory.yaml"
    path.write_text(document_text := yaml.safe_dump({
        "recovery": {"name": "due", "address": "192.0.2.9"},
        "instances": {"uno": {"host": {"address": "192.0.2.1"}, "postgres": {"version": 15}}},
    }))  # fmt: skip
    (tmp_path / "secrets.yaml").write_text(
        "uno: {replication: aaaaaaaa, rewind: bbbbbbbb, signing: cccccccc}\n"
    )
    (tmp_path / "secrets.yaml").chmod(0o600)

    assert cli.main(["--inventory", str(path), "plan", "failover", "uno"]) == 3
    assert "has no ports for uno\nHINT: copy ports.yaml here" in capsys.readouterr().err
    assert path.read_text() == document_text
