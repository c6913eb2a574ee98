"""Whatever a move needs is taken away once, and the next check says so and what mends it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath

import pytest
from pydantic import SecretStr

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.build_service import build_service
from tasks.host.files import STATE
from tasks.install.programs import LIBRARY
from tasks.readiness import at_home
from tasks.readiness.probes import Found, Need, look_at_both
from tasks.records.kinds import Failover
from tasks.records.loss import Exposure
from tasks.recovery import door
from tasks.run import terminal
from tasks.serving import site_files
from tests.lab import names
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, no_strangers

# It takes something away, and gives the instance as which the need is to be asked.
Taker = Callable[[Pair, OdooInstance], AbstractContextManager[OdooInstance]]
FULL = "#!/bin/sh\nprintf 'Avail 1B-blocks File\\n1 1000 %s\\n' \"$3\"\n"
UNLISTED = (
    "server {{ listen 80; server_name nobody-listed.{}; "
    "location / {{ proxy_pass http://127.0.0.1:{}; }} }}\n"
)


@contextmanager
def _away(machine: Machine, path: str | PurePosixPath) -> Iterator[None]:
    machine.run("mv", str(path), f"{path}.away")
    try:
        yield
    finally:
        machine.run("mv", f"{path}.away", str(path))


@contextmanager
def _read_only(machine: Machine, path: str) -> Iterator[None]:
    machine.run("mount", "--bind", path, path)
    try:
        machine.run("mount", "-o", "remount,ro,bind", path)
        yield
    finally:
        machine.run("umount", path)


@contextmanager
def _moves(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    path = f"{STATE}/{pair.name}/failover.json"
    at = datetime(2026, 1, 1, tzinfo=UTC)
    begun = Failover(exposure=Exposure.none(), reason="a drill", time=at)
    pair.recovery.write(path, begun.as_text(), mode=0o600)
    yield block
    pair.recovery.run("rm", path)


@contextmanager
def _users(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """As a replicate leaves it that died between the users."""
    yield block.model_copy(update={"settled": "moving"})


@contextmanager
def _door(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    socket = f"{door.unit(block)}.socket"
    pair.recovery.run("systemctl", "start", socket)
    yield block
    pair.recovery.run("systemctl", "stop", socket)


@contextmanager
def _signing_key(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    yield block.model_copy(update={"signing_key": SecretStr("of another runner, as long")})


@contextmanager
def _stream(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    pair.at_recovery("SELECT pg_wal_replay_pause()")
    yield block
    pair.at_recovery("SELECT pg_wal_replay_resume()")


@contextmanager
def _slot(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    pair.at_recovery("SELECT pg_create_physical_replication_slot('of_nobody')")
    yield block
    pair.at_recovery("SELECT pg_drop_replication_slot('of_nobody')")


@contextmanager
def _login(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """The stream that runs goes on, and none could begin."""
    role = block.replication.user
    pair.at_origin(f'ALTER ROLE "{role}" NOLOGIN')
    yield block
    pair.at_origin(f'ALTER ROLE "{role}" LOGIN')


@contextmanager
def _commits(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """The inventory wants what was never set."""
    waits = block.replication.model_copy(update={"synchronous": "wait"})
    yield block.model_copy(update={"replication": waits})


@contextmanager
def _guard(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    with _away(pair.origin.machine, LIBRARY / "guard"):
        yield block


@contextmanager
def _receipts(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """The folder, and the newest one, which is kept beside it as well."""
    machine, kept = pair.origin.machine, f"{STATE}/{pair.name}"
    with _away(machine, f"{kept}/receipts"), _away(machine, f"{kept}/right.json"):
        yield block


@contextmanager
def _parity(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    version = pair.lab.generation.postgres
    with _away(pair.recovery, f"/usr/share/postgresql/{version}/extension/plpgsql.control"):
        yield block


@contextmanager
def _odoo(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    pair.origin.machine.run("systemctl", "stop", pair.origin.unit)
    yield block
    pair.origin.machine.run("systemctl", "start", pair.origin.unit)


@contextmanager
def _http(_: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """Nobody listens where the inventory says; a frozen one is drilled elsewhere."""
    yield _with_odoo(block, http_port=9)


@contextmanager
def _settings(_: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    yield _with_odoo(block, data_dir=PurePosixPath("/srv/elsewhere"))


def _with_odoo(block: OdooInstance, **facts: object) -> OdooInstance:
    odoo = block.origin.odoo.model_copy(update=facts)
    return block.model_copy(update={"origin": block.origin.model_copy(update={"odoo": odoo})})


@contextmanager
def _modules(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    sources = PurePosixPath(pair.origin.sources)
    with _away(pair.recovery, block.copied(sources) / "lab_notes"):
        yield block


@contextmanager
def _sources(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """Somebody mends a module where it runs."""
    machine, path = pair.origin.machine, f"{block.origin.odoo.sources[0]}/lab_notes/__init__.py"
    machine.run("cp", "-a", path, f"{path}.kept")
    machine.run("sh", "-c", 'echo "# mended" >>"$1"', "mend", path)
    yield block
    machine.run("mv", f"{path}.kept", path)


@contextmanager
def _packages(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """The origin's Odoo got one more; of an environment that stands alone, whoever made it."""
    paths = [f"{block.directory}/requirements.txt", f"{block.directory}/venv/pyvenv.cfg"]
    for path in paths:
        pair.recovery.run("cp", "-a", path, f"{path}.before")
    pair.recovery.run("sed", "-i", "1i lab-never==1.0", paths[0])
    pair.recovery.run("sed", "-i", "/^include-system/s/true/false/", paths[1])
    yield block
    for path in paths:
        pair.recovery.run("mv", f"{path}.before", path)


@contextmanager
def _programs(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """The origin can print, and the recovery host cannot."""
    machine, path = pair.origin.machine, "/usr/local/bin/wkhtmltopdf"
    machine.write(path, "#!/bin/sh\necho 'wkhtmltopdf 0.12.5 (with patched qt)'\n", mode=0o755)
    yield block
    machine.run("rm", path)


@contextmanager
def _follower(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    unit = f"relevo-follow-odoo_{pair.name}"
    pair.recovery.run("systemctl", "stop", unit)
    yield block
    pair.recovery.run("systemctl", "start", unit)


@contextmanager
def _service(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    with _away(pair.recovery, block.recovery.odoo.config):
        yield block


@contextmanager
def _site(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """A package's upgrade has brought its own nginx.conf, and was reloaded."""
    with _away(pair.recovery, site_files.folder(block) / "shown.conf"):
        yield block


@contextmanager
def _nginx(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """A customer got one more domain, which nobody wrote into the inventory."""
    machine, path = pair.origin.machine, "/etc/nginx/conf.d/unlisted.conf"
    machine.write(path, UNLISTED.format(names.ZONE, pair.origin.http_port), mode=0o644)
    yield block
    machine.run("rm", path)


@contextmanager
def _certificates(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """A certificate was renewed by hand, and nginx has not been told."""
    chain = site_files.chain(block, block.domains[0])
    pair.recovery.run("cp", "-a", str(chain), f"{chain}.before")
    again = (
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null",
        "-subj", "/CN=x", "-addext", f"subjectAltName=DNS:{block.domains[0]}",
        "-days", "90", "-out", str(chain),
    )  # fmt: skip
    pair.recovery.run(*again)
    yield block
    pair.recovery.run("mv", f"{chain}.before", str(chain))


@contextmanager
def _names(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    """The token was changed at the provider, or in secrets.yaml."""
    assert block.dns is not None
    forged = SecretStr(f"hmac-sha256:{names.KEY}:{names.SECRET.swapcase()}")
    options = {**block.dns.options, "auth_token": forged}
    yield block.model_copy(update={"dns": block.dns.model_copy(update={"options": options})})


@contextmanager
def _files(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    pair.at_origin("CREATE DATABASE privado ALLOW_CONNECTIONS false")
    there = "SELECT count(*) FROM pg_database WHERE datname = 'privado'"
    wait_until(lambda: pair.at_recovery(there) == "1", "it is replayed")
    yield block
    pair.at_origin("DROP DATABASE privado")
    wait_until(lambda: pair.at_recovery(there) == "0", "it is replayed")


@contextmanager
def _folders_at_the_origin(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    with _read_only(pair.origin.machine, f"{STATE}/{pair.name}"):
        yield block


@contextmanager
def _folders_at_the_recovery(pair: Pair, block: OdooInstance) -> Iterator[OdooInstance]:
    with _read_only(pair.recovery, str(site_files.folder(block))):
        yield block


@contextmanager
def _full(machine: Machine, block: OdooInstance) -> Iterator[OdooInstance]:
    """What df would say; really full disks are drilled elsewhere."""
    machine.write("/usr/local/bin/df", FULL, mode=0o755)
    yield block
    machine.run("rm", "/usr/local/bin/df")


TAKERS: dict[str, Taker] = {
    "moves": _moves,
    "users": _users,
    "door": _door,
    "signing key": _signing_key,
    "stream": _stream,
    "slot": _slot,
    "login at the origin": _login,
    "commits wait": _commits,
    "guard": _guard,
    "receipts": _receipts,
    "parity": _parity,
    "Odoo at the origin": _odoo,
    "HTTP at the origin": _http,
    "service": _service,
    "settings of Odoo": _settings,
    "modules": _modules,
    "sources": _sources,
    "packages": _packages,
    "programs of Odoo": _programs,
    "follower": _follower,
    "site": _site,
    "nginx at the origin": _nginx,
    "certificates": _certificates,
    "names": _names,
    "files": _files,
    "folders at the origin": _folders_at_the_origin,
    "folders at the recovery": _folders_at_the_recovery,
    "disk at the origin": lambda pair, block: _full(pair.origin.machine, block),
    "disk at the recovery": lambda pair, block: _full(pair.recovery, block),
}
# The one that has a certificate.
OF_DOS = {"certificates", "nginx at the origin"}
# What is left behind, and hinders no move, is amber.
AMBER = {"nginx at the origin"}


def test_every_need_has_somebody_here_who_takes_it_away() -> None:
    assert {each.name for each in at_home.NEEDS} == set(TAKERS)


def asked(need: Need, block: OdooInstance) -> Found:
    found = Found()
    with terminal.without_server():
        if need.when(look_at_both(block)):
            found.take(need.name, partial(need.ask, block), remedy=need.remedy)
    return found


def is_there(need: Need, block: OdooInstance) -> bool:
    found = asked(need, block)
    return found.is_good(need.name) and not (need.name in AMBER and found.remarks)


@pytest.mark.parametrize("need", at_home.NEEDS, ids=lambda need: need.name)
def test_a_need_that_is_taken_away_turns_the_next_check_red_and_its_remedy_is_said(
    need: Need, request: pytest.FixtureRequest, blocks: dict[str, OdooInstance]
) -> None:
    pair: Pair = request.getfixturevalue("dos" if need.name in OF_DOS else "uno")
    block = blocks[pair.name]
    # The one before may be coming back: a unit runs before its Odoo answers.
    wait_until(lambda: is_there(need, block), f"{need.name} is there", 30)
    with TAKERS[need.name](pair, block) as lacking:
        found = asked(need, lacking)
    lacks = found.remarks if need.name in AMBER else found.failed.get(need.name)
    assert lacks, f"still said: {found.facts}"
    assert any(word in found.facts[need.name] for word in ("HINT: ", "run ", "start it"))
    wait_until(lambda: is_there(need, block), f"{need.name} is back", 30)


# What an upgrade leaves. Arguments: a venv, and the name of a Python that is not there.
UPGRADED = 'mv "$1"/lib/python3* "$1/lib/$2"'
REMOVED = 'ln -sfn "/usr/bin/$2" "$1/bin/python3"'
CUT = """
part=$("$1/bin/python" -c "import psycopg2._psycopg; print(psycopg2._psycopg.__file__)")
mv "$part" "$part.kept" && head -c 100 "$part.kept" >"$part" && echo "$part"
"""


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (UPGRADED, "its environment was made for 3.2"),
        (REMOVED, "its environment has a Python that does not work"),
    ],
)
def test_an_environment_that_an_upgrade_has_broken_is_red_and_the_next_build_makes_another(
    uno: Pair, blocks: dict[str, OdooInstance], broken: str, said: str
) -> None:
    block = blocks[uno.name]
    need = next(each for each in at_home.NEEDS if each.name == "packages")
    venv = str(block.directory / "venv")
    uno.recovery.run("sh", "-ec", broken, "break", venv, "python3.2")

    found = asked(need, block)
    assert said in found.failed["packages"]
    assert "HINT: run build-service" in found.facts["packages"]

    build_service(block)
    assert is_there(need, block), asked(need, block).facts
    uno.recovery.run(f"{venv}/bin/python", "-c", "import psycopg2")
    uno.recovery.run("test", "!", "-e", f"{venv}.new")


def test_a_compiled_package_that_is_there_and_cannot_be_loaded_is_named(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """As after an upgrade of the library that it was built with."""
    block = blocks[uno.name]
    need = next(each for each in at_home.NEEDS if each.name == "packages")
    venv = str(block.directory / "venv")
    part = uno.recovery.run("sh", "-ec", CUT, "cut", venv).stdout.strip()
    try:
        found = asked(need, block)
    finally:
        uno.recovery.run("mv", f"{part}.kept", part)
    assert "psycopg2 (ImportError: " in found.failed["packages"]
    assert is_there(need, block)


def test_a_postgresql_whose_package_was_removed_is_said_with_what_brings_it_back(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    version = uno.lab.generation.postgres
    with _away(uno.recovery, f"/usr/lib/postgresql/{version}/bin"):
        gone = pytest.raises(Refused, match=f"has no PostgreSQL {version} any more")
        with terminal.without_server(), gone:
            look_at_both(blocks[uno.name])


def test_nothing_that_was_taken_away_is_still_away(uno: Pair, dos: Pair) -> None:
    no_strangers(uno)
    no_strangers(dos)
