"""The door: what an inventory may say, and what is refused before anything is touched."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tzlocal
import yaml
from pydantic import ValidationError

from blocks.errors import Refused
from deployments import inventory, inventory_file
from deployments.secrets import Secrets
from deployments.settings import PLACES

ROOT = Path(__file__).parents[2]
EXAMPLE: dict[str, Any] = yaml.safe_load((ROOT / "inventory.example.yaml").read_text())
ONE, OTHER = "vps_clientes_1", "vps_clientes_2"


def read(folder: Path, change: Callable[[dict[str, Any]], object]) -> inventory.Document:
    document = copy.deepcopy(EXAMPLE)
    change(document)
    path = folder / "inventory.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True))
    return inventory_file.read(path)


def refusal(folder: Path, change: Callable[[dict[str, Any]], object]) -> str:
    with pytest.raises(Refused) as refused:
        read(folder, change)
    assert "HINT: fix the inventory; nothing was changed" in str(refused.value)
    assert str(folder / "inventory.yaml") in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(("said", "policy"), [(False, "off"), ("off", "off"), ("wait", "wait")])
def test_off_is_off_although_yaml_reads_it_as_false(said: object, policy: str) -> None:
    assert inventory.ReplicationEntry.model_validate({"synchronous": said}).synchronous == policy


def test_on_says_too_little() -> None:
    with pytest.raises(ValidationError, match="wait, or go_on"):
        inventory.ReplicationEntry.model_validate({"synchronous": True})


def test_the_example_is_accepted(tmp_path: Path) -> None:
    assert list(read(tmp_path, lambda _: None).instances) == [ONE, OTHER]


@pytest.mark.parametrize(
    "name",
    [
        "vps-1", "vps 1", "Vps", "vps;rm", "vps$(id)", "ñu", "../x", "a\nb", "a\n", "a" * 41,
        "1a", "_a", "", "vps/1", "vps'1", "%n",
    ],
)  # fmt: skip
def test_a_hostile_name_is_refused(tmp_path: Path, name: str) -> None:
    def rename(document: dict[str, Any]) -> None:
        document["instances"][name] = document["instances"].pop(OTHER)

    assert "instances." in refusal(tmp_path, rename)


@pytest.mark.parametrize(
    ("section", "field", "values"),
    [
        ("host", "user", ["root;id", "a b", "-x", "ñ", "odoo\n", "$(id)", "a" * 33]),
        ("host", "address", ["a;b", "-oProxyCommand=x", "a b", "x\n", "..", "a..b", "1.2.3.4\n"]),
        ("host", "peer_address", ["vps1.example.com", "1.2.3", "0.0.0.0/0", "1.2.3.4\n"]),
        ("host", "key_file", ["a\nb"]),
        ("host", "host_key", ["x", "ssh-ed25519 AAAA", "ssh-rsa $(id)", "ssh-rsa AA\nssh-rsa BB"]),
        ("host", "name", ["-x", "a b", "a;b", "ñ"]),
        ("odoo", "data_dir", ["relative", "/a/../b", "/a b", "/a;b", "/a\n", "/", "/a'b", "//x"]),
        ("odoo", "config", ["/etc/$(x)", "/etc/`x`", "~/odoo.conf"]),
        (
            "odoo",
            "unit",
            ["", "-x.service", "../x.service", "x.service\n", "a b.service", "x.timer"],
        ),
        ("odoo", "user", ["a b", "Odoo", "-odoo"]),
        ("odoo", "sources", [["/"], ["/opt/../x"], ["relative"], ["/opt/odoo", "/opt/odoo"]]),
        ("odoo", "http_port", [0, 65536, "x"]),
        ("postgres", "name", ["a-b", "a b", "a\n", "a;b", ""]),
        ("postgres", "port", [0, 70000, "x", -1]),
        ("postgres", "version", [9, 11, "13.2", "latest"]),
        ("dns", "zone", ["a;b", "-x", "a..b", "a b", "*.com"]),
        ("dns", "provider", ["A B", "x;", ""]),
        ("recovery", "http_port", [0]),
        (
            "alarms",
            "ping_url",
            [
                "ftp://a.com",
                "http://",
                "http://a.com:x/",
                "http://a.com:0/",
                "http://[a/",
                "http://a..com/",
                "https://ann:secret@a.com/",
            ],
        ),
        ("certificate", "key", ["privkey.pem", "/etc/../x"]),
    ],
)
def test_a_hostile_value_is_refused_with_its_entry_and_field(
    tmp_path: Path, section: str, field: str, values: list[object]
) -> None:
    for value in values:

        def spoil(document: dict[str, Any], value: object = value) -> None:
            document["instances"][ONE].setdefault(section, {})[field] = value

        assert f"instances.{ONE}.{section}" in refusal(tmp_path, spoil), value


@pytest.mark.parametrize("domain", ["-x.com", "a b.com", "a.com;", "a.com\n", "ñ.com", "*.x.com"])
def test_a_hostile_domain_is_refused(tmp_path: Path, domain: str) -> None:
    said = refusal(tmp_path, lambda d: d["instances"][ONE].update(domains=[domain]))

    assert f"instances.{ONE}.domains.0" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("recovery"), "recovery: is missing"),
        (lambda d: d.update(instances=None), "instances: "),
        (lambda d: d["instances"][ONE].update(colour=1), f"{ONE}.colour: is not a key that Relevo"),
        (lambda d: d["recovery"].update(odoo_user="root"), "recovery.odoo_user: "),
        (
            lambda d: d["instances"][ONE]["recovery"].update(odoo_user="root"),
            f"{ONE}.recovery.odoo_user: Odoo never runs as root",
        ),
        (
            lambda d: d["instances"][ONE].update(replication={"user": "postgres"}),
            f"{ONE}.replication.user: is reserved by PostgreSQL",
        ),
        (
            lambda d: d["instances"][ONE].update(replication={"user": "x", "rewind_user": "x"}),
            f"{ONE}.replication.rewind_user: must be another role",
        ),
        (
            lambda d: d["instances"][ONE].update(alarms={"sync_minutes": 9}),
            f"{ONE}.alarms.sync_minutes: must cover at least two copies",
        ),
        (
            lambda d: d["instances"][OTHER]["host"].update(address=d["recovery"]["address"]),
            "is the recovery server itself",
        ),
        (
            lambda d: d["instances"][OTHER]["recovery"].update(http_port=8169),
            "port 8169 is instances.vps_clientes_1.recovery.http_port's already",
        ),
        (
            lambda d: d["instances"][OTHER]["recovery"].update(http_port=443),
            "port 443 is nginx's already",
        ),
        (
            lambda d: d["recovery"].update(peer_address="10.8.0.20"),
            "recovery.public_address: is needed",
        ),
        (
            lambda d: d["instances"][OTHER]["host"].update(name="respaldo"),
            f"{OTHER}.host.name: respaldo is the name of ",
        ),
        (
            lambda d: d["instances"][OTHER].update(domains=d["instances"][ONE]["domains"]),
            f"{OTHER}.domains: cliente1.example.com is {ONE}'s already",
        ),
        (
            lambda d: d["instances"][ONE]["odoo"].update(data_dir="/opt/odoo/odoo/data"),
            "/opt/odoo/odoo/data lies in /opt/odoo/odoo and would be copied twice",
        ),
        (
            lambda d: d["instances"][ONE]["host"].pop("peer_address"),
            "peer_address: is needed, because vps1.example.com is not an IP address",
        ),
        (
            lambda d: d["recovery"].update(address="respaldo.example.com"),
            "recovery.peer_address: is needed, because respaldo.example.com is not an IP address",
        ),
    ],
)
def test_a_mistake_is_said_where_it_is(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    assert said in refusal(tmp_path, change)


def test_every_mistake_is_said_at_once(tmp_path: Path) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["instances"][ONE]["host"]["user"] = "a b"
        document["instances"][OTHER]["host"]["address"] = "a b"

    said = refusal(tmp_path, spoil)
    assert f"{ONE}.host.user" in said
    assert f"{OTHER}.host.address" in said


def test_a_name_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text("recovery: {}\ninstances:\n  a: {}\n  a: {}\n")

    with pytest.raises(Refused, match="a: appears twice"):
        inventory_file.read(path)


def test_what_an_entry_shares_with_another_may_be_said_by_an_anchor(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text("""
recovery: {address: 192.0.2.20}
instances:
  uno: &one
    host: &host {address: 192.0.2.1, user: admin}
    postgres: {version: 15}
    recovery: {postgres_port: 5433, http_port: 8169, longpolling_port: 8172}
  dos: &two
    <<: *one
    host: {<<: *host, address: 192.0.2.2}
    recovery: {postgres_port: 5434, http_port: 8269, longpolling_port: 8272}
  tres:
    <<: *two
    host: {<<: *host, address: 192.0.2.3}
    recovery: {postgres_port: 5435, http_port: 8369, longpolling_port: 8372}
""")

    found = inventory_file.read(path).instances
    assert [(each.host.address, each.host.user) for each in found.values()] == [
        ("192.0.2.1", "admin"), ("192.0.2.2", "admin"), ("192.0.2.3", "admin"),
    ]  # fmt: skip


def test_a_hole_that_nobody_has_filled_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text("recovery:\n  address: {{ address }}\n")

    with pytest.raises(Refused, match=r"needs quotes.* line 2, column 13"):
        inventory_file.read(path)


@pytest.mark.parametrize("text", ["", "[]", "x: [", "\x00", "- a\n- b"])
def test_a_file_that_is_no_inventory_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(text)

    with pytest.raises(Refused):
        inventory_file.read(path)


@pytest.mark.parametrize(
    ("section", "field", "value", "said"),
    [
        ("host", "user", "Juan Perez", "is 'Juan Perez'; it must be lower-case letters, digits"),
        ("host", "name", "-x", "must be letters, digits and . _ -, a letter or digit first"),
        ("postgres", "name", "odoo-prod", "pg_renamecluster VERSION odoo-prod odoo_prod there"),
        ("odoo", "unit", "odoo.socket", "it must be a service, with a name that ends in .service"),
        ("odoo", "user", "juan.perez", "must be lower-case letters, digits and _ -"),
        ("replication", "user", "replica-user", "must be lower-case letters, digits and _"),
    ],
)
def test_what_is_wanted_is_said_in_words(
    tmp_path: Path, section: str, field: str, value: str, said: str
) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["instances"][ONE].setdefault(section, {})[field] = value

    told = refusal(tmp_path, spoil)

    assert f"instances.{ONE}.{section}.{field}: is " in told
    assert said in told
    assert "[" not in told.partition(ONE)[2], "a regular expression is no sentence"


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("*.odoo.example.com", "a wildcard: list each name that customers use instead"),
        ("peña.example.com", "write it as browsers send it, xn--pea-8ma.example.com"),
        ("a.com, b.com", "must be a domain like shop.example.com"),
    ],
)
def test_a_domain_that_is_none_is_said_in_words(tmp_path: Path, domain: str, said: str) -> None:
    assert said in refusal(tmp_path, lambda d: d["instances"][ONE].update(domains=[domain]))


def test_a_name_of_an_instance_is_wanted_in_words(tmp_path: Path) -> None:
    def rename(document: dict[str, Any]) -> None:
        document["instances"]["Vps-1"] = document["instances"].pop(OTHER)

    assert "Vps-1: is 'Vps-1'; it must be lower-case letters" in refusal(tmp_path, rename)


def test_what_is_harmless_is_taken_as_it_is_meant(tmp_path: Path) -> None:
    def write(document: dict[str, Any]) -> None:
        one = document["instances"][ONE]
        one.update(domains="Cliente1.example.com")
        one["host"].update(user="juan.perez")
        one["odoo"].update(unit="odoo14", sources="/opt/odoo/sources")

    entry = read(tmp_path, write).instances[ONE]

    assert entry.domains == ("cliente1.example.com",)
    assert entry.host.user == "juan.perez"
    assert entry.odoo.unit == "odoo14.service"
    assert [str(path) for path in entry.odoo.sources] == ["/opt/odoo/sources"]


UNKNOWN = "is not a key that Relevo knows"
NAMED = "lower-case letters, digits and underscores, a letter first, at most 40"
POLICIES = "'off', 'wait' or 'go_on'"
TYPOS = """\
recovery: {address: 192.0.2.20}
defaults:
  host: {usr: admin}
  postgres: {version: 15}
instances:
  Vps-Clientes-3:
    host: {address: 192.0.2.1}
    recovery: {postgres_port: 5433, http_prot: 8169, longpolling_port: 8172}
  dos:
    host: {address: 192.0.2.2}
    schedules:
      check_seconds: 5
    recovery: {postgres_port: many, http_port: 8269, longpolling_port: 8272}
    replication: {synchronous: sometimes}
"""


def test_each_mistake_is_said_once_with_its_line_its_value_and_what_is_wanted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(TYPOS)

    with pytest.raises(Refused) as refused:
        inventory_file.read(path)

    name = "instances.Vps-Clientes-3"
    assert refused.value.message.replace(f"{path}: ", "").splitlines() == [
        f"line 3: defaults.host.usr: {UNKNOWN}: did you mean user?",
        f"line 6: {name}: is 'Vps-Clientes-3'; it must be {NAMED}: did you mean vps_clientes_3?",
        f"line 8: {name}.recovery.http_prot: {UNKNOWN}: did you mean http_port?",
        "line 12: instances.dos.schedules.check_seconds: is 5; it must be at least 60",
        "line 13: instances.dos.recovery.postgres_port: is 'many'; it must be a whole number",
        f"line 14: instances.dos.replication.synchronous: is 'sometimes'; it must be {POLICIES}",
    ]


def test_what_two_entries_say_together_is_said_with_its_line(tmp_path: Path) -> None:
    clash = lambda d: d["instances"][OTHER]["recovery"].update(http_port=8169)  # noqa: E731

    assert re.search(r"line \d\d: instances.vps_clientes_2.recovery.http_port: port", refusal(
        tmp_path, clash
    ))  # fmt: skip


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ("# none\n", "is empty"),
                                            ("[]", "is not an inventory")])  # fmt: skip
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(text)

    with pytest.raises(Refused, match=f"{said}: it must have the keys recovery and instances"):
        inventory_file.read(path)


def test_all_places_are_named_that_were_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(
        Refused, match=r"no inventory inventory\.yaml or /etc/relevo/inventory\.yaml"
    ):
        inventory_file.read(PLACES[0])
    with pytest.raises(Refused, match=r"no inventory other\.yaml"):
        inventory_file.read(Path("other.yaml"))


def test_no_rule_of_the_inventory_is_said_as_a_regular_expression(tmp_path: Path) -> None:
    for field, value in (("host_key", "x y z"), ("address", "a b"), ("peer_address", "x")):
        told = refusal(tmp_path, lambda d: d["instances"][ONE]["host"].update({field: value}))  # noqa: B023  # it is called at once
        assert f"host.{field}: is {value!r}" in told
        assert "[" not in told


def test_times_are_said_in_the_zone_that_was_named_or_in_that_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def zones(change: Callable[[dict[str, Any]], object]) -> set[str]:
        made = inventory.instances(read(tmp_path, change), Secrets(tmp_path / "secrets.yaml"))
        return {each.timezone for each in made}

    # It remembers what it has found.
    monkeypatch.setattr(tzlocal, "get_localzone_name", lambda: "Europe/Madrid")
    assert zones(lambda _: None) == {"Europe/Madrid"}
    monkeypatch.setattr(tzlocal, "get_localzone_name", lambda: None)  # a container has no localtime
    assert zones(lambda _: None) == {"UTC"}
    assert zones(lambda d: d.update(timezone="America/Montevideo")) == {"America/Montevideo"}
    said = refusal(tmp_path, lambda d: d.update(timezone="Europe/Madird"))
    assert "timezone: is 'Europe/Madird'" in said
    assert "did you mean Europe/Madrid?" in said


def test_a_newer_postgresql_is_taken_and_said_to_be_new(tmp_path: Path) -> None:
    entry = read(tmp_path, lambda d: d["instances"][ONE]["postgres"].update(version=19))

    assert entry.instances[ONE].postgres.version == 19


def _neighbour(document: dict[str, Any], **host: object) -> dict[str, Any]:
    """Put the second instance on the first one's server, beside it."""
    other = document["instances"][OTHER]
    other["host"] = {"address": "192.0.2.11", "port": 5253, **host}
    other["postgres"] = {"version": 15, "name": "second", "port": 5499}
    other["odoo"] = {
        "unit": "second.service", "config": "/etc/second.conf", "data_dir": "/srv/second",
        "sources": [], "http_port": 8999,
    }  # fmt: skip
    found: dict[str, Any] = other
    return found


def test_two_instances_of_one_server_that_share_nothing_are_two(tmp_path: Path) -> None:
    assert list(read(tmp_path, _neighbour).instances) == [ONE, OTHER]


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("odoo", "unit", "odoo"),
        ("odoo", "config", "/etc/odoo.conf"),
        ("odoo", "data_dir", "/var/opt/odoo/data_dir"),
        ("odoo", "data_dir", "/var/opt/odoo/data_dir/second"),
        ("odoo", "http_port", 8069),
        ("postgres", "name", "main"),
        ("postgres", "port", 5432),
    ],
)
@pytest.mark.parametrize(
    "host",
    [
        pytest.param({}, id="by_number"),
        pytest.param({"address": "VPS1.example.com.", "peer_address": "192.0.2.99"}, id="by_name"),
    ],
)
def test_two_instances_of_one_server_that_share_something_are_refused(
    tmp_path: Path, host: dict[str, object], section: str, field: str, value: object
) -> None:
    """The first is known by its name, with the number as its peer_address."""
    said = refusal(tmp_path, lambda d: _neighbour(d, **host)[section].update({field: value}))

    assert f"instances.{OTHER}.{section}.{field}: " in said
    assert f"on this server is {ONE}'s already" in said


def test_servers_behind_one_public_address_are_several(tmp_path: Path) -> None:
    def behind(document: dict[str, Any]) -> None:
        document["instances"][OTHER]["host"] = {
            "address": "vps1.example.com", "peer_address": "192.0.2.12", "port": 2202,
            "public_address": "192.0.2.11",
        }  # fmt: skip

    assert list(read(tmp_path, behind).instances) == [ONE, OTHER]
