"""The doctor: all that is to be mended of a server that was never touched, or of one that is
replicated, in the order of what to mend first; and nothing is changed."""

import base64
import json
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest

from blocks.errors import LoginRefused, Refused, Unreachable
from blocks.host import Host
from blocks.instance import OdooInstance
from blocks.shell import Shell
from deployments import doctor
from deployments.secrets import Secrets
from deployments.settings import Settings
from flows.replicate import replicate
from tasks.doctor import examine
from tasks.doctor.findings import SHOWN, Examined, Finding, State
from tasks.readiness import ahead, at_home, preflight
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, serving, standby
from tests.flows.test_stories_ahead import ORIGIN, RECOVERY

GONE = Unreachable("due did not answer", hint="see that due is up")
CONF = "[options]\ndb_user = odoo\ndata_dir = /var/lib/odoo/.local/share/Odoo\n"
WORDS = base64.b64encode(b"python3\0/usr/bin/odoo\0-c\0/etc/odoo/odoo.conf\0").decode()
PAGE = json.dumps({"http://shop.example.com:8069": {"status": 200, "said": "", "leaf": ""}})
# A server that nobody has touched yet, at which all is as it should be.
UNO: dict[str, Answer] = {
    "true": "", "lacking *": "", "layout *": "", "bound *": 0, "nginx -T": 127,
    "pg_lsclusters --no-header": (
        "13 main 5432 online postgres /var/lib/postgresql/13/main /var/log/x.log\n"
    ),
    "read /etc/odoo/odoo.conf": CONF,
    "started *": f"cmdline={WORDS}\nenviron=\ncwd=/\nowner=odoo\n",
    **ORIGIN,
    "getent passwd odoo": "odoo:x:1:1::/var/lib/odoo:/bin/sh\n",
    "receipts *": "", "systemctl is-active odoo.service": "active\n",
    "systemctl is-enabled odoo.service": "enabled\n",
    "python3 -I -c *Ask web servers*": PAGE,
    "df --output=avail,size,file *": "A B File\n90 100 /var/lib/postgresql/13/main\n",
}  # fmt: skip
UNO["read /etc/odoo/odoo.conf"], UNO["started *"] = CONF, f"cmdline={WORDS}\nenviron=\ncwd=/\n"
DUE: dict[str, Answer] = {
    "true": "", "lacking *": "", "bound *": 0, "look *": "", "receipts *": "", **RECOVERY,
}  # fmt: skip
# What only reads, and is none of the questions that a table knows as such.
READERS = (
    "Ask web servers on this host for a page",  # HTTP, past nginx
    "/usr/local/lib/relevo/guard /etc/relevo/guard/vps_1/config.json ask",  # says, changes nothing
    "relevo-vps_1-engine-verdict",  # the engine's verdict, which is read-only
    "find /var/lib/postgresql/13 -maxdepth 1 ",  # what was kept aside
    "find_spec",  # modules that are installed
    "importlib import metadata",  # packages that are installed
)


def but(table: dict[str, Answer], changes: dict[str, Answer]) -> dict[str, Answer]:
    """A table with other answers, which are looked for first."""
    return changes | {asked: said for asked, said in table.items() if asked not in changes}


def of_one(instance: OdooInstance) -> Examined:
    (examined,) = examine.examine([instance])
    return examined


def wrong(examined: Examined) -> list[tuple[str, State]]:
    return [(e.check, e.state) for e in examined.in_order if e.state not in ("well", "next")]


def said(examined: Examined, check: str) -> Finding:
    return next(each for each in examined.findings if each.check == check)


def acts(host: FakeHost) -> list[str]:
    return [each for each in host.changes if not any(word in each for word in READERS)]


def test_a_server_that_was_never_touched_and_fits_is_well_and_is_left_as_it_was(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno, due = FakeHost("uno", UNO), FakeHost("due", DUE)
    hosts(uno, due)

    found = of_one(instance)

    assert wrong(found) == []
    assert found.code == 0
    assert said(found, "replica").state == "next"
    assert "run relevo replicate vps_1" in said(found, "replica").remedy
    assert acts(uno) == acts(due) == []


def test_every_need_of_a_set_up_is_asked_before_there_is_a_replica(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(FakeHost("uno", UNO), FakeHost("due", DUE))

    asked = {each.check for each in of_one(instance).findings}

    before = {each.name for each in (*preflight.NEEDS, *ahead.NEEDS)}
    assert before <= asked
    assert {each.name for each in at_home.NEEDS if each.before} <= asked
    assert not {each.name for each in at_home.NEEDS if not each.before} & (asked - before)


def test_all_that_is_to_be_mended_is_said_at_once_what_blocks_a_set_up_first(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno = FakeHost("uno", but(UNO, {
        "layout *": "port 8069 is served by nginx.service, not by odoo.service (odoo.unit)\n",
        "SELECT spcname*": '[{"spcname": "fast"}]',
        "systemctl is-enabled odoo.service": "disabled\n",
    }))  # fmt: skip
    due = FakeHost("due", but(DUE, {
        "lacking *": "the command nginx\n", "bound *": 1, "locale -a": "C\n",
        "ss -Hltn *": "LISTEN\n", "systemctl is-active *": "inactive\n",
    }))  # fmt: skip
    hosts(uno, due)

    found = of_one(instance)

    assert wrong(found) == [
        ("what the recovery must have", "replicate"), ("address of the recovery", "replicate"),
        ("layout of the origin", "replicate"), ("locales", "replicate"),
        ("tablespaces", "replicate"), ("HTTP port at the recovery", "replicate"),
        ("Odoo at the origin", "amber"),
    ]  # fmt: skip
    assert all(each.remedy for each in found.findings if each.state == "replicate")
    assert found.code == 1
    assert acts(uno) == acts(due) == []


def test_what_only_stumbles_over_a_missing_program_is_not_said_to_be_broken(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno = FakeHost("uno", but(UNO, {"lacking *": "the command python3\n", "read *": 127}))
    hosts(uno, FakeHost("due", DUE))

    found = of_one(instance)

    states = dict(wrong(found))
    assert states["what the origin must have"] == "replicate"
    fallen = next(each for each in found.findings if each.said == "cannot be asked yet")
    assert "settings of Odoo" in fallen.check
    assert fallen.state == "not asked"
    assert found.code == 2


def test_a_replicated_server_is_asked_for_every_need_and_nothing_is_changed(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Whatever the answers are worth: no question is one that acts."""
    uno, due = (
        FakeHost("uno", {**UNO, "*": ""}),
        FakeHost("due", {"true": "", "locale -a": RECOVERY["locale -a"], **standby(), "*": ""}),
    )
    hosts(uno, due)

    found = of_one(instance)

    asked = {each.check for each in found.findings}
    assert {each.name for each in at_home.NEEDS if not each.acts} <= asked
    assert not {each.name for each in at_home.NEEDS if each.acts} & asked
    assert said(found, "roles").state == "well"
    order = [list(SHOWN).index(each.state) for each in found.in_order]
    assert order == sorted(order)
    assert acts(uno) == acts(due) == []


def test_while_customers_are_served_elsewhere_the_way_home_is_examined(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno = FakeHost("uno", {"*": GONE})
    due = FakeHost("due", {"true": "", **serving(), "*": ""})
    hosts(uno, due)

    found = of_one(instance)

    assert said(found, "roles").state == "failback"
    assert said(found, "ssh to the origin").state == "not asked"
    assert not {each.name for each in ahead.NEEDS} & {each.check for each in found.findings}
    assert acts(due) == []


def test_one_host_that_does_not_answer_stops_only_its_own_instances(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut = LoginRefused("tres does not let us in", hint="admit the key")
    by_name = {
        "uno": FakeHost("uno", UNO), "due": FakeHost("due", DUE),
        "tres": FakeHost("tres", {"*": shut}),
    }  # fmt: skip

    def shell(self: Host) -> Shell:
        return by_name[self.name].shell()

    monkeypatch.setattr(Host, "shell", shell)
    tres = instance.origin.host.model_copy(update={"name": "tres", "address": "192.0.2.3"})
    away = instance.origin.model_copy(update={"host": tres})
    other = instance.model_copy(update={"name": "vps_2", "origin": away})
    third = instance.model_copy(update={"name": "vps_3", "origin": away})

    well, *mute = examine.examine([instance, other, third])

    assert well.code == 0
    for each in mute:
        assert said(each, "ssh to the origin").remedy == "admit the key"
        assert said(each, "what the recovery must have").state == "well"
        assert each.code == 2
    assert by_name["tres"].ran.count("true") == 1, "once for both"


def test_a_host_that_falls_silent_is_asked_no_more(instance: OdooInstance, hosts: Hosts) -> None:
    due = FakeHost("due", but(DUE, {"locale -a": GONE}))
    hosts(FakeHost("uno", UNO), due)

    found = of_one(instance)

    assert said(found, "all other checks").said == "due did not answer"
    assert found.code == 2
    assert due.ran[-1] == "locale -a"


def test_what_is_well_is_counted_or_named(instance: OdooInstance, hosts: Hosts) -> None:
    hosts(FakeHost("uno", UNO), FakeHost("due", DUE))
    found = of_one(instance)
    good = [each for each in found.findings if each.state == "well"]

    short, long = list(found.lines(well=False)), list(found.lines(well=True))

    assert short[0] == long[0] == "vps_1 (uno -> due): all well"
    assert short[-1].split() == ["well", str(len(good)), "checks"]
    assert len(long) == 1 + len(found.findings)


def test_a_program_reads_all_findings_in_the_order_of_what_to_mend(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts(FakeHost("uno", but(UNO, {"lacking *": "the command rsync\n"})), FakeHost("due", DUE))
    given = Namespace(instance="vps_1", all=False, well=False, json=True)
    secrets = Secrets(tmp_path / "secrets.yaml")

    code = doctor.command(given, [instance], secrets, Settings())

    answer = json.loads(capsys.readouterr().out)
    assert (code, answer["version"], answer["command"]) == (1, 1, "doctor")
    (one,) = answer["instances"]
    assert (one["instance"], one["verdict"]) == ("vps_1", "to fix")
    first, *_, last = one["findings"]
    assert (first["check"], first["state"]) == ("what the origin must have", "replicate")
    assert "rsync" in first["said"]
    assert "rsync" in first["remedy"]
    assert (last["state"], last["remedy"]) == ("well", None)


def test_ports_that_nobody_has_allotted_yet_are_next_and_not_judged(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: dict[str, Answer] = {"listens 5433": "LISTEN 0 244 127.0.0.1:5433\n"}
    hosts(FakeHost("uno", UNO), FakeHost("due", but(DUE, taken)))
    given = Namespace(instance="vps_1", all=False, well=False, json=False)
    secrets = Secrets(tmp_path / "secrets.yaml")

    doctor.command(given, [instance], secrets, Settings())
    assert "port 5433 on due is taken" in capsys.readouterr().out
    secrets.portless.add("vps_1")
    doctor.command(given, [instance], secrets, Settings())

    said = capsys.readouterr().out
    assert "next              recovery ports: none are allotted yet" in said
    assert "is taken" not in said


# ------------------------------------------------------------------------- whether it is set up


class Recorder:
    """A module whose every function says that it was called, and does nothing."""

    def __init__(self, name: str, acts: list[str], stumble: str = "") -> None:
        self.name, self.acts, self.stumble = name, acts, stumble

    def __getattr__(self, function: str) -> Callable[..., object]:
        def act(*_: object, **__: object) -> object:
            self.acts.append(f"{self.name}.{function}")
            if self.acts[-1] == self.stumble:
                raise Refused("it is not so")
            return nullcontext()

        return act


@pytest.mark.parametrize("stumble", ["", "guard.prove", "follower.start", "compatibility.require"])
def test_a_set_up_is_noted_when_all_of_it_is_done(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, stumble: str
) -> None:
    hosts(FakeHost("uno"), FakeHost("due"))
    acts: list[str] = []
    story = sys.modules["flows.replicate"]
    for name, value in vars(story).items():
        if isinstance(value, ModuleType):
            monkeypatch.setattr(story, name, Recorder(name, acts, stumble))

    with pytest.raises(Refused) if stumble else nullcontext():
        replicate(instance)

    assert acts[-1] == (stumble or "records.record_success")
    assert acts.count("records.record_success") == (not stumble)


@pytest.mark.parametrize(
    ("cluster", "noted", "is_whole"),
    [(1, "", False), (0, "", False), (0, '{"at": 5.0, "version": 1}', True), (0, "{", False)],
)
def test_a_set_up_that_stopped_half_way_is_no_replica(
    instance: OdooInstance, hosts: Hosts, cluster: int, noted: str, is_whole: bool
) -> None:
    due = FakeHost("due", {"test -e *": cluster, "read */notes/set-up.json": noted})
    hosts(FakeHost("uno"), due)

    assert examine.has_replica(instance) == is_whole
