"""Names that Relevo uses itself on the servers: no new instance gets one, an old one gets away."""

import re
from pathlib import Path

import pytest
import yaml

from blocks.errors import Refused
from deployments import cli, inventory, inventory_file, rename_files, reserved, signers
from deployments.secrets import Secrets
from tasks.board.alarms import Limits, Measured, verdict
from tasks.host import job

TEXT = """\
recovery: {name: due, address: 192.0.2.9}
instances:
  NAME:
    host: {address: 192.0.2.1}
    postgres: {version: 15}
    recovery: {postgres_port: 5433, http_port: 8169, longpolling_port: 8172}
"""
SAID = "is one that Relevo uses itself on the servers"
NAMES = ("door", "follow", "guard", "synchronous", "vps_longpolling")


def written(folder: Path, name: str) -> Path:
    path = folder / "inventory.yaml"
    path.write_text(TEXT.replace("NAME", name))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_new_instance_gets_no_name_that_units_of_others_begin_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = written(tmp_path, name)

    assert cli.main(["--inventory", str(path), "list"]) == 2

    said = capsys.readouterr().err
    assert f"the name {name} {SAID}" in said
    assert f"relevo rename {name} NEW" in said


@pytest.mark.parametrize("name", NAMES)
def test_one_that_has_such_a_name_keeps_it_until_it_is_renamed(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    secrets = Secrets(path.with_name("secrets.yaml"))
    (made,) = inventory.instances(inventory_file.read(path), secrets)
    list(signers.keep(secrets, [made]))
    for known in (secrets, Secrets(secrets.path)):  # of which the second has lost its file
        inventory.instances(inventory_file.read(path), known)
        reserved.require([name], known)

    assert cli.main(["--inventory", str(path), "list"]) == 0
    colour, why = verdict(Measured(name, 0.0), Limits(1, 1, 1))
    assert (colour, why[-1]) == ("amber", f"the name {name} {SAID}: run relevo rename {name} NEW")


def test_no_instance_is_renamed_to_such_a_name(tmp_path: Path) -> None:
    path = written(tmp_path, "vps_1")
    secrets = Secrets(path.with_name("secrets.yaml"))
    secrets.path.write_text(yaml.safe_dump({}))
    (made,) = inventory.instances(inventory_file.read(path), secrets)

    with pytest.raises(Refused, match=SAID):
        rename_files.heir_of(made, "guard", path, secrets)


def test_each_long_command_of_an_instance_has_a_unit_that_is_known_by_its_whole_name() -> None:
    """Who stops them stops those alone, and has to know all of them."""
    found = set()
    for path in (Path(job.__file__).parents[1]).rglob("*.py"):
        text = path.read_text()
        found |= set(
            re.findall(r'f"(?:relevo-)?\{(?:\w+\.)*name\}-([a-z{}-]+?)(?:\.service)?"', text)
        )
    # In which KINDS says what may stand, and what is no unit.
    others = {"engine-{verb}", "drill-{what}", "{kind}", "{each}", "gate", "{number}"}
    others |= {"{kind}-clone", "{kind}-{what}"}

    assert found - others <= set(job.KINDS)
    assert {"basebackup", "rewind", "quarantine"} <= found


def test_no_unit_of_one_instance_has_the_name_of_another_s() -> None:
    names = ("vps", "vps_1", "vps_10", "guards", "doors")
    units = [unit for name in names for unit in job.units(name)]
    units += [
        f"relevo-{kind}-{name}.service" for kind in ("guard", "synchronous") for name in names
    ]
    units += [f"relevo-follow-odoo_{name}.service" for name in names]

    assert len(set(units)) == len(units)
