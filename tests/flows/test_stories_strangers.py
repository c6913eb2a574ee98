"""What others have at the origin, their restart, their slots and their roles, stays theirs."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.logins import login, scram
from tasks.odoo import odoo_settings, service
from tasks.postgres import cluster_settings
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import SECRETS, Hosts, control

RESTART = "systemctl restart postgresql@13-main.service"
SETTINGS = {
    "wal_level": "replica", "listen_addresses": "*", "max_wal_senders": "10",
    "max_replication_slots": "10", "wal_keep_size": "0", "max_slot_wal_keep_size": "-1",
    "ssl": "on",
}  # fmt: skip


def configured(*waiting: str, slots: tuple[str, ...] = ()) -> dict[str, Answer]:
    """An origin whose settings are written, of which some wait for a restart."""
    rows = [{"name": name, "setting": value} for name, value in SETTINGS.items()]
    return {
        "SELECT slot_name FROM pg_replication_slots *": json.dumps(
            [{"slot_name": name} for name in slots]
        ),
        "SELECT name FROM pg_settings WHERE pending_restart": json.dumps(
            [{"name": name} for name in waiting]
        ),
        "SELECT name, setting *": json.dumps(rows),
        "read /etc/postgresql/13/main/conf.d/relevo.conf": "",
        "install *": "same",
        "SELECT bool_or(change *": "f\n",
        "SELECT name, applied, error *": '[{"name": "wal_level", "applied": true, "error": null}]',
        RESTART: 0,
        "look 13 main *": "5432 online f /pg/main\n" + control("in_production"),
    }


def configure(instance: OdooInstance) -> None:
    with terminal.without_server():
        cluster_settings.configure(instance, instance.origin, allow_restart=True)


def test_a_setting_that_somebody_has_prepared_waits_for_somebody(
    instance: OdooInstance, hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory for tonight is no reason to stop production at noon."""
    uno = FakeHost("uno", configured("shared_buffers"))
    hosts(uno, FakeHost("due"))

    with caplog.at_level("INFO"):
        configure(instance)

    assert RESTART not in uno.ran
    assert "shared_buffers" in caplog.text


def test_a_restart_that_would_bring_in_what_is_not_relevo_s_is_refused(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno = FakeHost("uno", configured("shared_buffers", "wal_log_hints"))
    hosts(uno, FakeHost("due"))

    with pytest.raises(Refused, match=r"wal_log_hints, which would also apply shared_buffers"):
        configure(instance)

    assert RESTART not in uno.ran


def test_relevo_s_own_settings_restart_once(instance: OdooInstance, hosts: Hosts) -> None:
    uno = FakeHost("uno", configured("wal_log_hints"))
    hosts(uno, FakeHost("due"))

    configure(instance)

    assert uno.ran.count(RESTART) == 1


def test_a_slot_of_somebody_else_keeps_what_it_may_keep(
    instance: OdooInstance, hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    hosts(FakeHost("uno", configured(slots=("warehouse",))), FakeHost("due"))

    configure(instance)

    assert "slots of others (warehouse), so max_slot_wal_keep_size is not lowered" in caplog.text


MADE = scram.verifier("of somebody else", salt=b"0123456789abcdef")
OURS = "# relevo vps_1: begin\nhostssl replication replica_user 10.0.0.2/32 scram-sha-256\n"
HBA = "read /etc/postgresql/13/main/pg_hba.conf"


def with_role(password: str, *, login: bool = True, hba: str = "") -> Mapping[str, Answer]:
    """An origin that has a role of the name that is Relevo's usual one."""
    role = {
        "password": password, "rolreplication": True, "rolsuper": False, "rolcanlogin": login,
    }  # fmt: skip
    return {
        "*rolname = $1 <- 'replica_user'": json.dumps([role]),
        "*rolname = $1 <- 'replica_rewind'": "[]",
        HBA: hba,
        "* ROLE *": "",
        "SELECT has_function_privilege*": "t\n",
    }


def create_roles(instance: OdooInstance) -> None:
    with terminal.without_server():
        login.create_roles(instance, instance.origin)


def test_a_role_that_an_older_runbook_made_keeps_its_password(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Its standby would be locked out."""
    uno = FakeHost("uno", with_role(MADE))
    hosts(uno, FakeHost("due"))

    with pytest.raises(Refused, match="a role replica_user with another password") as refused:
        create_roles(instance)

    assert "replication.user" in refused.value.hint
    assert "secrets.yaml" in refused.value.hint
    assert uno.changes == []


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(with_role("md5633d5049de271abafcbd5f86777c2a78"), id="md5_of_ours"),
        pytest.param(with_role(MADE, hba=OURS + "# relevo vps_1: end\n"), id="admitted_by_us"),
        pytest.param(with_role("", login=False), id="nobody_can_log_in"),
    ],
)
def test_a_role_that_is_relevo_s_gets_the_password_of_today(
    instance: OdooInstance, hosts: Hosts, there: Mapping[str, Answer]
) -> None:
    uno = FakeHost("uno", there)
    hosts(uno, FakeHost("due"))

    create_roles(instance)

    assert [sql.replace('"', "").split()[:3] for sql in uno.changes] == [
        ["ALTER", "ROLE", "replica_user"], ["CREATE", "ROLE", "replica_rewind"],
    ]  # fmt: skip


def test_a_role_with_the_password_of_secrets_yaml_is_left_as_it_is(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno = FakeHost("uno", with_role(scram.verifier(SECRETS[0], salt=b"0123456789abcdef")))
    hosts(uno, FakeHost("due"))

    create_roles(instance)

    assert [sql.replace('"', "").split()[:3] for sql in uno.changes] == [
        ["CREATE", "ROLE", "replica_rewind"]
    ]


def test_files_that_odoo_conf_names_and_nobody_copies_are_said(
    instance: OdooInstance, hosts: Hosts
) -> None:
    conf = (
        "[options]\nadmin_passwd = /etc/x\n"
        "smtp_ssl_certificate_filename = /etc/own/mail.pem\ngeoip_path = /opt/gone\n"
        "logo_path = /usr/share/logo.png\n[fs]\nroot_path = /mnt/nas\n"
    )
    named = "missing /etc/own/mail.pem /opt/gone /mnt/nas"
    uno = FakeHost("uno", {
        "read /etc/odoo/odoo.conf": conf, "started *": "ExecStart={ argv[]=/usr/bin/odoo "
        "-c /etc/odoo/odoo.conf ; }\nUser=odoo\n", named: "/opt/gone\n",
        "getent passwd odoo": "odoo:x:1:1::/var/lib/odoo:/bin/sh\n",
    })  # fmt: skip
    hosts(uno, FakeHost("due", {named: "/etc/own/mail.pem\n/opt/gone\n/mnt/nas\n"}))

    _, remark = odoo_settings.measure(instance)
    assert remark == (
        "odoo.conf names files that due lacks: smtp_ssl_certificate_filename = "
        "/etc/own/mail.pem, [fs] root_path = /mnt/nas; move them into a folder of "
        "odoo.sources, or put them there too"
    )


@pytest.mark.parametrize(
    ("unit", "file"), [("odoo.service", "odoo.service"), ("odoo@uno.service", "odoo@.service")]
)
def test_a_unit_that_is_a_link_is_named_with_its_file(tmp_path: Path, unit: str, file: str) -> None:
    asked = ["sh", "-c", service.LINKED, "linked", unit, str(tmp_path)]
    real, link = tmp_path / f"deployed.{file}", tmp_path / file
    real.write_text("[Service]\n")

    link.symlink_to(real)
    assert subprocess.check_output(asked, text=True) == f"{file} {real}\n"
    link.unlink()
    real.rename(link)
    assert subprocess.check_output(asked, text=True) == ""


def test_systemd_forgets_a_unit_that_is_a_link_when_it_is_disabled(tmp_path: Path) -> None:
    """Asked of a real systemctl: it is why such a unit is refused."""
    units, deployed = tmp_path / "etc/systemd/system", tmp_path / "opt/odoo.service"
    for folder in (units, deployed.parent):
        folder.mkdir(parents=True)
    deployed.write_text("[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n")
    (units / "odoo.service").symlink_to("/opt/odoo.service")

    said = [
        subprocess.run(
            ["systemctl", f"--root={tmp_path}", verb, "odoo.service"], check=False,
            capture_output=True, text=True,
        ).returncode
        for verb in ("enable", "disable", "enable")
    ]  # fmt: skip
    assert said == [0, 0, 1]


def test_a_unit_that_a_move_would_lose_is_refused_by_day(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(FakeHost("uno", {"linked *": "odoo.service /opt/deploy/odoo.service\n"}),
          FakeHost("due"))  # fmt: skip

    with pytest.raises(Refused, match=r"is a link to /opt/deploy/odoo\.service") as refused:
        service.require_own_file(instance.origin)
    assert refused.value.hint.startswith("run cp --remove-destination /opt/deploy/odoo.service ")

    hosts(FakeHost("uno", {"linked *": "odoo.service /dev/null\n"}), FakeHost("due"))
    service.require_own_file(instance.origin)
