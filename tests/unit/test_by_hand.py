"""A page that is kept for the night is the same on every day, and can be pasted as it stands."""

import os
import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from blocks import users
from blocks.instance import OdooInstance
from blocks.names import Language
from tasks.authority.situation import Procedure
from tasks.byhand.by_hand import PAGES
from tasks.plan import placeholders, words
from tests.by_hand import TO_PASTE, Read, steps
from tests.flows.conftest import instance

__all__ = ["instance"]
DATA = Path(__file__).with_name("data")
LANGUAGES: tuple[Language, ...] = ("en", "es")
# What Relevo alone does in part is within the pages of a failover and of a failback.
PARTS = ("promote", "pg_rewind")
ALL: tuple[Procedure, ...] = tuple(each for each in get_args(Procedure) if each not in PARTS)
MOVES: tuple[Procedure, ...] = ("failover", "failback")
KEPT: tuple[Procedure, ...] = ("failover", "failback", "recovery is gone")
# What only one night knows: an LSN, a time, a date, a number of bytes or seconds that was measured.
LIVE = re.compile(r"\b[0-9A-F]{1,8}/[0-9A-F]{5,8}\b|\b\d\d:\d\d\b|\b20\d\d-\d\d|\b\d+ (bytes|s)\b")
WAYS = {"failover": "ABC", "failback": "ABC", "recovery is gone": ""}


@pytest.fixture
def confined(instance: OdooInstance) -> OdooInstance:
    """One that has users of its own on the recovery host, as all have that were replicated."""
    owner = users.cluster_user(instance.name)
    found = instance.recovery.cluster.model_copy(
        update={"owner": owner, "sockets": users.sockets(instance.name, owner)}
    )
    recovery = instance.recovery.model_copy(update={"cluster": found})
    return instance.model_copy(update={"recovery": recovery})


def page(instance: OdooInstance, procedure: Procedure, language: Language = "en") -> str:
    return words.by_hand(procedure, placeholders.names(instance), language)


def read(instance: OdooInstance, procedure: Procedure, language: Language = "en") -> list[Read]:
    return list(steps(page(instance, procedure, language)))


def typed(
    *options: str, text: str, path: str = os.environ["PATH"]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", *options], input=text, text=True, capture_output=True, check=False,
        env={"PATH": path},
    )  # fmt: skip


@pytest.mark.parametrize("procedure", ALL)
@pytest.mark.parametrize("shared", [True, False])
def test_every_block_is_a_shell_of_its_own_that_bash_can_read(
    instance: OdooInstance, confined: OdooInstance, procedure: Procedure, shared: bool
) -> None:
    blocks = [each for each in read(instance if shared else confined, procedure) if each.block]

    assert len(blocks) > 5
    assert "curl" not in page(instance, procedure), "no server has to have it"
    for each in blocks:
        done = typed("-n", text=each.block)
        assert (done.returncode, done.stderr) == (0, ""), each.label
        assert each.block.startswith("(\nset -euo pipefail\ncd /\n")
        assert each.block.endswith(f"\necho '{each.label}: OK'\n)\n")
        left = re.search(r"<[a-z]+>|(?<!%)\{[a-z]+\}|NAME|NOMBRE", each.block)
        assert not left, "nothing is left to be filled in"


@pytest.mark.parametrize("procedure", ALL)
def test_both_languages_have_the_same_commands_on_the_same_hosts(
    confined: OdooInstance, procedure: Procedure
) -> None:
    english, spanish = (read(confined, procedure, language) for language in LANGUAGES)

    told = [(each.way, each.label, each.block, each.only) for each in english]
    assert told == [(each.way, each.label, each.block, each.only) for each in spanish]
    assert [each.where for each in spanish] == [
        each.where.replace("you", "usted") for each in english
    ]
    assert all(a.title != b.title for a, b in zip(english, spanish, strict=True))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("procedure", KEPT)
def test_a_page_has_all_ways_and_nothing_of_one_night(
    confined: OdooInstance, procedure: Procedure, language: Language
) -> None:
    text = page(confined, procedure, language)

    assert sorted({each.way for each in steps(text)} - {""}) == list(WAYS[procedure])
    assert not LIVE.search(re.sub(r"\d+\.\d+\.\d+\.\d+(/\d+)?", "", text))


def test_a_page_is_drawn_without_asking_any_host(confined: OdooInstance) -> None:
    """The fixture has no shell for either: an origin that is dead makes no other page."""
    assert page(confined, "failover") == page(confined, "failover")


@pytest.mark.parametrize("procedure", KEPT)
def test_a_page_in_spanish_has_no_english_sentence_and_no_word_of_spain_alone(
    confined: OdooInstance, procedure: Procedure
) -> None:
    text = re.sub(r"```bash.*?```", "", page(confined, procedure, "es"), flags=re.DOTALL)

    assert not re.search(r"\b(the|will|until|nobody|only|then)\b", text)
    assert not re.search(r"fichero|Promocion|ordenador|se niegan", text)


def test_no_step_refers_to_a_step_that_is_not_there(confined: OdooInstance) -> None:
    assert set(PAGES) == set(ALL)
    for procedure in ALL:
        found = read(confined, procedure)
        labels = {each.label for each in found}
        for each in found:
            named = re.findall(r"\b([A-C]?\d+) (?:printed|failed|was done)", each.title + each.text)
            assert set(named) <= labels, each.label


def test_an_instance_without_domains_has_no_site_and_no_names_to_move(
    confined: OdooInstance,
) -> None:
    plain = confined.model_copy(update={"domains": ()})

    for procedure in MOVES:
        assert "DNS" in {each.where for each in read(confined, procedure)}
        found = read(plain, procedure)
        assert "DNS" not in {each.where for each in found}
        assert "/etc/nginx/" not in page(plain, procedure)
        numbers = [int(each.label) for each in found if not each.way]
        assert numbers == list(range(1, len(numbers) + 1)), "none is missing"


def order(found: list[Read], way: str, *marks: str) -> None:
    """Require that what is pasted for a way has these words in this order."""
    typed = "".join(each.block for each in found if each.way in {"", way} and not each.only)
    at = [typed.index(each) for each in marks]
    assert at == sorted(at), list(zip(marks, at, strict=True))


def test_a_failover_stops_the_origin_and_compares_before_it_promotes(
    confined: OdooInstance,
) -> None:
    found = read(confined, "failover")

    order(
        found, "A", "NOT pg_is_wal_replay_paused()", "systemctl stop odoo.service", "rsync",
        "13 main stop", "stopped='%s'", "set -- $stopped", "13 vps_1 promote",
        "systemctl start odoo_vps_1.service", "serving.conf",
    )  # fmt: skip
    forced = [each for each in found if each.way == "B"]
    assert forced[0].where == "you"
    assert "power it off" in forced[0].title
    assert not any("odoo.service" in each.block or "13 main" in each.block for each in forced), (
        "nothing is pasted at a server that is off"
    )


def test_a_failback_keeps_aside_before_it_rewinds_and_has_the_clone_where_it_may_fail(
    confined: OdooInstance,
) -> None:
    found = read(confined, "failback")

    order(
        found, "B", "13 main stop", "facts='%s'", "cp -aL", "/bin/pg_rewind", "install -m 600",
        "systemctl start postgresql@13-main", "+failback %s",
    )  # fmt: skip
    labels = [each.label for each in found if each.way == "B"]
    assert labels == ["B1", "B2", "B3", "B4"]
    instead = next(each for each in found if each.label == "B3")
    assert instead.title.startswith("Only if B2 failed")
    clone = next(each for each in found if each.way == "C" and "pg_basebackup --no" in each.block)
    assert instead.block.replace("B3", clone.label) == clone.block
    order([clone], "C", "pg_verifybackup", "install -m 600", '"$data" "$aside"', '"$new" "$data"')


@pytest.mark.parametrize("way", list("ABC"))
def test_every_way_home_hands_over_as_a_failback_does(confined: OdooInstance, way: str) -> None:
    order(
        [each for each in read(confined, "failback") if each.way in {"", way}], way,
        "systemctl start postgresql@13-main", "+failback %s", "replay_lsn",
        "systemctl stop odoo_vps_1.service", "13 vps_1 stop", "set -- $stopped",
        "disable --now relevo-guard-vps_1", "13 main promote", "systemctl start odoo.service",
        "standby.conf", "systemctl start postgresql@13-vps_1",
        "disable --now relevo-door-vps_1.socket",
    )  # fmt: skip


def test_a_failback_may_begin_with_an_origin_that_is_off_and_lets_none_serve_twice(
    confined: OdooInstance,
) -> None:
    before, hold, *_ = read(confined, "failback")

    assert before.only
    assert "systemctl stop" not in before.block, "nothing runs in a rescue mode"
    for each in (before, hold):
        disables = each.block.index("systemctl disable odoo.service")
        assert each.block.index("echo manual") < disables, "PostgreSQL first, whatever Odoo is"
        assert "echo manual | runuser -u postgres -- tee" in each.block
        assert "rm -f /etc/postgresql/13/main/conf.d/relevo-synchronous.conf" in each.block


STUBS = """
runuser() { shift 3; "$@"; }
env() { shift; "$@"; }
pg_conftool() { echo "$DATA"; }
"""


@pytest.mark.parametrize(
    ("control", "signal", "told"),
    [
        ("13_shut_down", False, "|shut down|0/"),
        ("13_in_archive_recovery", True, "|in archive recovery|0/"),
        ("17_in_production", False, "|in production|0/"),
    ],
)
def test_what_the_origin_tells_has_eleven_fields_to_be_pasted(
    confined: OdooInstance, tmp_path: Path, control: str, signal: bool, told: str
) -> None:
    """The query that decides which way takes them by their number."""
    tell = next(each for each in read(confined, "failback") if "facts='%s'" in each.block)
    (tmp_path / "postgresql.conf").touch()
    if signal:
        (tmp_path / "standby.signal").touch()
    block = tell.block.replace("/etc/postgresql/13/main", str(tmp_path)).replace(
        "/usr/lib/postgresql/13/bin/pg_controldata -D",
        f"cat {DATA / f'pg_controldata_{control}.txt'} #",
    )
    block = re.sub(r"(cat \S+ )#[^)]*", r"\1", block)

    done = typed(text=f"DATA={tmp_path}\n{STUBS}{block}")

    (line,) = TO_PASTE.findall(done.stdout)
    fields = line.removeprefix("facts='").removesuffix("'").split("|")
    assert len(fields) == 11, done.stderr
    assert told in line
    assert fields[2].startswith("0/")
    assert fields[3].isdecimal()
    assert fields[6] in {"on", "off"}
    assert fields[8:] == ["yes" if signal else "no", "no", "no"]


def test_a_server_whose_cluster_was_wiped_tells_that_there_is_none(
    confined: OdooInstance, tmp_path: Path
) -> None:
    tell = next(each for each in read(confined, "failback") if "facts='%s'" in each.block)
    block = tell.block.replace("/etc/postgresql/13/main", str(tmp_path / "none"))

    done = typed(text=STUBS + block)

    assert TO_PASTE.findall(done.stdout) == ["facts='none'"]
    assert done.stdout.endswith(f"{tell.label}: OK\n")


def pasted(block: str) -> subprocess.CompletedProcess[str]:
    """Paste a block where no program is found: nothing of this machine is touched."""
    return typed(text=block, path="/nowhere")


@pytest.mark.parametrize("procedure", MOVES)
def test_a_block_that_was_not_given_what_it_needs_stops_at_once(
    confined: OdooInstance, procedure: Procedure
) -> None:
    given = ("Paste first", "when it asks")
    waiting = [e for e in read(confined, procedure) if any(words in e.text for words in given)]

    assert waiting
    for each in waiting:
        done = pasted(each.block)
        assert done.returncode == 1, each.label
        assert "unbound variable" in done.stderr or "=? " in done.stderr
        assert "OK" not in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stopped", "stopped='71 0/3000028'; touch EVIL; true '"),
        ("stopped", "stopped=$(touch EVIL)"),
        ("stopped", "touch EVIL"),
        ("stopped", "stopped='71 0/0'::pg_lsn)/**/OR/**/true;--'"),
        ("facts", "facts='71|shut down|0/3|1|0/0|0|on|0|no|no|no'; touch EVIL"),
        ("facts", "facts='`touch EVIL`'"),
    ],
)
def test_a_line_of_the_other_server_is_never_a_command_here(
    confined: OdooInstance, tmp_path: Path, name: str, said: str
) -> None:
    """Whoever owns that server chooses what its block prints, and who pastes it is root here."""
    (block,) = {
        re.sub(r"\nset -- .*|\nrunuser .*", "\nexit 9\n)\n", each.block, flags=re.DOTALL)
        for each in read(confined, "failback")
        if f"printf '{name}=? '" in each.block
    }
    evil = tmp_path / "evil"

    done = typed(text=f"{block}{said.replace('EVIL', str(evil))}\n")

    assert not evil.exists()
    assert done.returncode == 1, "it went on with it"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stopped", "71 0/3000028"),
        ("facts", "71|shut down|0/3|1|0/0|0|on|0|no|no|no"),
        ("facts", "none"),
    ],
)
def test_an_honest_line_is_taken_as_it_is(confined: OdooInstance, name: str, said: str) -> None:
    block = next(e.block for e in read(confined, "failback") if f"printf '{name}=? '" in e.block)
    block = re.sub(
        r"\nset -- .*|\nrunuser .*", f'\nprintf %s "${name}"\n)\n', block, flags=re.DOTALL
    )

    assert typed(text=f"{block}\n{name}='{said}'\n").stdout == said


@pytest.mark.parametrize("procedure", KEPT)
def test_a_block_whose_first_command_fails_does_nothing_more(
    confined: OdooInstance, procedure: Procedure
) -> None:
    for each in read(confined, procedure):
        if each.block and "facts='%s'" not in each.block:  # that one says so
            done = pasted(each.block)
            assert done.returncode != 0, each.label
            assert "OK" not in done.stdout
