"""A rename on this machine: what the inventory and its neighbours say before, and after."""

from pathlib import Path

import pytest
import yaml

from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments import cli, inventory, inventory_file, ports, removal, rename_files, signers
from deployments.book import Book
from deployments.secrets import Secrets
from tasks.removal import rename_words
from tasks.removal.rename_words import Rename
from tasks.run import terminal

TEXT = """\
# all of them
recovery: {name: due, address: 192.0.2.9}
instances:
  vps_1:   # the first
    host: {address: 192.0.2.1}
    postgres: &pg {version: 15}
  # the second
  vps_2:
    host: {address: 192.0.2.2}
    postgres: *pg
"""
PORTS = {"postgres_port": 5433, "http_port": 8169, "longpolling_port": 8172}
GIVEN = {"dns": {"auth_token": "of the house"}, "replication": "a word of people"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An inventory that was applied, with a password and a token that people wrote."""
    path = tmp_path / "inventory.yaml"
    path.write_text(TEXT)
    path.chmod(0o640)
    secrets = path.with_name("secrets.yaml")
    secrets.touch(mode=0o600)
    secrets.write_text(yaml.safe_dump({"vps_1": GIVEN}))
    made = Secrets(secrets)
    others = {field: number + 100 for field, number in PORTS.items()}
    path.with_name(ports.FILE).write_text(yaml.safe_dump({"vps_1": PORTS, "vps_2": others}))
    list(signers.keep(made, inventory.instances(inventory_file.read(path), made)))
    made.save()
    return path


def known(path: Path) -> tuple[dict[str, OdooInstance], Secrets]:
    secrets = Secrets(path.with_name("secrets.yaml"))
    found = inventory.instances(inventory_file.read(path), secrets)
    return {each.name: each for each in found}, secrets


def refused(path: Path, new: str) -> str:
    """What is said of a name; nothing is written for it."""
    before = {each: each.read_text() for each in path.parent.iterdir()}
    instances, secrets = known(path)
    with pytest.raises(Refused) as error:
        rename_files.heir_of(instances["vps_1"], new, path, secrets)
    assert {each: each.read_text() for each in path.parent.iterdir()} == before
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (TEXT, TEXT.replace("  vps_1:   # the first", "  vps_9:   # the first")),
        (TEXT.replace("\n", "\r\n"), TEXT.replace("vps_1", "vps_9").replace("\n", "\r\n")),
        (TEXT.replace("vps_1", "'vps_1'"), TEXT.replace("vps_1", "vps_9")),
        (TEXT.replace("vps_1:  ", "? vps_1\n  :"), TEXT.replace("vps_1:  ", "? vps_9\n  :")),
        ("# ñ 😀\ninstances: {vps_1: {a: vps_1}}\n", "# ñ 😀\ninstances: {vps_9: {a: vps_1}}\n"),
    ],
    ids=["with comments", "of Windows", "in quotes", "of a complex key", "between braces"],
)
def test_the_name_alone_changes_in_the_text(text: str, wanted: str) -> None:
    assert Book(Path("inventory.yaml"), text).renamed("vps_1", "vps_9").text == wanted


@pytest.mark.parametrize(
    "text",
    [
        "x: &n vps_1\ninstances:\n  *n : {a: 1}\n",
        "instances:\n  &n vps_1: {a: 1}\n  vps_2: {a: *n}\n",
        "x: &x {vps_1: {a: 1}}\ninstances:\n  <<: *x\n",
        "instances: {vps_2: {a: 1}}\n",
    ],
    ids=["an alias is the name", "an alias of the name", "it is merged in", "it is not there"],
)
def test_a_name_that_stands_for_more_is_left_to_a_person(text: str) -> None:
    with pytest.raises(Refused, match=r"cannot be changed in inventory\.yaml"):
        Book(Path("inventory.yaml"), text).renamed("vps_1", "vps_9")


def test_a_name_that_yaml_takes_for_something_else_gets_quotes() -> None:
    made = Book(Path("inventory.yaml"), TEXT).renamed("vps_1", "no").document()

    assert list(made.instances) == ["no", "vps_2"]


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("vps_2", "the inventory has an instance vps_2 already"),
        ("Vps-9", "vps-9"),
        ("notify", "no instance may be called notify"),
    ],
)
def test_a_name_that_the_inventory_would_refuse_is_refused_first(
    path: Path, new: str, said: str
) -> None:
    assert said in refused(path, new).lower()


def test_a_name_that_files_beside_the_inventory_have_is_in_use(path: Path) -> None:
    beside = path.with_name(ports.FILE)
    beside.write_text(beside.read_text() + yaml.safe_dump({"vps_9": dict.fromkeys(PORTS, 7000)}))

    assert f"{beside} already have an entry vps_9" in refused(path, "vps_9")


def test_the_heir_is_as_the_inventory_will_say_it_and_nothing_is_written(path: Path) -> None:
    instances, secrets = known(path)
    before = {each: each.read_text() for each in path.parent.iterdir()}

    heir = rename_files.heir_of(instances["vps_1"], "vps_9", path, secrets)

    assert {each: each.read_text() for each in path.parent.iterdir()} == before
    assert heir.recovery.cluster.port == PORTS["postgres_port"]
    assert heir.recovery.odoo.user == "odoo_vps_9"
    assert heir.replication.password.get_secret_value() == GIVEN["replication"]
    assert heir.signing_key != instances["vps_1"].signing_key


def test_the_new_name_has_what_people_gave_before_the_old_one_loses_it(path: Path) -> None:
    """Killed behind each write, what is there loads, and doing it again ends well."""
    instances, secrets = known(path)
    old = secrets.path.read_text()
    with terminal.without_server():
        secrets.pass_on("vps_1", "vps_9")
        assert set(known(path)[0]) == {"vps_1", "vps_2"}
        rename_files.hand_over(instances["vps_1"], "vps_9", path, Secrets(secrets.path))
        again, secrets = known(path)
        removal.forget("vps_1", secrets)
        removal.forget("vps_1", secrets)

    assert path.read_text() == TEXT.replace("vps_1", "vps_9")
    assert rename_files.backup(path, "vps_9").read_text() == TEXT
    assert [each.stat().st_mode & 0o777 for each in (path, rename_files.backup(path, "vps_9"))] == [
        0o640, 0o640,
    ]  # fmt: skip
    kept = yaml.safe_load(secrets.path.read_text())
    assert kept == {"vps_9": GIVEN, "vps_2": yaml.safe_load(old)["vps_2"]}
    assert ports.read(path.with_name(ports.FILE))["vps_9"] == PORTS
    assert set(ports.read(path.with_name(ports.FILE))) == {"vps_2", "vps_9"}
    assert set(signers.read(secrets)) == {"vps_2"}
    assert again["vps_9"].recovery.cluster.port == PORTS["postgres_port"]


def test_an_inventory_that_was_changed_meanwhile_is_left_as_it_is(path: Path) -> None:
    book = Book.open(path)
    path.write_text(TEXT + "# another\n")

    with pytest.raises(Refused, match="was changed meanwhile"):
        book.renamed("vps_1", "vps_9").save(book)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("vps_8", "vps_2"), 3, "there is no instance vps_8 in the inventory"),
        (("vps_1", "vps_2"), 3, "the inventory has an instance vps_2 already"),
        (("vps_1", "vps_9", "--yes"), 3, "a reason is needed to rename vps_1"),
    ],
)
def test_what_is_wrong_is_said_before_any_host_is_asked(
    path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert cli.main(["--inventory", str(path), "rename", *words]) == code
    assert said in capsys.readouterr().err


def test_only_what_this_machine_has_begun_goes_on(path: Path) -> None:
    _, secrets = known(path)
    folder = path.parent / removal.FOLDER
    folder.mkdir()
    (folder / "vps_1-x.json").write_text('{"renamed_to": "vps_9"}')

    assert removal.was_renamed(secrets, "vps_1", "vps_9")
    assert not removal.was_renamed(secrets, "vps_1", "vps_2")
    assert not removal.was_renamed(secrets, "vps_2", "vps_9")


def test_the_plan_says_from_when_to_when_there_is_no_replica_and_how_much_is_copied() -> None:
    page = rename_words.page(
        Rename(
            old="vps_1", new="vps_9", origin="uno", recovery="due", size="4.2 GB",
            directory="/srv/vps_9", archive="/etc/relevo/removed/vps_1-x.json",
            inventory="/etc/relevo/inventory.yaml", backup="/etc/relevo/inventory.before",
            secrets="/etc/relevo/secrets.yaml", given=("dns",),
            copied=(("/srv/vps_1/sources", "it is on another disk, or a link"),),
            site=("/etc/nginx/relevo/vps_1 on due: own/a.conf",),
        )
    )  # fmt: skip

    for said in (
        "from when the copy on due is deleted, until the check of vps_9 ends",
        "4.2 GB of PostgreSQL are copied from uno meanwhile",
        "as evidence only, without any write right",
        "/srv/vps_1/sources is copied again: it is on another disk, or a link",
        "goes to the site of vps_9, and names that Odoo: /etc/nginx/relevo/vps_1 on due: own/a",
        "nothing is restarted there",
        "the new name gets dns",
        "relevo rename vps_1 vps_9 goes on",
    ):
        assert said in page
