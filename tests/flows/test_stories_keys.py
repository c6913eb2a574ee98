"""A run that signs with a key that the guard does not know touches nothing; a rotation mends it."""

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from pydantic import SecretStr

from blocks import signing
from blocks.errors import CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.shell import Completed
from deployments import rotation, signers
from deployments.secrets import Secrets
from flows.failover import failover
from tasks.authority import guard, keys
from tasks.authority.guard_files import allowed_signers
from tasks.host import files
from tasks.receipts import receipt as reading
from tasks.receipts import receipt_files, receipts
from tasks.receipts.receipt import NAMESPACE, Receipt
from tasks.receipts.signers import Signers
from tasks.run import terminal
from tests.fakes import FakeHost, FakeShell, is_about_files
from tests.flows.conftest import SECRETS, Hosts, dead, standby

OLD, OTHER = SecretStr(SECRETS[3]), SecretStr("a regenerated key")
FIRST = Receipt("vps_1", 1, "first", "recovery", "origin", "7", 1, "", "noon")
AWAY = replace(FIRST, epoch=2, kind="demotion", giver="origin", taker="recovery", checkpoint="0/30")
RECEIPTS = PurePosixPath("/var/lib/relevo/vps_1/receipts")


def public(key: SecretStr) -> str:
    return signing.public_key(key)


def line(receipt: Receipt, key: SecretStr) -> str:
    text = receipt.text()
    return reading.sealed(text, signing.sign(text, key, namespace=NAMESPACE))


class Disk(FakeHost):
    """A host that keeps the files that are written to it; a kill comes before the next one."""

    def __init__(self, name: str) -> None:
        super().__init__(name, {"hold vps_1 rotate-key 30": "held 1", "date *": "noon\n"})
        self.files: dict[str, str] = {}
        self.silent = False

    def shell(self) -> FakeShell:
        return DiskShell(self)


class DiskShell(FakeShell):
    """The scripts of tasks.host.files and tasks.receipts over those files."""

    fake: Disk

    def run(self, argv: Any, *, stdin: str = "", check: bool = True, **_: Any) -> Completed:
        if self.fake.silent:
            raise Unreachable(f"{self.host} did not answer")
        words, kept = tuple(argv), self.fake.files
        said, status = "", 0
        if is_about_files(argv) and words[-1] != "together":
            said, status = self._about_files(words[len(files.BEGIN) :], stdin)
        elif words[3:4] == ("receipts",):
            folder = [kept[path] for path in sorted(kept) if path.startswith(str(RECEIPTS))]
            right = kept.get(f"{words[4]}/right.json", "")
            said = "".join(folder) + f"\nright\n{right}\nsigners\n" + kept.get(words[5], "")
        else:
            return super().run(argv, stdin=stdin, check=check)
        return Completed(words, status, said, "")

    def _about_files(self, words: tuple[str, ...], stdin: str) -> tuple[str, int]:
        verb, path, kept = words[0], words[1], self.fake.files
        if verb == "exists":
            return "", int(path not in kept)
        if verb == "read":
            return base64.b64encode(kept.get(path, "").encode()).decode(), 0
        assert verb == "install", f"{verb} is no more than these hosts can do"
        text = base64.b64decode(stdin.removeprefix(files.PROGRAM)).decode()
        before, kept[path] = kept.get(path), text
        return "same\n" if before == text else "installed\n", 0


def replicated(instance: OdooInstance, *disks: Disk, key: SecretStr = OLD) -> None:
    """Two hosts that know two receipts of one key, and believe it."""
    for place, disk in zip((instance.origin, instance.recovery), disks, strict=True):
        for receipt in (FIRST, AWAY):
            disk.files[str(RECEIPTS / f"{receipt.epoch:06d}.json")] = line(receipt, key)
        disk.files["/var/lib/relevo/vps_1/right.json"] = line(AWAY, key)
        text = allowed_signers(Signers((public(key),)), namespace=NAMESPACE)
        disk.files[str(receipt_files.signers_path(instance, place))] = text


def with_key(instance: OdooInstance, key: SecretStr, **more: object) -> OdooInstance:
    return instance.model_copy(update={"signing_key": key, **more})


def kept_in(instance: OdooInstance, hosts: Hosts, tmp_path: Path) -> receipt_files.Kept:
    """Read a folder of this machine, by the script that a host runs."""
    argv = ("sh", "-c", receipt_files.READ, "receipts", str(tmp_path), str(tmp_path / "signers"))
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    hosts(FakeHost("uno"), FakeHost("due", {"receipts *": done.stdout}))
    return receipt_files.kept_on(instance, instance.recovery)


def test_what_is_there_and_cannot_be_read_does_not_look_as_if_it_were_not_there(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    assert kept_in(instance, hosts, tmp_path) == receipt_files.Kept({}, None, 0)

    (tmp_path / "receipts").mkdir()
    (tmp_path / "receipts" / "000001.json").write_text(line(FIRST, OLD))
    (tmp_path / "right.json").write_text(line(AWAY, OLD))
    (tmp_path / "signers").write_text(allowed_signers(Signers((public(OLD),)), namespace=NAMESPACE))
    whole = kept_in(instance, hosts, tmp_path)
    assert (whole.files, whole.right, whole.false) == ({1: FIRST}, AWAY, 0)
    assert whole.signers.current == (public(OLD),)

    (tmp_path / "receipts" / "000002.json").mkdir()  # cat says no, as on a disk that does
    (tmp_path / "right.json").unlink()
    (tmp_path / "right.json").mkdir()
    broken = kept_in(instance, hosts, tmp_path)
    assert (broken.files, broken.right, broken.false) == ({1: FIRST}, None, 2)


def test_a_look_at_receipts_that_was_cut_off_is_no_look(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """A host that is out of memory may end the shell; half of the receipts are not all of them."""
    hosts(FakeHost("uno"), FakeHost("due", {"receipts *": 137}))

    with pytest.raises(CommandFailed, match="status 137"):
        receipt_files.kept_on(instance, instance.recovery)


@pytest.fixture
def disks(hosts: Hosts) -> tuple[Disk, Disk]:
    uno, due = Disk("uno"), Disk("due")
    hosts(uno, due)
    return uno, due


@pytest.mark.parametrize("noted", [True, False], ids=["a_note", "receipts_alone"])
def test_a_forced_failover_with_a_regenerated_key_touches_nothing(
    instance: OdooInstance, hosts: Hosts, noted: bool
) -> None:
    """The origin would believe its old receipt, and serve beside the recovery host."""
    kept = line(FIRST, OLD) + "\nright\n" + line(AWAY, OLD) + "\nsigners\n"
    kept += allowed_signers(Signers((public(OLD),)), namespace=NAMESPACE) if noted else ""
    uno, due = dead(), FakeHost("due", {**standby(), "receipts *": kept})
    due.answers = {"receipts *": kept, **standby()}
    hosts(uno, due)

    with pytest.raises(Refused, match=r"not the one that the guard of uno .* trusts") as refused:
        failover(with_key(instance, OTHER), origin_is_down=True, reason="it burns")

    assert "relevo rotate-key vps_1" in refused.value.hint
    assert due.changes == ["hold vps_1 failover 30"]
    assert uno.ran == []


def test_a_retired_key_and_a_rotation_that_never_ended_are_told_apart(
    instance: OdooInstance, disks: tuple[Disk, Disk]
) -> None:
    replicated(instance, *disks)
    assert keys.objections(instance, origin_answers=True) == []
    new = replace(AWAY, epoch=3)
    named = allowed_signers(Signers((public(OLD), public(OTHER))), namespace=NAMESPACE)
    disks[1].files[str(RECEIPTS / "000003.json")] = line(new, OTHER)
    disks[1].files[str(receipt_files.signers_path(instance, instance.recovery))] = named
    assert "never finished" in keys.objections(instance, origin_answers=False)[0]
    assert (
        keys.objections(with_key(instance, OLD, next_signing_key=OTHER), origin_answers=True) == []
    )

    retired = Signers((public(OTHER),), {public(OLD): 2})
    text = allowed_signers(retired, namespace=NAMESPACE)
    disks[1].files[str(receipt_files.signers_path(instance, instance.recovery))] = text
    assert "was retired" in keys.objections(instance, origin_answers=False)[0]


def test_what_a_retired_key_has_signed_is_history_and_is_brought_where_it_lacks(
    instance: OdooInstance, disks: tuple[Disk, Disk]
) -> None:
    replicated(instance, *disks)
    rotated = with_key(instance, OTHER, retired_keys={public(OLD): 2})
    uno, due = disks
    del uno.files[str(RECEIPTS / "000001.json")]
    before = dict(due.files)

    with terminal.without_server():
        assert [each.epoch for each in receipt_files.history(rotated, rotated.recovery)] == [1, 2]
        asked = receipts.ask(rotated)
        receipts.publish(rotated, replace(AWAY, epoch=3), asked)

    assert uno.files[str(RECEIPTS / "000001.json")] == line(FIRST, OLD)
    assert before.items() <= {**due.files, "/var/lib/relevo/vps_1/right.json": before[
        "/var/lib/relevo/vps_1/right.json"]}.items()  # fmt: skip
    assert [path for path in due.files if path.endswith(".false")] == []


def test_a_retired_key_signs_no_newer_epoch(
    instance: OdooInstance, disks: tuple[Disk, Disk]
) -> None:
    replicated(instance, *disks)
    stolen = replace(AWAY, epoch=3)
    disks[1].files[str(RECEIPTS / "000003.json")] = line(stolen, OLD)
    rotated = with_key(instance, OTHER, retired_keys={public(OLD): 2})

    newest = receipts.newest(rotated)
    assert newest is not None
    assert newest.epoch == 2
    with pytest.raises(Refused, match="1 receipts of vps_1 that Relevo never signed"):
        receipt_files.history(rotated, rotated.recovery)


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def runner(tmp_path: Path, instance: OdooInstance) -> tuple[Secrets, rotation.Read]:
    """secrets.yaml of the instance, and the instance as it is by then."""
    path = tmp_path / "secrets.yaml"
    path.touch(mode=0o600)
    written = {"replication": SECRETS[0], "rewind": SECRETS[1], "signing": SECRETS[3]}
    path.write_text(json.dumps({"vps_1": written}))
    secrets = Secrets(path)
    return secrets, lambda: read(instance, secrets)


def read(instance: OdooInstance, secrets: Secrets) -> OdooInstance:
    mine = secrets.of("vps_1")
    return with_key(
        instance, mine.signing, next_signing_key=mine.signing_next, retired_keys=mine.retired
    )


def rotate(runner: tuple[Secrets, rotation.Read]) -> str:
    with terminal.without_server():
        return rotation.rotate(runner[1], runner[0])


def require_rotated(
    instance: OdooInstance, disks: tuple[Disk, Disk], secrets: Secrets, *, last: int = 2
) -> None:
    """The new key alone signs, the old one is history, and both hosts keep the same."""
    again = Secrets(secrets.path)
    mine = again.of("vps_1")
    assert again.invented == []
    assert mine.signing_next is None
    assert mine.retired == {public(OLD): last}
    assert signers.read(secrets) == {"vps_1": public(mine.signing)}
    now = read(instance, again)
    for place, disk in zip((now.origin, now.recovery), disks, strict=True):
        kept = receipt_files.kept_on(now, place)
        assert kept.signers == Signers((public(mine.signing),), {public(OLD): last})
        assert kept.false == 0
        assert kept.right is not None
        assert kept.signed[kept.right.epoch] == public(mine.signing)
        assert replace(kept.right, epoch=AWAY.epoch) == AWAY, "the same words, numbered anew"
        assert {1, 2, 3} <= kept.files.keys()
        assert disk.files[str(RECEIPTS / "000001.json")] == line(FIRST, OLD)
    assert keys.objections(now, origin_answers=True) == []
    assert "was retired" in keys.objections(instance, origin_answers=True)[0]


def test_a_rotation_leaves_the_new_key_alone_and_the_old_one_as_history(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read]
) -> None:
    replicated(instance, *disks)
    assert "epoch 3 of vps_1" in rotate(runner)
    require_rotated(instance, disks, runner[0])


def steps(monkeypatch: pytest.MonkeyPatch, *, kill_at: int) -> Callable[[], int]:
    """Count what a rotation writes, on the hosts and in secrets.yaml; die before one of it."""
    count = 0
    change, install = Secrets.change, DiskShell.run

    def next_one() -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            raise Killed

    def changing(self: Secrets, name: str, **fields: Any) -> None:
        next_one()
        change(self, name, **fields)

    def running(self: DiskShell, argv: Any, **more: Any) -> Completed:
        if is_about_files(argv) and argv[len(files.BEGIN)] == "install":
            next_one()
        return install(self, argv, **more)

    monkeypatch.setattr(Secrets, "change", changing)
    monkeypatch.setattr(DiskShell, "run", running)
    return lambda: count


WRITES = 11  # three of secrets.yaml, two notes on each host, two files of the receipt on each


@pytest.mark.parametrize(
    ("kill_at", "between"),
    [(number, between) for number in range(1, WRITES + 1) for between in (False, True)],
)
def test_a_rotation_that_is_killed_anywhere_leaves_a_valid_key_and_is_run_again(  # noqa: PLR0917
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read],
    monkeypatch: pytest.MonkeyPatch, kill_at: int, between: bool,
) -> None:  # fmt: skip
    replicated(instance, *disks)
    with monkeypatch.context() as killing:
        count = steps(killing, kill_at=kill_at)
        with pytest.raises(Killed):
            rotate(runner)
        assert count() == kill_at

    secrets = Secrets(runner[0].path)
    now = read(instance, secrets)
    assert keys.objections(now, origin_answers=True) == [], "what is in secrets.yaml is believed"
    last = 2
    if between:  # a move signs a receipt meanwhile, with whichever key is the one by then
        with terminal.without_server():
            asked = receipts.ask(now)
            assert asked.newest is not None
            newer = replace(AWAY, epoch=asked.newest.epoch + 1)
            receipts.publish(now, newer, asked)
            for place in (now.origin, now.recovery):
                host = receipt_files.kept_on(now, place)
                assert host.signers.believes(host.signed[newer.epoch], newer.epoch)
        last = newer.epoch if public(now.signing_key) == public(OLD) else 2

    rotate((secrets, lambda: read(instance, secrets)))
    require_rotated(instance, disks, secrets, last=last)


def test_the_writes_of_a_rotation_are_as_many_as_the_test_kills(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    replicated(instance, *disks)
    count = steps(monkeypatch, kill_at=0)
    rotate(runner)
    assert count() == WRITES


def test_a_rotation_that_waited_for_another_goes_on_from_what_that_one_has_left(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read]
) -> None:
    replicated(instance, *disks)
    late = Secrets(runner[0].path)
    rotate(runner)
    first = Secrets(runner[0].path).of("vps_1")

    rotate((late, lambda: read(instance, late)))

    mine = Secrets(late.path).of("vps_1")
    assert mine.signing_next is None
    assert mine.retired == {public(OLD): 2, public(first.signing): 3}
    assert keys.objections(read(instance, late), origin_answers=True) == []


@pytest.mark.parametrize("silent", ["uno", "due"])
def test_a_rotation_without_one_of_the_hosts_changes_nothing(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read],
    silent: str,
) -> None:  # fmt: skip
    replicated(instance, *disks)
    before, files = runner[0].path.read_text(), [dict(disk.files) for disk in disks]
    for disk in disks:
        disk.silent = disk.name == silent

    with pytest.raises(Unreachable):
        rotate(runner)

    assert runner[0].path.read_text() == before
    assert [disk.files for disk in disks] == files


def lost(runner: tuple[Secrets, rotation.Read], instance: OdooInstance) -> tuple[Secrets, Any]:
    runner[0].path.unlink()
    secrets = Secrets(runner[0].path)
    return secrets, lambda: read(instance, secrets)


def test_a_key_that_is_lost_is_retired_as_both_hosts_name_it(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read]
) -> None:
    replicated(instance, *disks)
    runner = lost(runner, instance)
    rotate(runner)
    require_rotated(instance, disks, runner[0])


def test_what_older_keys_signed_stays_history_when_all_of_them_are_lost(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read]
) -> None:
    replicated(instance, *disks)
    rotate(runner)
    second = public(runner[1]().signing_key)
    runner = lost(runner, instance)
    rotate(runner)

    now = runner[1]()
    assert now.retired_keys == {public(OLD): 2, second: 3}
    for place in (now.recovery, now.origin):
        assert [each.epoch for each in receipt_files.history(now, place)] == [1, 2, 3, 4]


@pytest.mark.parametrize("kill_at", range(1, WRITES + 1))
def test_a_rotation_of_a_lost_key_that_is_killed_is_run_again(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read],
    monkeypatch: pytest.MonkeyPatch, kill_at: int,
) -> None:  # fmt: skip
    replicated(instance, *disks)
    runner = lost(runner, instance)
    with monkeypatch.context() as killing:
        steps(killing, kill_at=kill_at)
        with pytest.raises(Killed):
            rotate(runner)

    secrets = Secrets(runner[0].path)
    rotate((secrets, lambda: read(instance, secrets)))
    require_rotated(instance, disks, secrets)


def test_a_key_that_only_one_host_names_is_nobody_s(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read]
) -> None:
    """Root at an origin may write there what it likes."""
    replicated(instance, *disks)
    path = str(receipt_files.signers_path(instance, instance.origin))
    disks[0].files[path] += allowed_signers(Signers((public(OTHER),)), namespace=NAMESPACE)
    before = runner[0].path.read_text()

    with pytest.raises(Refused, match="trust different signing keys"):
        rotate(runner)

    assert runner[0].path.read_text() == before


def test_receipts_of_a_key_from_before_retired_ones_were_kept_become_history(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read]
) -> None:
    """The key was changed as the page once said, and failback was refused for ever."""
    replicated(instance, *disks)
    for disk in disks:
        disk.files[str(RECEIPTS / "000001.json")] = line(FIRST, OTHER)
    del disks[1].files[str(receipt_files.signers_path(instance, instance.recovery))]
    with terminal.without_server(), pytest.raises(Refused, match="never signed"):
        receipts.require_genuine(runner[1]())

    rotate(runner)

    now = runner[1]()
    assert now.retired_keys == {public(OTHER): 1, public(OLD): 2}
    for place in (now.recovery, now.origin):
        assert [each.epoch for each in receipt_files.history(now, place)] == [1, 2, 3]


def test_a_key_that_no_host_knows_yet_is_simply_made_anew(
    disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read]
) -> None:
    """A secrets.yaml may be lost before the first replicate."""
    assert rotate(runner) == "vps_1 has a new key; neither host knew the old one"
    mine = Secrets(runner[0].path).of("vps_1")
    assert public(mine.signing) != public(OLD)
    assert (mine.signing_next, mine.retired) == (None, {})
    assert [disk.files for disk in disks] == [{}, {}]


def test_a_guard_that_does_not_believe_the_new_key_keeps_the_old_one(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    replicated(instance, *disks)
    disks[0].files[str(guard.config_path(instance))] = "{}"
    monkeypatch.setattr(guard, "require_answered", lambda _: {"epoch": 2, "taker": "recovery"})

    with pytest.raises(Refused, match="accepts epoch 2, and not 3 of the new key"):
        rotate(runner)

    assert public(Secrets(runner[0].path).of("vps_1").signing) == public(OLD)
    now = read(instance, Secrets(runner[0].path))
    assert keys.objections(now, origin_answers=True) == []


def apply(secrets: Secrets, instance: OdooInstance, *, prefect: bool = False) -> Iterator[str]:
    return signers.require_ours(secrets, [instance], in_prefect=lambda _: prefect)


def test_a_lost_key_is_not_invented_for_an_instance_that_something_remembers(
    instance: OdooInstance, disks: tuple[Disk, Disk], runner: tuple[Secrets, rotation.Read]
) -> None:
    list(signers.keep(runner[0], [runner[1]()]))
    remembered = signers.path(runner[0])
    secrets, again = lost(runner, instance)

    with pytest.raises(Refused, match=r"no signing key of vps_1 \(signers.yaml names it\)") as no:
        list(apply(secrets, again()))
    assert "run `relevo rotate-key vps_1`" in no.value.hint

    remembered.unlink()
    with pytest.raises(Refused, match=r"vps_1 \(Prefect has its block\)"):
        list(apply(secrets, again(), prefect=True))

    assert list(apply(secrets, again())) == [], "a new one"
    replicated(instance, *disks)
    with pytest.raises(Refused, match=r"vps_1 \(due keeps its receipts\)"):
        list(apply(secrets, again()))
    disks[1].silent = True
    with pytest.raises(Refused, match=r"vps_1 \(uno keeps its receipts\)"):
        list(apply(secrets, again()))
    disks[0].silent = True
    assert "vps_1 is taken for new, and due does not answer" in next(apply(secrets, again()))
    assert not secrets.path.exists()


def test_a_key_that_was_put_in_by_hand_is_refused_at_the_door(
    instance: OdooInstance, runner: tuple[Secrets, rotation.Read]
) -> None:
    secrets = runner[0]
    list(signers.keep(secrets, [instance]))
    with pytest.raises(RelevoError, match="has another signing key than before of vps_1"):
        list(apply(secrets, with_key(instance, OTHER)))
    rotated = with_key(instance, OTHER, retired_keys={public(OLD): 2})
    assert list(apply(secrets, rotated)) == []
