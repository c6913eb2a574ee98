"""Which Python packages have to be installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.build.environment import WHICH
from tasks.build.freeze import left_out, missing, parse
from tasks.build.packages import FROZEN

SAID = """\
# Editable install with no version control
-e git+https://example.com/x.git@abc#egg=x
Babel==2.9.0
ruamel.yaml==0.17.16
zope.event @ file:///build/zope
python_dateutil==2.8.1
PyPDF2==1.26.0+local.1
"""


def test_names_are_compared_as_pypi_compares_them() -> None:
    assert missing("Python-Dateutil==2\n", "python_dateutil==2\n", exact=True) == []
    assert missing("ruamel.yaml==1\n", "ruamel-yaml==1\n", exact=True) == []


def test_what_has_no_version_cannot_be_installed_from_an_index_and_is_left_out() -> None:
    assert set(parse(SAID)) == {"babel", "ruamel-yaml", "python-dateutil", "pypdf2"}


def test_a_local_version_is_kept_whole() -> None:
    assert parse(SAID)["pypdf2"] == "1.26.0+local.1"


def test_any_version_will_do_where_debian_packages_them() -> None:
    assert missing("lxml==4.6.3\n", "lxml==5.0\n", exact=False) == []


def test_a_venv_gets_exactly_the_versions_of_the_origin() -> None:
    assert missing("lxml==4.6.3\n", "lxml==5.0\n", exact=True) == ["lxml==4.6.3"]


def test_what_is_missing_is_named_in_one_order_every_time() -> None:
    assert missing("b==1\na==2\n", "", exact=True) == ["a==2", "b==1"]
    assert missing("", "a==1\n", exact=True) == []


def test_comments_of_pip_are_no_packages_and_what_no_index_has_is_named() -> None:
    said = (
        "# Editable install with no version control (helpdesk-tools==1.2)\n-e /opt/odoo/tools\n"
        "# Editable Git install with no remote (odoo==16.0)\n-e /opt/odoo/odoo\n"
        "-e git+https://example.com/x.git@abc#egg=x\nlxml==4.9.2\n"
    )

    assert parse(said) == {"lxml": "4.9.2"}
    assert left_out(said) == [
        "-e /opt/odoo/tools", "-e /opt/odoo/odoo", "-e git+https://example.com/x.git@abc#egg=x",
    ]  # fmt: skip


def test_a_line_without_end_is_no_package_and_is_named_in_part() -> None:
    assert parse(f"{'a' * 5000}==1\n") == {}
    assert left_out(f"-e git+https://example.com/{'a' * 5000}\n")[0].startswith("-e git+https://")


@pytest.fixture
def without_pip(tmp_path: Path) -> Path:
    """A venv as uv makes it, with a package of an index, one in place, and one of an address."""
    made = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path)]
    subprocess.run(made, check=True)
    (site,) = tmp_path.glob("lib/python*/site-packages")
    for name, origin in {
        "lxml": "", "odoo": '{"url": "file:///opt/odoo", "dir_info": {"editable": true}}',
        "tools": '{"url": "https://example.com/tools.zip"}',
    }.items():  # fmt: skip
        folder = site / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        if origin:
            (folder / "direct_url.json").write_text(origin)
    return tmp_path / "bin" / "python"


def test_an_environment_without_pip_says_what_it_has(without_pip: Path) -> None:
    argv = [str(without_pip), "-c", FROZEN]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert parse(said) == {"lxml": "1.0"}
    assert sorted(left_out(said)) == [
        "-e file:///opt/odoo",
        "tools @ https://example.com/tools.zip",
    ]


def test_pip_is_asked_where_it_is() -> None:
    argv = [sys.executable, "-c", FROZEN]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    pip = [sys.executable, "-m", "pip", "freeze", "--all"]
    assert said == subprocess.run(pip, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("prefix", "base", "own"),
    [
        ("/usr", "/usr", "False"), ("/opt/venv", "/usr", "True"),
        ("/home/odoo/.pyenv/versions/3.10.13", "/home/odoo/.pyenv/versions/3.10.13", "True"),
        ("/opt/miniconda3/envs/odoo", "/opt/miniconda3/envs/odoo", "True"),
        ("/usr/local", "/usr/local", "True"),
    ],
)  # fmt: skip
def test_a_python_that_is_not_the_system_s_has_an_environment_of_its_own(
    prefix: str, base: str, own: str
) -> None:
    at = f"import sys; sys.prefix, sys.base_prefix = {prefix!r}, {base!r}\n"
    argv = [sys.executable, "-c", at + WHICH]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert said.split()[0] == own
