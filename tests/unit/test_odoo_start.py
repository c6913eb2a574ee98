"""What Odoo at the origin really runs with, from systemd's words and the kernel's."""

import base64
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from blocks.errors import Refused
from tasks.odoo import odoo_conf, odoo_options, odoo_settings, odoo_start, started
from tasks.odoo.odoo_start import Start
from tasks.odoo.started import Started

UNIT = """\
# /lib/systemd/system/odoo.service
[Unit]
After=network.target
[Service]
User=odoo
ExecStart=/usr/bin/odoo --config /etc/odoo/odoo.conf
# /etc/systemd/system/odoo.service.d/cliente1.conf
[Service]
ExecStart=
ExecStart=/usr/bin/odoo --config /etc/odoo/odoo.conf \\
    --db-filter=^cliente1$ --no-database-list --load=base,web,lab_notes
Environment=ODOO_STAGE=production
WorkingDirectory=/opt/odoo
LimitNOFILE=65536
ExecCondition=+/usr/local/lib/relevo/guard /c odoo
"""
WORDS = (
    "/usr/bin/python3", "/usr/bin/odoo", "--config", "/etc/odoo/odoo.conf",
    "--db-filter=^cliente1$", "--no-database-list", "--load=base,web,lab_notes",
)  # fmt: skip
ENVIRON = ("HOME=/var/lib/odoo", "INVOCATION_ID=5", "LANG=C.UTF-8", "ODOO_STAGE=production")
SOURCE, PROGRAM = PurePosixPath("/opt/odoo/sources"), PurePosixPath("/usr/bin/odoo")


def packed(*words: str) -> str:
    return base64.b64encode("".join(f"{word}\0" for word in words).encode()).decode()


def said(*, words: tuple[str, ...] = WORDS, environ: tuple[str, ...] = ENVIRON) -> str:
    """What the script says of a unit that runs."""
    unit = base64.b64encode(UNIT.encode()).decode()
    return (
        f"User=odoo\nExecStart={{ path=x ; argv[]=x y ; }}\nunit={unit}\n"
        f"cmdline={packed(*words)}\nenviron={packed(*environ)}\ncwd=/opt/odoo\nowner=odoo\n"
    )


def copied(path: PurePosixPath) -> PurePosixPath:
    inside = path.is_relative_to(SOURCE)
    return PurePosixPath("/srv/vps_1/sources") / path.relative_to("/") if inside else path


def judged(text: str, found: Started) -> Start:
    options = odoo_start.options_of(found, PROGRAM)
    assert options is not None
    return odoo_start.judge(
        text, found, odoo_options.read(options), unit="odoo.service", user="odoo",
        python=PurePosixPath("/usr/bin/python3"), copied=copied, sources=(SOURCE,),
        rooms={PurePosixPath("/var/lib/odoo"): PurePosixPath("/srv/vps_1/home")},
    )  # fmt: skip


def test_what_a_drop_in_says_is_carried_over() -> None:
    start = judged("[options]\nlist_db = True\nworkers = 2\n", started.read(said()))

    options = odoo_conf.parse(start.text)
    assert options == {
        "dbfilter": "^cliente1$", "list_db": "False", "server_wide_modules": "base,web,lab_notes",
        "workers": "2",
    }  # fmt: skip
    assert start.environment == {"LANG": "C.UTF-8", "ODOO_STAGE": "production"}
    assert start.folder == PurePosixPath("/srv/vps_1/sources/opt/odoo")
    assert start.wrong == ()
    assert start.remarks == ("not carried over from odoo.service: LimitNOFILE",)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        pytest.param(("-u", "all"), "starts Odoo with -u", id="an_update_at_each_start"),
        pytest.param(("--dev=all",), "starts Odoo with --dev", id="a_developer_s"),
        pytest.param(("--new-option=s3cret",), "starts Odoo with --new-option", id="unknown"),
        pytest.param(("shell",), "starts Odoo with shell", id="another_command"),
        pytest.param(("s3cret !",), "a word that is not an option", id="a_stray_word"),
    ],
)
def test_what_odoo_conf_cannot_say_is_named_and_its_value_is_not(
    more: tuple[str, ...], named: str
) -> None:
    start = judged("", started.read(said(words=(*WORDS, *more))))

    assert len(start.wrong) == 1
    assert named in start.wrong[0]
    assert "s3cret" not in start.wrong[0]


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("PGSERVICE=s3cret", "PGSERVICE in the environment of odoo.service is read by PostgreSQL"),
        ("PGOPTIONS=-c s3cret=1", "PGOPTIONS"),
        ("PGDATABASE=s3cret", "PGDATABASE"),
        ("ODOO_WORKERS=4", "ODOO_WORKERS in the environment of odoo.service is an option of Odoo"),
        ("CERT=/home/x/cert.pem", "CERT in the environment of odoo.service names /home/x/cert.pem"),
        ("KEY=a\nb", "KEY in the environment of odoo.service holds control characters"),
    ],
)
def test_an_environment_that_cannot_go_along_is_named(variable: str, named: str) -> None:
    start = judged("", started.read(said(environ=(*ENVIRON, variable))))

    assert len(start.wrong) == 1
    assert named in start.wrong[0]
    assert "s3cret" not in start.wrong[0]


@pytest.mark.parametrize(
    ("conf", "words", "environ", "port"),
    [
        pytest.param("db_port = 5440", (), (), "5440", id="odoo_conf"),
        pytest.param("db_port = False", (), ("PGPORT=5440",), "5440", id="the_environment"),
        pytest.param("db_port = 5432", ("--db_port", "5440"), (), "5440", id="the_command_line"),
        pytest.param("db_port = 5440", ("--db_port=5432",), ("PGPORT=1",), "", id="the_line_wins"),
        pytest.param("", (), (), "", id="nothing"),
    ],
)
def test_the_port_of_the_cluster_is_taken_from_wherever_odoo_has_it(
    conf: str, words: tuple[str, ...], environ: tuple[str, ...], port: str
) -> None:
    found = started.read(said(words=(*WORDS, *words), environ=environ))
    start = judged(f"[options]\n{conf}\n", found)

    differences = odoo_conf.differences(
        start.text, data_dir=PurePosixPath("/d"), http_port=8069, db_port=5432
    )

    wanted = [f"says db_port = {port}, and the inventory postgres.port: 5432"] if port else []
    assert list(differences) == wanted
    assert start.wrong == ()


def test_where_file_and_environment_name_two_ports_nobody_guesses() -> None:
    """Odoo 19 takes the environment's, earlier releases the file's."""
    found = started.read(said(environ=("PGPORT=5440",)))

    start = judged("[options]\ndb_port = 5432\n", found)

    assert start.wrong == (
        "PGPORT in the environment of odoo.service is another than db_port of odoo.conf",
    )


def test_another_user_or_python_than_the_inventory_s_is_named() -> None:
    found = started.read(said(words=("/opt/odoo/venv/bin/python3", *WORDS[1:])))
    start = judged("", Started(found.words, user="root"))

    assert start.wrong == (
        "odoo.service runs as root, and the inventory says odoo.user: odoo",
        (
            "odoo.service runs /opt/odoo/venv/bin/python3, and the inventory says odoo.python: "
            "/usr/bin/python3"
        ),
    )


def test_another_program_has_no_options_of_odoo() -> None:
    found = started.read(said(words=("/bin/sh", "/opt/odoo/start.sh")))

    assert odoo_start.options_of(found, PROGRAM) is None


def test_a_unit_that_is_down_is_read_as_far_as_it_says_all() -> None:
    text = (
        "User=odoo\nWorkingDirectory=!/var/lib/odoo\nEnvironment=A=1 'B=x y'\n"
        "ExecStart={ path=/usr/bin/odoo ; argv[]=/usr/bin/odoo -c /e --workers 3 ; pid=0 }\n"
    )
    found = started.read(text + "EnvironmentFiles=\nunit=\n")
    vague = started.read(text + "EnvironmentFiles=/etc/default/odoo (ignore_errors=yes)\nunit=\n")

    assert (found.runs, found.unclear) == (False, "")
    assert found.environment == {"A": "1", "B": "x y"}
    assert odoo_conf.workers(judged("", found).text) == 3
    assert judged("", found).folder == PurePosixPath("/srv/vps_1/home")
    assert vague.unclear == "EnvironmentFile=/etc/default/odoo"


def test_a_process_that_runs_is_read_for_real(tmp_path: Path) -> None:
    """With a systemctl of our own, and no Odoo: the kernel's files have no size."""
    words = [sys.executable, "-c", "import time; time.sleep(60)", "--db-filter=^a$", "x y"]
    with subprocess.Popen(words, env={"ODOO_STAGE": "a b", "HOME": "/"}, cwd=tmp_path) as process:
        systemctl = tmp_path / "systemctl"
        systemctl.write_text(
            f"#!/bin/sh\ncase $* in *MainPID*) echo {process.pid} ;; *) echo '[Service]' ;; esac\n"
        )
        systemctl.chmod(0o755)
        env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        argv = ["sh", "-c", odoo_settings.STARTED, "started", "odoo.service", "1"]
        try:
            done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
        finally:
            process.kill()

    found = started.read(done.stdout)
    assert (found.runs, found.words) == (True, tuple(words))
    assert found.environment == {"ODOO_STAGE": "a b"}
    assert found.folder == PurePosixPath(tmp_path)


def test_a_file_that_is_no_odoo_conf_is_refused_without_a_word_of_it() -> None:
    for text in ("db_password = s3cret\n", "[options]\ns3cret\n"):
        with pytest.raises(Refused, match=r"its line \d is neither") as refused:
            odoo_conf.parse(text)
        assert "s3cret" not in str(refused.value)


def test_the_runner_of_jobs_is_told_of_no_port_of_the_origin_s() -> None:
    environ = ("ODOO_QUEUE_JOB_PORT=8069", "ODOO_QUEUE_JOB_CHANNELS=root:2",
               "ODOO_QUEUE_JOB_JOBRUNNER_DB_HOST=127.0.0.1")  # fmt: skip
    start = judged("[options]\n", started.read(said(environ=environ)))

    assert start.environment == {"ODOO_QUEUE_JOB_CHANNELS": "root:2"}


@pytest.mark.parametrize(("threads", "count"), [("0", 1), ("2", 0)])
def test_scheduled_actions_that_another_unit_runs_are_missed_by_day(
    threads: str, count: int
) -> None:
    start = judged(f"[options]\nmax_cron_threads = {threads}\n", Started(WORDS, user="odoo"))

    assert len([each for each in start.remarks if "scheduled actions" in each]) == count
