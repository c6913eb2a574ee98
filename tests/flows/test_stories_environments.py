"""What a real environment says of itself, after what an upgrade of its host does to it."""

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from blocks.errors import Refused
from blocks.host import Host
from blocks.instance import OdooInstance
from blocks.shell import Completed
from tasks.build import environment, imported
from tasks.build.imported import Imported
from tasks.build.trial import TRY

NOW = f"{sys.version_info[0]}.{sys.version_info[1]}"
NAMES = ("psycopg2", "psycopg2._psycopg")
# An Odoo with one module, which imports a package that has a compiled part.
ODOO = {
    "odoo/__init__.py": "",
    "odoo/cli.py": "",
    "odoo/tools.py": "class config:\n    parse_config = print\n",
    "odoo/modules/__init__.py": "",
    "odoo/modules/module.py": (
        "import os\n"
        "def initialize_sys_path(): pass\n"
        "def get_module_path(name, display_warning):\n"
        "    return os.path.join(os.path.dirname(__file__), '..', 'addons', name)\n"
    ),
    "odoo/addons/__init__.py": "",
    "odoo/addons/lab/__init__.py": "import yaml\n",
    "odoo/addons/lab/__manifest__.py": "{}",
}


class Here:
    """This machine as a recovery host; what surrounds a customer's code is left out."""

    host = "due"

    def run(self, argv: Sequence[str], *, stdin: str = "", **_: object) -> Completed:
        inner = argv[argv.index("--") + 1 :] if argv[0] == "systemd-run" else argv
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        try:
            done = subprocess.run(
                inner, capture_output=True, text=True, check=False, env=variables, input=stdin
            )
        except FileNotFoundError:
            return Completed(tuple(argv), 1, "", f"Failed to find executable {inner[0]}\n")
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "shell", lambda _: Here())


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment with a package that has a compiled part."""
    made = tmp_path / "venv"
    argv = [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(made)]
    subprocess.run(argv, check=True)
    site = made / "lib" / f"python{NOW}" / "site-packages"
    package = site / "psycopg2"
    package.mkdir()
    (package / "__init__.py").write_text("print('hello')\nfrom psycopg2 import _psycopg\n")
    (package / "_psycopg.py").write_text("")
    metadata = site / "psycopg2-2.9.9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: psycopg2\nVersion: 2.9.9\n")
    return made


def asked(instance: OdooInstance, venv: Path, *names: str) -> Imported:
    return imported.ask(instance, PurePosixPath(venv), names or NAMES)


def test_an_environment_that_works_says_what_it_is_and_has(
    instance: OdooInstance, venv: Path
) -> None:
    said = asked(instance, venv)

    assert said == Imported(NOW, of=(NOW,), packages="psycopg2==2.9.9")
    imported.require(instance, said)


def test_one_that_was_moved_works_where_it_is_now(instance: OdooInstance, venv: Path) -> None:
    """A build copies environments, and puts them in their place."""
    assert asked(instance, venv.rename(venv.with_name("moved"))).wrong == ""


def test_one_of_a_python_that_the_system_no_longer_is_says_so(
    instance: OdooInstance, venv: Path
) -> None:
    """As after the upgrade from Debian 12 to 13: the link leads to a Python that is newer."""
    (venv / "lib" / f"python{NOW}").rename(venv / "lib" / "python3.2")

    said = asked(instance, venv)

    assert said.wrong == f"its Python is {NOW} now, and its environment was made for 3.2"
    assert {*said.lost} == {*NAMES}
    with pytest.raises(Refused, match="HINT: run build-service"):
        imported.require(instance, said)


def test_one_whose_python_was_removed_says_so(instance: OdooInstance, venv: Path) -> None:
    for each in (venv / "bin").glob("python*"):
        each.unlink()
        each.symlink_to("/usr/bin/python3.2")

    said = asked(instance, venv)

    assert "a Python that does not work: Failed to find executable" in said.wrong


def test_one_that_has_lost_what_makes_it_one_says_so(instance: OdooInstance, venv: Path) -> None:
    (venv / "pyvenv.cfg").unlink()

    assert "does not work: FileNotFoundError" in asked(instance, venv).wrong


def test_a_compiled_package_whose_library_is_gone_is_named_though_it_is_listed(
    instance: OdooInstance, venv: Path
) -> None:
    (part,) = venv.glob("lib/*/site-packages/psycopg2/_psycopg.py")
    part.with_suffix(".so").write_bytes(b"\x7fELF")
    part.unlink()

    said = asked(instance, venv)

    assert said.packages == "psycopg2==2.9.9"
    assert "has lost Python packages that it imports: psycopg2 (ImportError: /" in said.wrong
    assert "file too short" in said.wrong


def test_a_package_that_ends_its_python_is_red(instance: OdooInstance, venv: Path) -> None:
    (package,) = venv.glob("lib/*/site-packages/psycopg2/__init__.py")
    package.write_text("import os\nos.abort()\n")

    assert "it ended with status" in asked(instance, venv).wrong


def test_no_word_of_a_package_becomes_a_page(instance: OdooInstance, venv: Path) -> None:
    (package,) = venv.glob("lib/*/site-packages/psycopg2/__init__.py")
    package.write_text("raise SystemExit('\\x1b[31m' + 'a\\n' * 9000)\n")

    said = asked(instance, venv, "psycopg2", *(f"no_{number}" for number in range(50)))

    assert "\x1b" not in said.wrong
    assert len(said.wrong) < imported.SHOWN * (2 * imported.LONGEST) + 100
    assert said.wrong.endswith(" and 41 more")


def test_a_trial_names_the_compiled_parts_of_what_was_imported(tmp_path: Path) -> None:
    """`import lxml` proves nothing of lxml.etree, which is what ends with its library."""
    for name, text in ODOO.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    argv = [sys.executable, "-c", TRY, "odoo.conf", "lab"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    found = json.loads(said.partition("RELEVO ")[2])

    assert found["bad"] == []
    assert {"yaml", "yaml._yaml"} <= {*found["used"]}
    assert "yaml.loader" not in found["used"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_a_build_exchanges_an_environment_that_an_upgrade_has_broken_for_one_that_works(
    instance: OdooInstance, venv: Path
) -> None:
    """It is made beside, and the one that was there is kept until then."""
    (venv / "lib" / f"python{NOW}").rename(venv / "lib" / "python3.2")
    odoo = instance.recovery.odoo.model_copy(update={"user": getpass.getuser()})
    mine = instance.recovery.model_copy(update={"odoo": odoo})
    origin_s = instance.origin.odoo.model_copy(update={"python": PurePosixPath(sys.executable)})
    theirs = instance.origin.model_copy(update={"odoo": origin_s})
    block = instance.model_copy(
        update={"recovery": mine, "origin": theirs, "directory": PurePosixPath(venv.parent)}
    )

    python = environment.prepare(block)

    assert python == PurePosixPath(f"{venv}.new/bin/python")
    environment.put_in_place(block)
    assert asked(block, venv, "pip").wrong == ""
    assert not venv.with_name("venv.new").exists()
    assert environment.prepare(block) == PurePosixPath(venv / "bin" / "python")
