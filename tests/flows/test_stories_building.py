"""Odoo is built beside what a failover would use, and put in its place when it has been tried."""

import json
import subprocess
import sys

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.build import build, freeze, packages
from tasks.odoo import http
from tasks.run import terminal
from tasks.serving import site, site_files
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, standby

FREEZE = "cloud-init==24.1\npsycopg2==2.8.6\nphonenumbers==8.12.1\nufw==0.36\n"
FRESH = "/srv/vps_1/venv.new"
NEEDED = "phonenumbers==8.12.1"
USED = "read /srv/vps_1/imported"
WANTED = "read /srv/vps_1/requirements.txt"


def tried(*lacking: str) -> str:
    bad = [f"lab: ModuleNotFoundError: No module named {name!r}" for name in lacking]
    return "RELEVO " + json.dumps({"bad": bad, "lacking": lacking, "asked": []}) + "\n"


def origin(packages: str = f"{NEEDED}\n") -> FakeHost:
    """A host whose Odoo runs with the system's Python."""
    return FakeHost(
        "uno", {"*sys.base_prefix*": "False 3.9\n", "*metadata.distributions*": packages}
    )


def recovery(*verdicts: str) -> dict[str, Answer]:
    """A recovery host on which one database of Odoo's is, and what trying it comes to."""
    return {
        "read /srv/vps_1/requirements.txt": FREEZE,
        "read /srv/vps_1/new/*": "",
        "read /srv/vps_1/venv/pyvenv.cfg": "include-system-site-packages = true\n",
        "install /srv/vps_1/new/imported *": 0,
        f"test -e {FRESH}/bin/python": [1, 1, 1, 0],
        "SELECT d.datname*": json.dumps(
            [{"name": "shop", "owner": "odoo", "role": "odoo", "may": True}]
        ),
        "SELECT EXISTS *": json.dumps([{"has": True}]),
        "SELECT name FROM public.ir_module_module*": json.dumps([{"name": "lab"}]),
        "python3 *sys.base_prefix*": "False 3.9\n",
        "systemd-run *--version": "Odoo Server 14.0\n",
        "systemd-run *RELEVO*": list(verdicts),
        "*pip freeze --all": "psycopg2==2.8.6\n",
        "*pip install*": 0,
        "cp -a *": 0,
        "make_directory *": 0,
        "rm -rf *": 0,
        "systemd-analyze *": 0,
        **standby(),
    }


def test_only_what_odoo_turns_out_to_lack_is_installed(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Packages of the system's own, which no index has, are none of Odoo's."""
    due = FakeHost("due", recovery(tried("phonenumbers"), tried()))
    hosts(origin(), due)

    with terminal.without_server():
        build.try_out(instance)

    installed = [asked for asked in due.changes if "pip install" in asked]
    assert installed == [
        f"{FRESH}/bin/python -m pip install --no-input --disable-pip-version-check -- {NEEDED}"
    ]
    assert any(asked.startswith("cp -a /srv/vps_1/venv/. ") for asked in due.changes)


def test_an_environment_of_its_own_is_taken_over_though_its_packages_disagree(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Whoever installed gevent without the greenlet that it asks for has an Odoo that runs."""
    has = {"*pip freeze --all": "greenlet==3.0.0\npip==23.0.1\n"}
    said = {"read /srv/vps_1/requirements.txt": "gevent==23.9.1\ngreenlet==2.0.2\npip==23.0.1\n"}
    due = FakeHost("due", {**recovery(tried()), **has, **said})
    hosts(FakeHost("uno", {"*sys.base_prefix*": "True 3.9\n"}), due)

    with terminal.without_server():
        build.try_out(instance)

    (installed,) = (asked for asked in due.changes if "pip install" in asked)
    assert installed.endswith(" --no-deps -- gevent==23.9.1 greenlet==2.0.2")


@pytest.mark.parametrize(("is_there", "made_by"), [(True, "python3.10"), (False, "python3")])
def test_an_environment_is_made_with_the_python_of_the_origin_s_where_that_is_there(
    instance: OdooInstance,
    hosts: Hosts,
    caplog: pytest.LogCaptureFixture,
    is_there: bool,
    made_by: str,
) -> None:
    made: dict[str, Answer] = {
        "test -e /srv/vps_1/venv/bin/python": 1,
        "able python3.10": 0 if is_there else 127,
        "python3* -m venv *": 0,
    }
    due = FakeHost("due", {**made, **recovery(tried())})
    hosts(FakeHost("uno", {"*sys.base_prefix*": "True 3.10\n"}), due)

    with terminal.without_server():
        build.try_out(instance)

    assert f"{made_by} -m venv {FRESH}" in due.changes
    assert ("runs with Python 3.10, which due has not" in caplog.text) is not is_there


@pytest.mark.parametrize(
    ("said", "remarks"),
    [
        ("system\n", ["Odoo uses those of the system; all 2 that it imports are there"]),
        ("lxml==4.9.3\npytz==2023.03\n", ["all 2 of the origin are there"]),
        (
            "lxml==5.0\npytz==2023.3\n",
            [
                "all 2 of the origin are there",
                "uno has other versions of Python packages of Odoo: lxml==4.9.3; run build-service",
            ],
        ),
    ],
)
def test_packages_of_the_origin_are_looked_for_by_name_and_another_version_is_a_remark(
    instance: OdooInstance, hosts: Hosts, said: str, remarks: list[str]
) -> None:
    hosts(
        FakeHost("uno"),
        FakeHost(
            "due",
            {
                "python3 *metadata*": said,
                USED: "lxml\npytz\n",
                WANTED: "lxml==4.9.3\npytz==2023.3\n",
            },
        ),
    )

    assert packages.measure(instance) == remarks


def test_a_package_that_only_the_origin_has_is_said_by_day(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """The schedules bring a new module's sources, and it would not start in the night."""
    said: dict[str, Answer] = {"python3 *metadata*": "lxml==5.0\n", WANTED: FREEZE, USED: ""}
    hosts(FakeHost("uno"), FakeHost("due", said))

    with pytest.raises(Refused, match=r"that it has on uno: cloud-init==24\.1, phonenumbers==8"):
        packages.measure(instance)


def test_a_package_that_odoo_imported_and_that_is_gone_is_named(
    instance: OdooInstance, hosts: Hosts
) -> None:
    said: dict[str, Answer] = {
        "python3 *metadata*": "system\nlost lxml\n",
        USED: "lxml\npytz\n",
    }
    hosts(FakeHost("uno"), FakeHost("due", said))

    with pytest.raises(Refused, match=r"has lost Python packages that it imports: lxml\n"):
        packages.measure(instance)


def test_what_odoo_imports_is_not_known_before_a_build_of_today(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(FakeHost("uno"), FakeHost("due", {"python3 *metadata*": "system\n", USED: ""}))

    _, remark = packages.measure(instance)

    assert "run build-service" in remark


def test_the_packages_of_an_environment_are_listed_without_running_any() -> None:
    names = ("pytest", "psycopg", "typing_extensions", "never_heard_of")
    argv = (sys.executable, "-I", "-S", "-c", packages.LISTED, sys.prefix, *names)
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "pytest" in freeze.parse(said)
    lost = [line for line in said.splitlines() if line.startswith(packages.LOST)]
    assert lost == ["lost never_heard_of"]


def test_what_the_origin_has_not_either_is_named_and_nothing_is_installed(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = FakeHost("due", recovery(tried("nowhere")))
    hosts(origin(packages=""), due)

    with terminal.without_server(), pytest.raises(Refused, match="No module named 'nowhere'"):
        build.try_out(instance)

    assert not any("pip install" in asked for asked in due.changes)
    changes = [asked for asked in due.changes if not asked.startswith("systemd-run ")]
    assert all(FRESH in asked or "pip freeze" in asked for asked in changes), changes


@pytest.mark.parametrize(("workers", "port"), [("workers = 0", 8169), ("workers = 2", 8172)])
def test_the_live_chat_goes_to_a_port_that_odoo_opens_and_is_asked_for(
    instance: OdooInstance,
    hosts: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    workers: str,
    port: int,
) -> None:
    """Without workers Odoo opens no second port: nginx would answer 502 for it."""
    asked: list[str] = []

    def pages(_place: Place, urls: list[str], *, path: str) -> dict[str, http.Page]:
        asked.append(path)
        return dict.fromkeys(urls, http.Page(502 if path == "/websocket" else 200))

    monkeypatch.setattr(http, "pages", pages)
    conf: dict[str, Answer] = {
        "read /srv/vps_1/odoo.conf": f"[options]\n{workers}\n",
        "test -e *": 0,
    }
    hosts(FakeHost("uno"), FakeHost("due", conf))

    with terminal.without_server():
        (serving,) = (
            text for path, text in site_files.rendered(instance).items() if path.stem == "serving"
        )
        said = site._silent(instance)

    assert f"upstream odoo_vps_1_longpolling {{ server 127.0.0.1:{port}; }}" in serving
    assert asked == ["/web/login", "/longpolling/poll", "/websocket"]
    assert said == "nginx on due answers 502 for shop.example.com/websocket"
