"""Odoo is built beside what a failover would use, and put in its place when it has been tried."""

import base64
import json
import socket
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.build import (
    build,
    carried,
    environment,
    packages,
    programs_compared,
    programs_of_odoo,
)
from tasks.odoo import http, odoo_start
from tasks.run import terminal
from tasks.serving import site, site_files
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, standby

FREEZE = "cloud-init==24.1\npsycopg2==2.8.6\nphonenumbers==8.12.1\nufw==0.36\n"
FRESH = "/srv/vps_1/venv.new"
NEEDED = "phonenumbers==8.12.1"
IMPORTS = "systemd-run *BaseException*"
USED = "read /srv/vps_1/imported"
WANTED = "read /srv/vps_1/requirements.txt"


def tried(*lacking: str) -> str:
    bad = [f"lab: ModuleNotFoundError: No module named {name!r}" for name in lacking]
    return "RELEVO " + json.dumps({"bad": bad, "lacking": lacking, "asked": []}) + "\n"


def imports(packages: str = "", *, shares: bool = False, **others: object) -> str:
    """What the environment's own Python says of itself."""
    said = {
        "python": "3.9", "of": ["3.9"], "shares": shares, "packages": packages.split(), "lost": {},
        "pip": True, **others,
    }  # fmt: skip
    return f"RELEVO {json.dumps(said)}\n"


ALONE: dict[str, Answer] = {IMPORTS: imports()}


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
        USED: "",
        IMPORTS: imports(shares=True),
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
    (asked,) = installed
    assert asked.startswith(f"{FRESH}/bin/python -m pip install --no-input ")
    assert asked.endswith(f" --no-cache-dir -- {NEEDED}")
    assert any(asked.startswith("cp -a /srv/vps_1/venv/. ") for asked in due.changes)


def test_an_environment_of_its_own_is_taken_over_though_its_packages_disagree(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Whoever installed gevent without the greenlet that it asks for has an Odoo that runs."""
    has = {"*pip freeze --all": "greenlet==3.0.0\npip==23.0.1\n"}
    said = {"read /srv/vps_1/requirements.txt": "gevent==23.9.1\ngreenlet==2.0.2\npip==23.0.1\n"}
    due = FakeHost("due", {**recovery(tried()), **has, **said, **ALONE})
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
    due = FakeHost("due", {**made, **recovery(tried()), **ALONE})
    hosts(FakeHost("uno", {"*sys.base_prefix*": "True 3.10\n"}), due)

    with terminal.without_server():
        build.try_out(instance)

    assert f"{made_by} -m venv {FRESH}" in due.changes
    assert ("runs with Python 3.10, which due has not" in caplog.text) is not is_there


@pytest.mark.parametrize(("own", "options"), [(True, ""), (False, "--system-site-packages ")])
def test_an_environment_is_made_anew_where_the_origin_s_shares_the_system_s_packages_or_no_more(
    instance: OdooInstance, hosts: Hosts, own: bool, options: str
) -> None:
    """Odoo of pyenv, or of a Python built by hand, was once taken for one of the system's."""
    said: dict[str, Answer] = {IMPORTS: imports(shares=own), "python3 -m venv *": 0}
    due = FakeHost("due", {**said, **recovery(tried()), **said})
    hosts(FakeHost("uno", {"*sys.base_prefix*": f"{own} 3.9\n"}), due)

    with terminal.without_server():
        build.try_out(instance)

    assert f"python3 -m venv {options}{FRESH}" in due.changes


def test_a_venv_that_shares_the_system_s_packages_gets_its_own_in_their_versions(
    instance: OdooInstance, hosts: Hosts
) -> None:
    own: dict[str, Answer] = {"*startswith(venv)*": "psycopg2==2.9.9\n"}
    due = FakeHost("due", recovery(tried()))
    hosts(FakeHost("uno", {**own, "*sys.base_prefix*": "False 3.9\n"}), due)

    with terminal.without_server():
        build.try_out(instance)

    (installed,) = (asked for asked in due.changes if "pip install" in asked)
    assert installed.endswith(" --no-deps -- psycopg2==2.9.9")


@pytest.mark.parametrize(("options", "own"), [((), "True"), (("--system-site-packages",), "False")])
def test_a_python_says_whether_its_packages_are_its_own(
    tmp_path: Path, options: tuple[str, ...], own: str
) -> None:
    argv = ("/usr/bin/python3", "-m", "venv", "--without-pip", *options, str(tmp_path / "venv"))
    subprocess.run(argv, check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    (site_packages,) = tmp_path.glob("venv/lib/python3*/site-packages")
    metadata = site_packages / "mine-1.5.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.5\n")

    said = [
        subprocess.check_output((each, "-c", program), text=True).split()
        for each in (python, "/usr/bin/python3")
        for program in (environment.WHICH, environment.BESIDE)
    ]

    assert (said[0][0], said[1], said[2][0], said[3]) == (own, ["mine==1.5"], "False", [])


@pytest.mark.parametrize(
    ("said", "remarks"),
    [
        (
            imports(shares=True),
            ["Odoo uses those of the system; all 2 that it imports are there"],
        ),
        (imports("lxml==4.9.3 pytz==2023.03"), ["all 2 of the origin are there"]),
        (
            imports("lxml==5.0 pytz==2023.3"),
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
                IMPORTS: said,
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
    said: dict[str, Answer] = {IMPORTS: imports("lxml==5.0"), WANTED: FREEZE, USED: ""}
    hosts(FakeHost("uno"), FakeHost("due", said))

    with pytest.raises(Refused, match=r"that it has on uno: cloud-init==24\.1, phonenumbers==8"):
        packages.measure(instance)


GONE = {"lxml.etree": "ImportError: libxml2.so.2: cannot open shared object file"}


@pytest.mark.parametrize(
    ("said", "sentence", "hint"),
    [
        (
            imports(python="3.13", of=["3.11"]),
            "its Python is 3.13 now, and its environment was made for 3.11",
            "run build-service, which makes a new environment",
        ),
        (
            imports(python="3.13", of=[], lost={"lxml": "ModuleNotFoundError: none"}),
            "its Python is 3.13 now, and its environment was made for none",
            "run build-service, which makes a new environment",
        ),
        (
            imports("lxml==4.9.3", lost=GONE),
            r"it has lost Python packages that it imports: lxml\.etree \(ImportError: libxml2",
            "run build-service, which makes a new environment",
        ),
        (
            imports(shares=True, lost={"lxml": "ModuleNotFoundError: No module named 'lxml'"}),
            "it has lost Python packages that it imports: lxml ",
            r"install them on due again \(Debian",
        ),
        (1, "its environment has a Python that does not work: it ended with status 1", "run build"),
    ],
)
def test_an_environment_with_which_odoo_would_end_at_its_first_import_is_red_by_day(
    instance: OdooInstance, hosts: Hosts, said: Answer, sentence: str, hint: str
) -> None:
    """All of its files were there, and a check that looked for files was green."""
    due = FakeHost("due", {IMPORTS: said, USED: "lxml\nlxml.etree\n", WANTED: ""})
    hosts(FakeHost("uno"), due)

    with pytest.raises(Refused, match=rf"(?s){sentence}.*HINT: {hint}"):
        packages.measure(instance)
    (asked,) = (each for each in due.ran if each.startswith("systemd-run"))
    assert f"--uid={instance.recovery.odoo.user}" in asked
    assert "PrivateNetwork=yes" in asked
    assert "ReadWritePaths" not in asked
    assert "ProtectHome=read-only" not in asked
    assert asked.endswith(" lxml lxml.etree")


def test_an_environment_below_home_is_seen_by_who_asks_it(
    instance: OdooInstance, hosts: Hosts
) -> None:
    at_home = instance.model_copy(update={"directory": PurePosixPath("/home/relevo/vps_1")})
    due = FakeHost("due", {IMPORTS: imports(shares=True), "read *": "lxml\n"})
    hosts(FakeHost("uno"), due)

    packages.measure(at_home)

    (asked,) = (each for each in due.ran if each.startswith("systemd-run"))
    assert asked.index("ProtectHome=yes") < asked.index("ProtectHome=read-only")


@pytest.mark.parametrize(
    "said",
    [
        imports(python="3.13", of=["3.11"]), imports(python="3.8", of=["3.8"]), imports(lost=GONE),
        imports(pip=False), 1,
    ],
)  # fmt: skip
def test_a_build_makes_a_new_environment_in_place_of_one_that_does_not_work_any_more(
    instance: OdooInstance, hosts: Hosts, said: Answer
) -> None:
    """It said that the one which was there was of the right Python, and asked its pip in vain."""
    made: dict[str, Answer] = {IMPORTS: said, "python3 -m venv *": 0, **recovery(tried())}
    due = FakeHost("due", {**made, f"test -e {FRESH}/bin/python": 0} | {IMPORTS: said})
    hosts(FakeHost("uno", {"*sys.base_prefix*": "True 3.9\n"}), due)

    with terminal.without_server():
        build.try_out(instance)

    assert f"python3 -m venv {FRESH}" in due.changes
    assert not any("/srv/vps_1/venv/bin/python -m pip" in each for each in due.ran)
    assert not any(each.startswith("cp ") for each in due.changes)


def test_a_system_that_makes_no_environment_is_told_what_it_lacks(
    instance: OdooInstance, hosts: Hosts
) -> None:
    made: dict[str, Answer] = {**recovery(tried()), IMPORTS: 1, "python3 -m venv *": 1}
    hosts(FakeHost("uno", {"*sys.base_prefix*": "True 3.9\n"}), FakeHost("due", made))

    with terminal.without_server(), pytest.raises(Refused, match="HINT: install python3-venv on"):
        build.try_out(instance)


def test_what_a_trial_imported_and_nothing_imports_by_itself_is_not_asked_for_by_day(
    instance: OdooInstance, hosts: Hosts
) -> None:
    did = '{"bad": [], "used": ["_hack", "lxml", "lxml.etree"]}'
    answers = recovery(f"RELEVO {did}\n")
    alone = imports(shares=True, lost={"_hack": "AttributeError: only at the start"})
    due = FakeHost("due", {**answers, IMPORTS: [imports(shares=True), alone]})
    hosts(origin(), due)

    with terminal.without_server():
        build.try_out(instance)

    assert due.wrote == ["lxml\nlxml.etree\n"]


def test_what_odoo_imports_is_not_known_before_a_build_of_today(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(FakeHost("uno"), FakeHost("due", {IMPORTS: imports(shares=True), USED: ""}))

    _, remark = packages.measure(instance)

    assert "run build-service" in remark


def test_what_the_origin_has_not_either_is_named_and_nothing_is_installed(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = FakeHost("due", recovery(tried("nowhere")))
    hosts(origin(packages=""), due)

    with terminal.without_server(), pytest.raises(Refused, match="No module named 'nowhere'"):
        build.try_out(instance)

    assert not any("pip install" in asked for asked in due.changes)
    changes = [asked for asked in due.changes if not asked.startswith("systemd-run ")]
    harmless = (FRESH, "pip freeze", "sys.base_prefix")
    assert all(any(each in asked for each in harmless) for asked in changes), changes


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


def test_mail_that_nobody_on_the_recovery_host_would_take_is_said(
    instance: OdooInstance, hosts: Hosts
) -> None:
    databases = [
        {"name": name, "owner": "odoo", "role": "odoo", "may": True} for name in ("a", "b")
    ]
    answers: dict[str, Answer] = {
        "tools *": "", "SELECT d.datname*": json.dumps(databases),
        "read /srv/vps_1/odoo.conf": "[options]\n", "SELECT EXISTS *": '[{"has": true}]',
        "SELECT CASE *": ['[{"local": true}]', '[{"local": false}]'], **standby(),
    }  # fmt: skip
    hosts(FakeHost("uno", {"tools *": "listens 127.0.0.1:25\n"}), due := FakeHost("due", answers))
    said = programs_of_odoo.measure(instance)[1:]

    assert [each.partition(" of their own")[0] for each in said] in (
        ["a send mail by port 25"], ["b send mail by port 25"],
    )  # fmt: skip
    hosts(
        FakeHost("uno", {"tools *": "listens 127.0.0.1:25\n"}),
        FakeHost("due", {"tools *": "listens 127.0.0.1:25\n"}),
    )
    assert programs_of_odoo.measure(instance)[1:] == []
    assert any("public.ir_mail_server" in asked for asked in due.ran)


def test_a_service_of_its_own_host_that_odoo_uses_is_looked_for_on_the_other(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Without the store of its sessions Odoo answers a login by name, and no browser."""
    said = (
        "listens 127.0.0.1:6379\nlistens 0.0.0.0:8069\nconnected 127.0.0.1:50412 127.0.0.1:6379\n"
        "connected 127.0.0.1:50414 127.0.0.1:5432\nconnected 127.0.0.1:8069 127.0.0.1:40000\n"
    )
    hosts(FakeHost("uno", {"tools *": said}), FakeHost("due", {"tools *": ""}))
    _, remark = programs_of_odoo.measure(instance)
    assert remark.startswith("Odoo on uno is connected to port 6379 of its own host, and")

    redis = {"tools *": "listens 127.0.0.1:6379\n"}
    hosts(FakeHost("uno", {"tools *": said}), FakeHost("due", redis))
    assert len(programs_of_odoo.measure(instance)) == 1


def test_connections_are_read_from_what_ss_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            argv = ["sh", "-c", programs_of_odoo.FOUND, "tools"]
            found = programs_compared.read(subprocess.check_output(argv, text=True))

    assert port in found.listens
    assert port in found.calls


@pytest.mark.parametrize(
    ("conf", "environ", "lost"),
    [
        ("", "", ""),
        ("list_db = False\nadmin_passwd = new\n", "", "admin_passwd of odoo.conf, list_db of od"),
        ("", "STAGE=production", "STAGE of the environment"),
    ],
)
def test_settings_that_are_others_since_the_last_build_are_named_and_not_their_values(
    instance: OdooInstance, hosts: Hosts, conf: str, environ: str, lost: str
) -> None:
    """A forced failover would serve with those of yesterday: with the list of databases open."""
    words = base64.b64encode(b"/usr/bin/odoo\0-c\0/etc/odoo/odoo.conf\0").decode()
    uno: dict[str, Answer] = {
        "read /etc/odoo/odoo.conf": f"[options]\nadmin_passwd = old\n{conf}",
        "started *": f"cmdline={words}\nowner=odoo\ncwd=/\n"
        f"environ={base64.b64encode(environ.encode()).decode()}\n",
        "getent passwd odoo": "odoo:x:1:1::/var/lib/odoo:/bin/sh\n",
    }
    built = build._conf(instance, "[options]\nadmin_passwd = old\n", "odoo")
    due: dict[str, Answer] = {
        "read /srv/vps_1/odoo.conf": built,
        "read /srv/vps_1/environment": odoo_start.environment_file({}),
    }
    hosts(FakeHost("uno", uno), FakeHost("due", due))

    if not lost:
        assert carried.measure(instance) == ["odoo.service can be carried over"]
        return
    with pytest.raises(Refused, match=f"otherwise than on uno: {lost}") as said:
        carried.measure(instance)
    assert "new" not in said.value.message
    assert "production" not in said.value.message
