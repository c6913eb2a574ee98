"""The command `relevo discover`: what it prints, what it writes, and what stops what."""

import io
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeAlias

import paramiko
import pytest
import yaml

from blocks import host_key
from blocks.errors import CommandFailed, Refused, ShutOut, Unreachable
from blocks.host import Host
from blocks.host_key import ShownKey
from blocks.instance import OdooInstance
from deployments import cli, draft, inventory_file, targets, way_in
from deployments.book import Book
from deployments.draft import Recovery
from deployments.way_in import Defaults, Way
from tasks.discovery import objections, server
from tasks.discovery.entry import Entry, render
from tasks.language.reader import read_in
from tasks.serving import zones
from tests.fakes import FakeHost
from tests.unit.test_discovery import CLUSTER, CONF, DATA, debian, facts, listeners, started
from tests.unit.test_shell import Hostile, hostile

Run: TypeAlias = Callable[..., int]
KEY = ShownKey(f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{'A' * 60}", "SHA256:abc", known=True)
KEY_OF_UNO = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}"
RECOVERY = {
    "facts *": facts("respaldo", "10.0.0.9"),
    "ss -Hltn": "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\nLISTEN 0 244 0.0.0.0:5433 0.0.0.0:*\n",
    "pg_lsclusters --no-header": CLUSTER.replace("5432", "5434"),
}
INVENTORY = """\
recovery:
  address: 10.0.0.9  # ours
instances:
    vps1:
        host: {address: 10.0.0.1, user: admin, public_address: 192.0.2.11}
        postgres: {version: 13}
        odoo:
            http_port: 8069
            sources: [/opt/odoo/old]
        recovery: {postgres_port: 5433, http_port: 8169, longpolling_port: 8172}
        domains: cliente1.example.com
# of another day
defaults:
  alarms: {lag_mb: 64}
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command where every server is a table of answers, and every key is known."""
    servers = {
        "vps1": FakeHost("vps1", debian()),
        "vps2": FakeHost("vps2", debian() | {"nginx -T": 127}),
        "vps3": FakeHost("vps3", {"*": Unreachable("vps3 did not answer", hint="see it")}),
        "10.0.0.9": FakeHost("respaldo", RECOVERY),
    }
    servers["respaldo"] = servers["10.0.0.9"]
    servers["recovery"] = servers["10.0.0.9"]
    monkeypatch.setattr(Host, "shell", lambda self: servers[self.name].shell())
    monkeypatch.setattr(zones, "look_up", lambda _: zones.Names(("192.0.2.11",)))
    monkeypatch.setattr(host_key, "ask", lambda *_: KEY)
    monkeypatch.setattr(way_in, "_ask_ssh", lambda _: "")
    monkeypatch.setattr(way_in, "OURS", tmp_path / "none")
    monkeypatch.setattr(targets, "_host", _host)
    monkeypatch.setattr(objections, "at_both", lambda _: iter(()))
    monkeypatch.setattr(objections, "at_origin", lambda _: iter(()))
    monkeypatch.chdir(tmp_path)
    return lambda *words: cli.main(["discover", *words])


def _host(way: Way, _: ShownKey) -> Host:
    """The host of a server of these tests, whose key is none."""
    address = {"vps1": "10.0.0.1", "vps2": "10.0.0.2"}.get(way.called, way.address)
    return Host(name=way.called, address=address, peer_address="10.0.0.1", user=way.user)


def test_what_is_printed_is_an_inventory_that_loads(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run("admin@vps1", "--recovery", "10.0.0.9")

    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    document = inventory_file.parse(said.out, Path("printed"))
    found = document.instances["vps1"]
    assert found.recovery.model_dump(exclude_none=True) == {
        "postgres_port": 5435, "http_port": 8369, "longpolling_port": 8372,
    }  # fmt: skip
    assert (document.recovery.name, document.recovery.address) == ("respaldo", "10.0.0.9")
    assert found.host.user == "admin"


def test_a_program_reads_one_document_of_all_servers(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.yaml"
    asked = ("vps3", "vps1", "--recovery", "10.0.0.9", "--write", str(path), "--json")

    assert run(*asked) == 5

    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["command"], said["written_to"]) == (1, "discover", str(path))
    silent, found = said["servers"]
    assert (silent["server"], silent["error"]) == ("vps3", "vps3 did not answer")
    (entry,) = found["entries"]
    assert (entry["instance"], entry["loads"], entry["complete"]) == ("vps1", True, True)
    assert "vps1" in yaml.safe_load(entry["yaml"])
    assert entry["yaml"] in path.read_text()

    assert run("vps1", "--inventory", str(path), "--json") == 0
    (known,) = json.loads(capsys.readouterr().out)["servers"]
    assert (known["entries"], known["drift"]) == ([], [])


def test_a_host_that_says_no_has_failed_and_is_no_bad_input(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise CommandFailed("ss failed on respaldo")

    monkeypatch.setattr(server, "taken_ports", fail)

    assert run("vps1", "--recovery", "10.0.0.9") == 1


def test_one_server_that_fails_stops_only_itself(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run("vps3", "vps1", "bad name", "vps2", "--recovery", "10.0.0.9")

    said = capsys.readouterr()
    assert code == 5
    assert "relevo: vps3: vps3 did not answer\nHINT: see it" in said.err
    assert "relevo: bad name: 'bad name' names no server" in said.err
    assert {*yaml.safe_load(said.out)["instances"]} == {"vps1"}
    assert "# vps2 would not load: instances.vps2.host.address: is the" not in said.out
    assert "# vps2 would not load: " in said.out, "both say that their peer is 10.0.0.1"


def test_without_a_recovery_server_ports_are_counted_and_it_is_said(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run("vps1")

    said = capsys.readouterr().out
    assert code == 1
    assert said.startswith("# recovery: not known. Run this with --recovery HOST")
    assert "# the recovery server was not asked which of its ports are free: name it" in said
    assert yaml.safe_load(said)["instances"]["vps1"]["recovery"]["postgres_port"] == 5433


def test_a_recovery_server_that_was_named_has_to_answer(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("vps1", "--recovery", "vps3") == 5
    assert "vps3 did not answer" in capsys.readouterr().err


def test_a_silent_recovery_server_is_said_also_where_nothing_is_new(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.yaml"
    assert run("vps1", "--recovery", "10.0.0.9", "--write", str(path)) == 0

    def fall_silent(_: object) -> None:
        raise Unreachable("respaldo did not answer", hint="see it")

    monkeypatch.setattr(server, "taken_ports", fall_silent)
    capsys.readouterr()

    assert run("vps1", "--inventory", str(path)) == 5

    said = capsys.readouterr()
    assert said.err == "relevo: respaldo: respaldo did not answer\nHINT: see it\n"
    assert said.out == "# vps1: as it was\n"


def test_an_inventory_in_spanish_is_answered_in_spanish_and_a_program_in_english(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inventory.yaml").write_text(f"{INVENTORY}language: es\n")

    assert run("vps1", "vps2", "bad name") == 1

    said = capsys.readouterr()
    assert "# vps1: odoo.sources: el inventario dice [/opt/odoo/old], el servidor " in said.out
    assert "# encontrado por relevo" in said.out
    assert "# vps1: certificate: el inventario no dice nada, el servidor {chain: /etc/" in said.out
    assert "# FILL IN: no hay nginx, y otro programa escucha en 443" in said.out
    assert "\nSUGERENCIA: escriba HOST, USER@HOST" in said.err

    assert run("vps2", "--json") == 1
    (asked,) = json.loads(capsys.readouterr().out)["servers"]
    assert "# found by relevo" in asked["entries"][0]["yaml"]

    assert run("vps1", "--language", "en") == 1
    assert "odoo.sources: the inventory says [/opt/odoo/old]" in capsys.readouterr().out


def test_an_inventory_is_begun_and_then_appended_to_and_nothing_is_written_over(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.yaml"
    assert run("vps1", "--write", str(path)) == 2
    assert "would be an inventory without a recovery server" in capsys.readouterr().err
    assert not path.exists()

    assert run("vps1", "--recovery", "10.0.0.9", "--write", str(path)) == 0
    assert capsys.readouterr().err == f"added to {path}: vps1\n"
    assert [*inventory_file.read(path).instances] == ["vps1"]

    before = path.read_text()
    assert run("vps1", "--write", str(path)) == 0
    assert capsys.readouterr().out == "# vps1: as it was\n"
    assert path.read_text() == before


def test_an_entry_is_added_behind_the_others_in_their_own_layout(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    book = Book.open(path)
    entry = Entry("vps9", {"host": {"address": "10.0.0.7"}, "postgres": {"version": 15}})

    draft.settle([entry], book, Recovery(error=Unreachable("it is far away")))

    assert entry.barred == []
    whole = book.with_entries([render(entry, indent=book.indent)])
    whole.save(book)
    text = path.read_text()
    head, tail = INVENTORY.split("# of another day")
    assert text.startswith(f"{head}    vps9:\n")
    assert text.endswith(f"# of another day{tail}")
    assert [*inventory_file.read(path).instances] == ["vps1", "vps9"]
    assert inventory_file.read(path).instances["vps9"].recovery.postgres_port == 5434


def test_a_file_that_was_changed_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    book = Book.open(path)
    path.write_text(f"{INVENTORY}# changed\n")

    with pytest.raises(Refused, match="was changed meanwhile"):
        book.save(book)


def test_instances_between_braces_are_left_alone(tmp_path: Path) -> None:
    one = yaml.safe_dump(yaml.safe_load(INVENTORY)["instances"], default_flow_style=True, width=999)
    path = tmp_path / "inventory.yaml"
    path.write_text(f"recovery: {{address: 10.0.0.9}}\ninstances: {one}")

    with pytest.raises(Refused, match="stand between braces"):
        Book.open(path).with_entries(["  a:\n"])


@pytest.mark.parametrize(
    "nothing", ["", " {}", " {}  # none yet", " {\n}", "\n  {}", " null", " ~"]
)
def test_an_inventory_without_instances_takes_the_first(tmp_path: Path, nothing: str) -> None:
    path = tmp_path / "inventory.yaml"
    text = f"recovery: {{address: 10.0.0.9}}\ninstances:{nothing}\ndefaults: {{}}\n"

    whole = Book(path, text).with_entries(["  a: {host: {address: 10.0.0.1}}\n"])

    found = yaml.safe_load(whole.text)
    assert found["instances"] == {"a": {"host": {"address": "10.0.0.1"}}}
    assert found["defaults"] == {}
    assert ("# none yet" in whole.text) == ("#" in nothing)


def test_an_inventory_with_empty_braces_is_no_reason_to_refuse(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "recovery: {address: 10.0.0.9}\ninstances: {}\n"
    (tmp_path / "inventory.yaml").write_text(text)

    assert run("vps1") == 0

    assert "vps1" in yaml.safe_load(capsys.readouterr().out)["instances"]
    assert (tmp_path / "inventory.yaml").read_text() == text


def test_a_second_run_says_what_has_drifted_by_field(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)

    assert run() == 1

    sources, certificate = capsys.readouterr().out.splitlines()
    assert sources == (
        "# vps1: odoo.sources: the inventory says [/opt/odoo/old], the server [/opt/odoo/sources]"
    )
    assert certificate.startswith(
        "# vps1: certificate: the inventory says nothing, the server {chain: /etc/letsencrypt/live/"
    )
    assert path.read_text() == INVENTORY


def test_an_instance_whose_odoo_is_gone_has_drifted(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inventory.yaml").write_text(INVENTORY.replace("8069", "8070"))
    words = ("/usr/bin/python3", "/usr/bin/odoo", "-c", "/etc/odoo/odoo.conf")
    other = debian() | {
        "listeners": listeners(*words, unit="otro.service"),
        "started otro.service *": started(*words),
        "pg_lsclusters --no-header": CLUSTER.replace("main", "otro"),
        "read /etc/odoo/odoo.conf": CONF.format("/opt/odoo/sources", DATA, ""),
    }
    monkeypatch.setattr(Host, "shell", lambda self: FakeHost(self.name, other | RECOVERY
                        if self.name == "recovery" else other).shell())  # fmt: skip

    assert run("vps1") == 1

    said = capsys.readouterr().out
    assert "# vps1: its Odoo was not found on vps1" in said
    assert "vps1_2" in said


# --------------------------------------------------------------------------------- the way in


@pytest.mark.parametrize(
    ("named", "way"),
    [
        ("vps1", Way("vps1", "vps1.example.com", 5253, "sysop")),
        ("root@vps1:2222", Way("vps1", "vps1.example.com", 2222, "root")),
        ("admin@[2001:db8::1]:22", Way("2001:db8::1", "vps1.example.com", 22, "admin")),
    ],
)
def test_the_command_line_counts_before_ssh_s_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str, way: Way
) -> None:
    said = "user sysop\nhostname vps1.example.com\nport 5253\nidentityfile ~/.ssh/id_rsa\n"
    monkeypatch.setattr(way_in, "_ask_ssh", lambda _: said)
    monkeypatch.setattr(way_in, "OURS", tmp_path / "none")

    assert way_in.find(named, Defaults(user="admin")) == way


def test_the_key_that_ssh_names_is_taken_and_a_jump_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.touch()
    monkeypatch.setattr(way_in, "_ask_ssh", lambda _: f"identityfile {key}\n")
    assert way_in.find("vps1", Defaults(user="admin", port=2222)).key_file == key

    monkeypatch.setattr(way_in, "_ask_ssh", lambda _: "proxyjump bastion\n")
    with pytest.raises(Refused, match="ssh reaches vps1 by proxyjump bastion"):
        way_in.find("vps1", Defaults())


def test_a_server_under_several_names_shows_its_key_once_and_is_asked_for_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, int]] = []
    unknown = ShownKey(KEY.line, KEY.fingerprint, known=False)

    def ask(host: str, port: int) -> ShownKey:
        asked.append((host, port))
        return unknown

    monkeypatch.setattr(host_key, "ask", ask)
    monkeypatch.setattr(way_in, "_ask_ssh", lambda _: "hostname 10.0.0.1\n")
    stdin = io.StringIO("yes\n")
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", stdin)

    assert run("vps1", "vps2") == 1

    assert asked == [("10.0.0.1", 22)]
    assert capsys.readouterr().err.count("Is it this one?") == 1


@pytest.mark.parametrize("named", ["-oProxyCommand=x", "a b", "a;b", "A@b", "x@y:", "", "$(id)"])
def test_what_is_no_name_of_a_server_is_asked_of_nobody(named: str) -> None:
    with pytest.raises(Refused, match="names no server"):
        way_in.find(named, Defaults())


def _target(*, known: bool) -> targets.Target:
    key = ShownKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==", "SHA256:abc", known)
    return targets.Target("vps1", way=Way("vps1", "10.0.0.1", 22, "admin"), key=key)


@pytest.mark.parametrize(
    ("known", "accepted", "answer"),
    [
        (True, [], (None, "")),
        (False, ["SHA256:abc"], (None, "")),
        (False, [], (None, "the host key of admin@10.0.0.1 port 22 is not known")),
        (False, ["SHA256:other"], ("no\n", "was not accepted")),
        (False, [], ("yes\n", "")),
        (False, [], ("", "was not accepted")),
    ],
)
def test_a_host_key_is_known_given_or_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    known: bool,
    accepted: list[str],
    answer: tuple[str | None, str],
) -> None:
    typed, refused = answer
    stdin = io.StringIO(typed or "")
    monkeypatch.setattr(stdin, "isatty", lambda: typed is not None)
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr(targets, "_host", _host)
    target = _target(known=known)

    if refused:
        with pytest.raises(Refused, match=refused):
            targets._accept(target, {*accepted})
    else:
        targets._accept(target, {*accepted})
        assert target.host is not None
    assert ("shows the host key ssh-ed25519 SHA256:abc" in capsys.readouterr().err) == (
        typed is not None
    )


@pytest.mark.parametrize(
    ("answer", "is_yes"), [("sí", True), ("Si", True), ("yes", True), ("no", False), ("", False)]
)
def test_who_reads_spanish_is_asked_for_a_host_key_in_spanish(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    is_yes: bool,
) -> None:
    stdin = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr(targets, "_host", _host)

    with read_in("es"), nullcontext() if is_yes else pytest.raises(Refused):
        targets._accept(_target(known=False), set())

    assert capsys.readouterr().err == (
        "admin@10.0.0.1 port 22 muestra la clave de host ssh-ed25519 SHA256:abc\n"
        "Compárela allí: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n"
        "¿Es esta? Escriba sí: "
    )


@pytest.mark.parametrize(
    "damaged",
    [
        b"uno ssh-ed25519 AAAAC3NzaC1lZDI1NTE5A",
        b"uno ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAABWFiY2Rl",
        b"u\xf1o ssh-ed25519 AAAA",
        f"|1|c2hvcnQ=|c2hvcnQ= {KEY_OF_UNO}".encode(),
    ],
    ids=["cut", "too short", "latin-1", "hashed"],
)
def test_a_damaged_line_of_known_hosts_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bytes
) -> None:
    file = tmp_path / "known_hosts"
    file.write_bytes(b"# one of mine\ndue ssh-strange AAAA\n" + damaged + b"\n")
    monkeypatch.setattr(host_key, "KNOWN_HOSTS", file)

    with pytest.raises(ShutOut, match=f"line 3 of {file} is damaged") as refused:
        host_key.ask("127.0.0.1", 1)
    assert refused.value.hint == "remove the line that it names"


def test_a_host_shows_its_key_to_who_does_not_log_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "known_hosts"
    monkeypatch.setattr(host_key, "KNOWN_HOSTS", file)
    with hostile(tmp_path, Hostile(lambda _: None)) as host:
        shown = host_key.ask(host.address, host.port)
    assert host.host_key is not None
    assert shown.line.split() == host.host_key.split()[:2]
    assert not shown.known

    file.write_text(f"[{host.address}]:{host.port} {shown.line}\n")
    with hostile(tmp_path, Hostile(lambda _: None)) as host:
        file.write_text(f"[{host.address}]:{host.port} {host.host_key}\n")
        assert host_key.ask(host.address, host.port).known
    with hostile(tmp_path, Hostile(lambda _: None)) as host:
        other = paramiko.ECDSAKey.generate()
        file.write_text(f"[{host.address}]:{host.port} {other.get_name()} {other.get_base64()}\n")
        with pytest.raises(ShutOut, match="shows another host key than the one in"):
            host_key.ask(host.address, host.port)
    with pytest.raises(Unreachable, match="did not show its host key"):
        host_key.ask("127.0.0.1", 1)


# -------------------------------------------------------------------------- what is refused later


@pytest.fixture
def instance() -> OdooInstance:
    """An entry that was found, as an instance."""
    entry = Entry("vps1", {"host": {"address": "10.0.0.1"}, "postgres": {"version": 13}})
    respaldo = Host(name="respaldo", address="10.0.0.9", peer_address="10.0.0.9")
    base = draft.blank(Path("new"), Recovery(respaldo))
    return draft.instances(draft.settle([entry], base, Recovery()), [entry])["vps1"]


def test_what_replicate_would_refuse_is_asked_by_its_own_checks(
    monkeypatch: pytest.MonkeyPatch, instance: OdooInstance
) -> None:
    uno = FakeHost("vps1", {"lacking *": "the command rsync\n", "*": 1})
    due = FakeHost("respaldo", {"lacking *": "", "*": 1})
    by_name = {"vps1": uno, "respaldo": due}
    monkeypatch.setattr(Host, "shell", lambda self: by_name[self.name].shell())

    (said,) = objections.at_both(instance)

    assert said.startswith("replicate would refuse: vps1 cannot be replicated yet: ")
    assert "vps1 lacks the command rsync" in said


def test_without_a_recovery_server_the_origin_alone_is_asked_and_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, instance: OdooInstance
) -> None:
    words = ("/usr/bin/python3", "/usr/bin/odoo", "-c", "/etc/odoo/odoo.conf")
    uno = FakeHost("vps1", {
        "read /etc/odoo/odoo.conf": CONF.format("/usr/lib/a", DATA, ""),
        "started odoo.service 8069": started(*words),
        "getent passwd odoo": "odoo:x:105:112::/var/lib/odoo:/bin/false\n",
        "look 13 main 5432 *": "5432 online f /var/lib/postgresql/13/main postgres\n",
        "grep *": "",
        "SELECT name, setting FROM pg_settings*": '[{"name": "ssl", "setting": "off"}]',
        "SELECT spcname FROM pg_tablespace*": '[{"spcname": "fast"}]',
    })  # fmt: skip
    monkeypatch.setattr(Host, "shell", lambda _: uno.shell())

    assert list(objections.at_origin(instance)) == [
        "replicate would refuse: PostgreSQL on vps1 does not offer TLS",
        "replicate would refuse: vps1 keeps data in tablespaces: fast",
    ]
    assert uno.changes == []
