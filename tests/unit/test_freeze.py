"""Which Python packages have to be installed."""

from tasks.build.freeze import left_out, missing, parse

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
