"""What root does with files, really done: no trick of a folder's owner changes what is root's."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import pytest

from blocks.errors import CommandFailed
from blocks.shell import SAID_BYTES, Completed
from blocks.ssh import SshShell
from blocks.ssh_login import Address
from tasks.host import files, source

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")

USER, OTHER = 65533, 65532
OWNER = f"{USER}:{USER}"
SECRET = "root's own\n"


class LocalShell(SshShell):
    """Commands on this machine, as root."""

    def __init__(self) -> None:
        self.host = "here"
        self.address = Address("here", "localhost", 22, "root", None, None)

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        stdin: str = "",
        check: bool = True,
        timeout_seconds: float = 60,
        limit_bytes: int = SAID_BYTES,  # noqa: ARG002  # the protocol's
    ) -> Completed:
        assert user == "root"
        done = subprocess.run(
            (sys.executable, *argv[1:]),
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=timeout_seconds,
        )
        assert not check
        return Completed(tuple(argv), done.returncode, done.stdout.decode(), done.stderr.decode())


SHELL = LocalShell()


class World:
    """A folder of root's with a secret, and beside it one of a user."""

    def __init__(self, top: Path) -> None:
        self.top, self.root, self.user = top, top / "root", top / "user"
        self.root.mkdir()
        self.user.mkdir()
        os.chown(self.user, USER, USER)
        self.secret = self.root / "secret"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        self.before = self.of_root()

    def of_root(self) -> list[tuple[str, int, int, int, bytes]]:
        """Everything that is root's: whose, how, and what is in it."""
        found = []
        for path in (self.root, *sorted(self.root.rglob("*"))):
            facts = path.lstat()
            text = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
            found.append((str(path), facts.st_uid, facts.st_gid, facts.st_mode, text))
        return found

    def link(self, name: str, target: Path, *, owner: int = USER) -> PurePosixPath:
        path = self.user / name
        path.symlink_to(target)
        os.lchown(path, owner, owner)
        return there(path)


def there(path: Path) -> PurePosixPath:
    return PurePosixPath(path)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Where every user can come; pytest's own folders are closed to them."""
    top = Path(tempfile.mkdtemp(prefix="relevo-files-"))
    top.chmod(0o755)
    patch(monkeypatch, '"/run/relevo"', f'"{top}/locks"')
    made = World(top)
    yield made
    assert made.of_root() == made.before, "root's was changed"
    shutil.rmtree(top)


def patch(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """Run another program than ours, or ours with a foe in the middle of it."""
    assert old in files.PROGRAM
    monkeypatch.setattr(files, "PROGRAM", files.PROGRAM.replace(old, new))
    begin = (*files.BEGIN[:4], source.begin(files.PROGRAM), "files")
    monkeypatch.setattr(files, "BEGIN", begin)


HINTS = {"see", "give", "remove", "write", "create", "run", "unmount"}


def refused(act: Callable[[], object], *words: str) -> None:
    """See that a sentence says why, and what to do."""
    with pytest.raises(CommandFailed) as said:
        act()
    assert said.value.message.startswith("here cannot "), said.value.message
    assert all(word in said.value.message for word in words), said.value.message
    assert said.value.hint.split()[0] in HINTS


def whose(path: Path) -> tuple[int, int, str]:
    facts = path.lstat()
    return facts.st_uid, facts.st_gid, f"{stat.S_IMODE(facts.st_mode):o}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What works


def test_a_file_is_read_installed_and_left_alone_when_nothing_changed(world: World) -> None:
    path = there(world.user / "conf.d" / "our.conf")

    assert files.read(SHELL, path) == ""
    assert files.install(SHELL, path, "one\n", owner=OWNER, mode="640")
    assert not files.install(SHELL, path, "one\n", owner=OWNER, mode="640")
    assert files.install(SHELL, path, "one\n", owner=OWNER, mode="600"), "another mode"
    assert files.install(SHELL, path, "", owner=OWNER, mode="600"), "an empty one"
    assert files.install(SHELL, path, "two\n", owner=OWNER, mode="600")

    assert files.read(SHELL, path) == "two\n"
    assert whose(Path(path)) == (USER, USER, "600")
    assert whose(Path(path).parent) == (USER, USER, "755")
    assert names(Path(path).parent) == ["our.conf"]


def test_a_file_in_a_folder_of_root_s_is_given_to_its_owner(world: World) -> None:
    path = world.top / "etc" / "odoo.conf"

    files.install(SHELL, there(path), "text\n", owner=f"{USER}:", mode="640")

    assert whose(path) == (USER, USER, "640")
    assert whose(path.parent) == (0, 0, "755")


def test_bytes_that_are_no_text_survive_an_edit(world: World) -> None:
    """One Latin-1 letter in pg_hba.conf must neither be lost nor keep an edit from its end."""
    path = world.user / "pg_hba.conf"
    path.write_bytes(b"# \xe9l\xe8ve\n\xc3\xa9\n")

    assert files.edit(SHELL, there(path), lambda text: f"{text}ours\n", owner=OWNER, mode="640")
    assert not files.edit(SHELL, there(path), lambda text: text, owner=OWNER, mode="640")

    assert path.read_bytes() == b"# \xe9l\xe8ve\n\xc3\xa9\nours\n"


def test_two_who_edit_one_file_do_not_undo_each_other(world: World) -> None:
    path = there(world.user / "known")

    def add(number: int) -> None:
        files.edit(SHELL, path, lambda text: f"{text}{number}\n", owner=OWNER, mode="600")

    editors = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()

    assert sorted(Path(path).read_text().split()) == [str(number) for number in range(6)]


def test_an_edit_of_what_never_keeps_still_ends(world: World) -> None:
    path = world.user / "restless"

    def change(text: str) -> str:
        path.write_text(str(time.monotonic_ns()))
        return text

    with pytest.raises(CommandFailed, match="changed during each of 20 attempts"):
        files.edit(SHELL, there(path), change, owner=OWNER, mode="600")


def test_what_is_there_is_found(world: World) -> None:
    full, dangling = there(world.root), world.link("dangling", world.top / "nothing")
    behind_a_file, deeper = there(world.secret / "x"), there(world.top / "no" / "such")

    assert files.exists(SHELL, full)
    assert not any(files.exists(SHELL, each) for each in (dangling, behind_a_file, deeper))
    assert files.missing(SHELL, full, deeper, dangling) == [str(deeper), str(dangling)]


def test_a_link_of_root_s_is_followed(world: World) -> None:
    (world.top / "link").symlink_to("root/../root/secret")

    assert files.read(SHELL, there(world.top / "link")) == SECRET


def test_a_link_of_a_user_s_is_followed_where_that_user_may_go(world: World) -> None:
    (world.user / "real").write_text("the user's\n")
    os.chown(world.user / "real", USER, USER)
    path = world.link("link", world.user / "real")

    assert files.read(SHELL, path) == "the user's\n"
    assert files.install(SHELL, path, "new\n", owner=OWNER)
    assert (world.user / "real").read_text() == "new\n"


def test_a_folder_is_made_for_an_owner_and_found_again(world: World) -> None:
    for path in (world.user / "a" / "b", world.top / "c" / "d"):
        for mode in ("750", "700"):
            files.make_directory(SHELL, there(path), owner=OWNER, mode=mode)
            assert whose(path) == (USER, USER, mode)


def test_a_folder_of_one_is_made_in_a_folder_of_another_s(world: World) -> None:
    """The data directory of a cluster lies in a folder of postgres, and belongs to its own user."""
    path = world.user / "vps_1"

    files.make_directory(SHELL, there(path), owner=f"{OTHER}:{OTHER}", mode="700")
    assert whose(path) == (OTHER, OTHER, "700")

    (path / "base").mkdir()
    (path / "base" / "1").write_text("data")
    for each in (path / "base", path / "base" / "1"):
        os.chown(each, OTHER, OTHER)
    files.make_directory(SHELL, there(world.user / "new"), owner=f"{OTHER}:{OTHER}", mode="700")
    files.swap(SHELL, *(there(world.user / name) for name in ("new", "vps_1", "aside")))
    assert names(world.user) == ["aside", "vps_1"]
    assert (world.user / "aside" / "base" / "1").read_text() == "data"
    files.remove_tree(SHELL, there(world.user / "aside"))
    assert names(world.user) == ["vps_1"]


def venvs(world: World) -> list[PurePosixPath]:
    for each, word in (("venv", "old"), ("new", "fresh")):
        (world.user / each).mkdir()
        (world.user / each / "said").write_text(word)
    return [there(world.user / each) for each in ("new", "venv", "former")]


def test_who_dies_while_it_waits_for_the_disk_leaves_something_in_the_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover ends a build that is under way, and needs the environment that stands there."""
    patch(monkeypatch, "os.fsync(opened)", "os.kill(os.getpid(), 9)")

    with pytest.raises(CommandFailed):
        files.swap(SHELL, *venvs(world))

    assert (world.user / "venv" / "said").read_text() == "fresh"
    assert (world.user / "former" / "said").read_text() == "old"


def test_who_is_told_to_end_between_two_names_gives_both(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = "os.rename(spot.name, to.name, **where)"
    patch(monkeypatch, rename, f"{rename}; os.kill(os.getpid(), 15)")

    with pytest.raises(CommandFailed):
        files.swap(SHELL, *venvs(world))

    assert (world.user / "venv" / "said").read_text() == "fresh"
    assert (world.user / "former" / "said").read_text() == "old"


def test_what_cannot_be_put_in_a_place_leaves_there_what_was_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = "os.rename(spot.name, to.name, **where)"
    full = f'spot.name == "new" and os.stat("/dev/full/x"); {rename}'
    patch(monkeypatch, rename, full)

    refused(lambda: files.swap(SHELL, *venvs(world)), "Not a directory")

    assert (world.user / "venv" / "said").read_text() == "old"
    assert names(world.user) == ["new", "venv"]


def test_an_empty_mount_point_of_root_s_is_given_away(world: World) -> None:
    disk = world.top / "disk"
    (disk / "lost+found").mkdir(parents=True)

    files.make_directory(SHELL, there(disk), owner=OWNER, mode="750")

    assert whose(disk) == (USER, USER, "750")


def test_a_tree_is_deleted_whatever_its_modes(world: World) -> None:
    tree = world.user / "tree"
    (tree / "closed" / "deep").mkdir(parents=True)
    (tree / "closed" / "file").write_text("")
    (tree / "link").symlink_to(world.root)
    for path in (tree / "closed" / "deep", tree / "closed" / "file", tree / "closed", tree):
        os.chown(path, USER, USER)
    (tree / "closed").chmod(0o500)

    files.remove_tree(SHELL, there(tree))
    files.remove_tree(SHELL, there(tree))

    assert not tree.exists()


def few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program open no more than a few files at a time, as the hard limit may say."""
    head = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
    patch(monkeypatch, "\nimport sys, types\n", f"\nimport sys, types\n{head}")


def deep(top: Path, levels: int) -> None:
    """Make folders in each other, of a user's, with a file in the last; longer than any path."""
    before = Path.cwd()
    top.mkdir()
    try:
        os.chdir(top)
        for _ in range(levels):
            Path("d").mkdir()
            os.chdir("d")
        Path("last").write_text("")
    finally:
        os.chdir(before)
    subprocess.run(("chown", "-R", OWNER, str(top)), check=True)


@pytest.mark.parametrize("levels", [100, 3000])
def test_a_tree_is_deleted_however_deep_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, levels: int
) -> None:
    few_descriptors(monkeypatch)
    deep(world.user / "deep", levels)

    files.remove_tree(SHELL, there(world.user / "deep"))

    assert names(world.user) == []


def test_a_tree_is_given_away_however_deep_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_descriptors(monkeypatch)
    deep(world.top / "deep", 3000)

    files.give_tree(SHELL, there(world.top / "deep"), former=str(USER), user=str(OTHER))

    found = subprocess.run(
        ("find", str(world.top / "deep"), "-not", "-uid", str(OTHER), "-printf", "."),
        check=True, capture_output=True,
    )  # fmt: skip
    assert found.stdout == b""
    subprocess.run(("rm", "-rf", str(world.top / "deep")), check=True)


def trees(world: World, **links: str) -> list[PurePosixPath]:
    """Three folders of a user, one file in each, and more names for some: trash="data_dir"."""
    made = [world.top / name for name in ("data_dir", "trash", "sources")]
    for folder in made:
        folder.mkdir()
        (folder / folder.name).write_text(folder.name)
    for name, other in links.items():
        os.link(world.top / other / other, world.top / name / "again")
    for path in (*made, *(each for folder in made for each in folder.iterdir())):
        os.chown(path, USER, USER)
    return [there(path) for path in made]


def test_a_file_with_names_in_several_trees_is_given_with_all_of_them(world: World) -> None:
    """What was restored from the trash has one name there, and another in data_dir."""
    made = trees(world, trash="data_dir")
    for path in made:
        alone = files.outside(SHELL, [path], user=str(USER))[path]
        assert alone.count == (0 if path.name == "sources" else 1)

    assert not any(e.count for e in files.outside(SHELL, made, user=str(USER)).values())
    assert whose(world.top / "trash")[0] == USER, "it was only looked at"
    left = files.give_trees(SHELL, made, former=str(USER), user=str(OTHER))

    assert list(left) == made
    assert not any(each.count for each in left.values())
    for path in made:
        assert {whose(each)[0] for each in (Path(path), *Path(path).iterdir())} == {OTHER}


def test_a_file_with_a_name_elsewhere_is_left_and_its_trees_are_named(world: World) -> None:
    made = trees(world, trash="data_dir")
    os.link(world.top / "data_dir" / "data_dir", world.user / "mine")

    left = files.give_trees(SHELL, made, former=str(USER), user=str(OTHER))

    assert [each.count for each in left.values()] == [1, 1, 0]
    assert left[made[1]].name == "trash/again"
    assert whose(world.user / "mine")[0] == USER
    (world.user / "mine").unlink()
    left = files.give_trees(SHELL, made, former=str(USER), user=str(OTHER))
    assert not any(each.count for each in left.values())
    assert whose(world.top / "trash" / "again")[0] == OTHER


def test_what_is_gone_by_now_needs_no_deleting_and_the_rest_is_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odoo removes a folder of sessions in the moment in which the tree is deleted."""
    (world.user / "tree" / "a").mkdir(parents=True)
    (world.user / "tree" / "b").mkdir()
    for name in ("tree", "tree/a", "tree/b"):
        os.chown(world.user / name, USER, USER)
    act = "walk.down(below.pop(), enter)"
    gone = "os.rmdir(below[-1], dir_fd=walk.opened) if len(below) == 2 else None; "
    patch(monkeypatch, act, gone + act)

    files.remove_tree(SHELL, there(world.user / "tree"))

    assert names(world.user) == []


def test_nothing_is_moved_over_something(world: World) -> None:
    one, two = world.user / "one", world.user / "two"
    one.write_text("1")
    two.write_text("2")

    refused(lambda: files.move(SHELL, there(one), there(two)), "two is there already")
    refused(lambda: files.move(SHELL, there(world.user / "x"), there(one)), "there is no x")
    refused(lambda: files.swap(SHELL, *map(there, (world.user / "x", one, two))), "no x")
    assert (one.read_text(), two.read_text()) == ("1", "2")

    os.chown(one, USER, USER)
    files.remove(SHELL, there(two), there(two))
    files.move(SHELL, there(one), there(two))
    assert two.read_text() == "1"
    assert not one.exists()


# What is tried


def test_a_trash_that_is_a_link_into_root_s_folder_changes_nothing_there(world: World) -> None:
    trash = world.link("trash", world.root)

    refused(lambda: files.make_directory(SHELL, trash, owner=OWNER), "belongs to root already")
    refused(lambda: files.install(SHELL, trash / "x", "", owner=OWNER), "no right")
    refused(lambda: files.make_directory(SHELL, trash / "x", owner=OWNER), "no right")
    refused(lambda: files.remove(SHELL, trash / "secret"), "no right")
    files.remove_tree(SHELL, trash)
    assert not os.path.lexists(trash)


def test_a_link_to_root_s_file_is_neither_read_nor_written(world: World) -> None:
    path = world.link("link", world.secret)

    refused(lambda: files.read(SHELL, path), "no right")
    refused(lambda: files.install(SHELL, path, "x", owner=OWNER), "no right")


def test_a_link_of_root_s_in_another_s_folder_has_no_more_rights_than_that_one(
    world: World,
) -> None:
    """Its owner cannot make such a link, but can give it the name of another."""
    refused(lambda: files.read(SHELL, world.link("link", world.secret, owner=0)), "no right")
    refused(lambda: files.read(SHELL, world.link("odd", world.secret, owner=OTHER)), "has put a")


def test_a_link_in_a_folder_that_becomes_root_s_leads_root_nowhere(world: World) -> None:
    """What was a customer's becomes root's when a cluster is confined; root then writes in it."""
    config = world.top / "config"
    config.mkdir()
    link, own = config / "environment", config / "start.conf"
    link.symlink_to(world.secret)
    own.write_text("auto\n")
    for each in (link, own, config):
        os.lchown(each, USER, USER)

    files.give_tree(SHELL, PurePosixPath(config), former=str(USER), user="0")

    assert (config.stat().st_uid, own.stat().st_uid) == (0, 0)
    assert whose(link)[0] == USER, "who follows it does so with the rights of who has made it"
    path = there(link)
    refused(
        lambda: files.edit(SHELL, path, lambda text: f"{text}x", owner="0:0", mode="644"),
        "no right",
    )
    refused(lambda: files.install(SHELL, path, "x", owner="0:0", mode="644"), "root does not")
    refused(lambda: files.read(SHELL, path), "no right")


def test_a_link_that_is_swapped_for_another_s_file_gives_nothing_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked at by its name, and given by its name."""
    full = world.user / "full"
    full.mkdir()
    (full / "link").symlink_to("nowhere")
    other = world.user / "theirs"
    other.write_text("")
    for path, owner in ((full, USER), (full / "link", USER), (other, OTHER)):
        os.lchown(path, owner, owner)
    act = "elif facts.st_uid == self.former.uid"
    foe = f"elif os.rename('{other}', '{full}/link') or facts.st_uid == self.former.uid"
    patch(monkeypatch, act, foe.replace("'", "\\'"))

    files.give_tree(SHELL, there(full), former=str(USER), user="65531")

    assert whose(full / "link")[0] == OTHER


@pytest.mark.parametrize("to", ["user", "root"])
def test_a_folder_that_is_moved_away_under_the_walk_takes_nobody_along(
    world: World, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """The way back from it is another folder's then: nothing of that one is deleted."""
    tree, victim = world.user / "tree", world.top / to / "victim"
    (tree / "a" / "b").mkdir(parents=True)
    (victim / "a").mkdir(parents=True)
    (victim / "kept").write_text("")
    for path in (tree, tree / "a", tree / "a" / "b"):
        os.chown(path, USER, USER)
    world.before = world.of_root()
    act = "name = self.names.pop()"
    foe = f"self.names[1:] == ['a', 'b'] and os.rename('{tree}/a/b', '{victim}/b'); {act}"
    patch(monkeypatch, act, foe.replace("'", "\\'"))

    refused(lambda: files.remove_tree(SHELL, there(tree)), "was moved away")

    assert (victim / "kept").exists()
    assert tree.exists()
    (victim / "b").rmdir()


def test_a_temporary_file_that_is_swapped_for_a_link_takes_no_owner_from_root_s(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = "give(file.fileno(), owner, mode)"
    foe = f"os.unlink(beside, dir_fd=spot.folder); os.symlink('{world.secret}', beside, dir_fd=spot.folder)"  # noqa: E501
    patch(monkeypatch, act, foe.replace("'", "\\'") + "; " + act)
    path = world.user / "settings.json"

    files.install(SHELL, there(path), "text", owner=OWNER, mode="640")

    assert path.is_symlink(), "the foe has harmed nobody but himself"


@pytest.mark.parametrize(
    ("foe", "words"),
    [
        ("os.symlink('{root}', spot.name, dir_fd=spot.folder)", "cannot make"),
        ("os.rename('{top}/full', '{user}/new')", "belongs to root already"),
    ],
)
def test_a_new_folder_that_is_swapped_for_one_of_root_s_gets_no_other_owner(
    world: World, monkeypatch: pytest.MonkeyPatch, foe: str, words: str
) -> None:
    full = world.top / "full"
    full.mkdir()
    (full / "of root's").write_text("")
    act = "made = True"
    said = foe.format(root=world.root, top=world.top, user=world.user).replace("'", "\\'")
    patch(monkeypatch, act, f"{act}; os.rmdir(spot.name, dir_fd=spot.folder); {said}")
    path = there(world.user / "new")

    refused(lambda: files.make_directory(SHELL, path, owner=f"{OTHER}:{OTHER}"), words)
    for each in (full, world.user / "new" / "of root's"):
        assert not each.exists() or whose(each)[:2] == (0, 0)


def test_a_pipe_keeps_nobody_waiting(world: World) -> None:
    os.mkfifo(world.user / "pipe")
    os.chown(world.user / "pipe", USER, USER)

    refused(lambda: files.read(SHELL, there(world.user / "pipe")), "not a regular file")


def test_a_hard_link_to_root_s_file_is_read_with_the_rights_of_who_made_it(world: World) -> None:
    path = world.user / "hard"
    os.link(world.secret, path)

    refused(lambda: files.read(SHELL, there(path)), "no right")
    files.install(SHELL, there(path), "the user's\n", owner=OWNER)
    assert whose(path) == (USER, USER, "644")


def test_an_endless_file_is_not_read_to_its_end(world: World) -> None:
    path = world.user / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    os.chown(path, USER, USER)

    refused(lambda: files.read(SHELL, there(path)), "more than 8388608 bytes")
    refused(lambda: files.read(SHELL, there(path), at_most=10), "more than 10 bytes")


def test_root_writes_nothing_of_its_own_into_another_s_folder(world: World) -> None:
    path = there(world.user / "root.conf")

    refused(lambda: files.install(SHELL, path, "x"), "belongs to user 65533")
    refused(lambda: files.install(SHELL, path, "x", owner=f"{OTHER}:{OTHER}"), "user 65532")


@pytest.mark.parametrize(("mode", "owner"), [(0o777, 0), (0o1777, 0), (0o775, 1)])
def test_root_writes_nothing_where_others_can(world: World, mode: int, owner: int) -> None:
    """Group 1 is the first one of Debian's user daemon; root's own group has nobody else."""
    shared = world.top / "shared"
    shared.mkdir()
    os.chown(shared, 0, owner)
    shared.chmod(mode)

    refused(lambda: files.install(SHELL, there(shared / "x"), "x"), "can write there as well")
    files.remove(SHELL, there(shared / "x"))
    (shared / "x").write_text("")
    refused(lambda: files.remove(SHELL, there(shared / "x")), "can write there as well")


def test_a_group_that_nobody_is_in_is_nobody(world: World) -> None:
    shared = world.top / "local"
    shared.mkdir()
    os.chown(shared, 0, USER)
    shared.chmod(0o2775)

    files.install(SHELL, there(shared / "x"), "x")
    assert whose(shared / "x")[0] == 0


def test_a_path_that_goes_back_or_round_in_a_circle_is_refused(world: World) -> None:
    refused(lambda: files.read(SHELL, there(world.top / "user" / ".." / "root" / "secret")), "back")
    refused(lambda: files.read(SHELL, world.link("circle", world.user / "circle")), "circle")
    (world.top / "out").symlink_to("user/../root/secret")
    refused(lambda: files.read(SHELL, there(world.top / "out")), "root does not own")


def test_a_lock_of_somebody_else_s_is_not_used(world: World) -> None:
    locks = world.top / "locks"
    locks.mkdir()
    os.chown(locks, USER, USER)

    path = there(world.top / "x")
    refused(lambda: files.install(SHELL, path, "x"), "not to root")


def test_what_does_not_arrive_whole_is_not_written(world: World) -> None:
    path = world.user / "x"
    argv = (*files.BEGIN, "install", str(path), OWNER, "644", "")

    done = SHELL.run(argv, stdin=files.PROGRAM + "aGFsZg==", check=False)
    assert (done.status, "arrived incomplete" in done.stderr) == (files.REFUSED, True)
    assert SHELL.run(argv, stdin=files.PROGRAM[:-1], check=False).status not in {0, files.REFUSED}
    assert not path.exists()
