"""Twelve faults are planted on real hosts at once; the doctor names each, and what mends it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blocks.errors import CommandFailed
from blocks.instance import OdooInstance
from flows.drill import drill
from tasks.doctor import examine
from tasks.doctor.findings import Finding
from tasks.serving import site_files
from tests.discovered import DROP_IN, relevo, restarted
from tests.killing import DONE, KILLED, killed_at
from tests.lab.hosts import CHAIN, KEY
from tests.oracles import Pair, no_strangers

OPTIONS = """\
[Service]
ExecStart=
ExecStart={command} --config /etc/odoo/odoo.conf --workers=2 --no-database-list
"""
BIN = "/usr/local/bin"
PRINTS = {
    "wkhtmltopdf": "#!/bin/sh\necho 'wkhtmltopdf 0.12.5 (with patched qt)'\n",
    "fc-list": "#!/bin/sh\necho 'Lato'\n",
}
NO_FONTS = "#!/bin/sh\n"
NAMED = "SELECT store_fname FROM ir_attachment WHERE store_fname <> '' ORDER BY 1"
FIND = 'find "$1/venv" /usr/lib/python3 -type d -path "*-packages/$2" | head -n 1'
# In CI every sixth; `RELEVO_STRIDE=1` is each.
STRIDE = int(os.environ.get("RELEVO_STRIDE", "6"))


def found(block: OdooInstance) -> list[Finding]:
    """What the doctor says needs mending."""
    (examined,) = examine.examine([block])
    return [each for each in examined.in_order if each.state != "well"]


@dataclass(frozen=True)
class Fault:
    """What is planted, how its check is called, what is said of it, and what brings it back.

    Some are mended by a hand; the remedy of the others is a command of Relevo's own.
    """

    check: str
    said: str
    plant: Callable[[Pair, OdooInstance], None]
    mend: Callable[[Pair, OdooInstance], None] | None = None


def _file(pair: Pair, block: OdooInstance, number: int) -> str:
    name = pair.at_recovery(NAMED, "cliente1").split()[number]
    return f"{block.recovery.odoo.data_dir}/filestore/cliente1/{name}"


def _corrupt(pair: Pair, block: OdooInstance) -> None:
    write = 'printf "#" | dd of="$1" conv=notrunc status=none'
    pair.recovery.run("sh", "-c", write, "write", _file(pair, block, 0))


def _unreadable(pair: Pair, block: OdooInstance) -> None:
    path = _file(pair, block, 1)
    pair.recovery.run("chown", "root:", path)
    pair.recovery.run("chmod", "600", path)


def _print(name: str, text: str) -> Callable[[Pair, OdooInstance], None]:
    def write(pair: Pair, _: OdooInstance) -> None:
        pair.recovery.write(f"{BIN}/{name}", text, mode=0o755)

    return write


def _no_wkhtmltopdf(pair: Pair, _: OdooInstance) -> None:
    pair.recovery.run("rm", f"{BIN}/wkhtmltopdf")


def _no_addon(pair: Pair, block: OdooInstance) -> None:
    pair.recovery.run("rm", "-r", f"{block.copied(block.origin.odoo.sources[-1])}/lab_notes")


def _moved(pair: Pair, block: OdooInstance, package: str, name: str) -> None:
    """Give the folder of a Python package another name."""
    argv = ("sh", "-c", FIND, "find", str(block.directory), package)
    path = pair.recovery.run(*argv).stdout.strip()
    pair.recovery.run("mv", path, f"{path.removesuffix(package)}{name}")


def _no_package(pair: Pair, block: OdooInstance) -> None:
    _moved(pair, block, "num2words", "kept-aside")


def _package_again(pair: Pair, block: OdooInstance) -> None:
    _moved(pair, block, "kept-aside", "num2words")


def _in_conf(expression: str) -> Callable[[Pair, OdooInstance], None]:
    def change(pair: Pair, block: OdooInstance) -> None:
        pair.recovery.run("sed", "-i", expression, str(block.recovery.odoo.config))

    return change


def _taken_port(pair: Pair, block: OdooInstance) -> None:
    port = str(block.recovery.odoo.longpolling_port)
    pair.recovery.run("systemd-run", "--unit=stranger", "python3", "-m", "http.server", port)
    pair.recovery.wait_for_port(int(port))


def _free_port(pair: Pair, _: OdooInstance) -> None:
    pair.recovery.run("systemctl", "stop", "stranger")


def _no_role(pair: Pair, block: OdooInstance) -> None:
    for role in (block.replication.user, block.replication.rewind_user):
        pair.at_origin(f'DROP OWNED BY "{role}"')
        pair.at_origin(f'DROP ROLE "{role}"')


def _no_websocket(pair: Pair, block: OdooInstance) -> None:
    """Somebody writes the site anew, and knows one way to Odoo alone."""
    path = f"{site_files.folder(block)}/serving.conf"
    pair.recovery.run("sed", "-i", "s/(longpolling|websocket)/(longpolling)/", path)


def _pair_of_keys(domain: str, days: int) -> tuple[str, str]:
    """A certificate that ends in so many days, or has ended, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.NameAttribute
    subject = x509.Name([name(x509.NameOID.COMMON_NAME, domain)])
    made, ends = x509.CertificateBuilder(), datetime.now(UTC) + timedelta(days=days)
    made = made.subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(ends - timedelta(days=90)).not_valid_after(ends)
    alternative = x509.SubjectAlternativeName([x509.DNSName(domain)])
    signed = made.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return signed.public_bytes(pem).decode(), key.private_bytes(pem, form, secret).decode()


def _expire(pair: Pair, block: OdooInstance) -> None:
    """Nobody has renewed it: the same at both ends."""
    chain, key = _pair_of_keys(block.domains[0], -2)
    there = site_files.chain(block, block.domains[0])
    for machine, path in ((pair.recovery, there), (pair.origin.machine, Path(CHAIN))):
        machine.run("sh", "-c", 'cat >"$1"', "write", str(path), stdin=chain)
        beside = str(path.with_name("privkey.pem"))
        machine.run("sh", "-c", 'cat >"$1"', "write", beside, stdin=key)
        machine.run("systemctl", "reload", "nginx")


def _renew(pair: Pair, block: OdooInstance) -> None:
    machine = pair.origin.machine
    for path, text in zip((CHAIN, KEY), _pair_of_keys(block.domains[0], 90), strict=True):
        machine.run("sh", "-c", 'cat >"$1"', "write", path, stdin=text)
    machine.run("systemctl", "reload", "nginx")


FAULTS = {
    "missing wkhtmltopdf": Fault(
        "programs of Odoo", "wkhtmltopdf",
        _no_wkhtmltopdf, _print("wkhtmltopdf", PRINTS["wkhtmltopdf"]),
    ),
    "missing fonts": Fault(
        "programs of Odoo", "any font", _print("fc-list", NO_FONTS),
        _print("fc-list", PRINTS["fc-list"]),
    ),
    "missing addon": Fault("modules", "lab_notes", _no_addon),
    "missing Python package": Fault("packages", "num2words", _no_package, _package_again),
    "unreadable attachment": Fault("files", "1 not readable here", _unreadable),
    "corrupt attachment": Fault("files", "1 spoiled here", _corrupt),
    "wrong path": Fault(
        "settings of Odoo", "data_dir of odoo.conf", _in_conf("s,^data_dir = .*,data_dir = /srv/x,")
    ),
    "options lost from ExecStart": Fault(
        "settings of Odoo", "list_db of odoo.conf", _in_conf("/^list_db/d")
    ),
    "taken port": Fault("service", "is taken by another program: ", _taken_port, _free_port),
    "missing role": Fault("login at the origin", "has lost roles of Relevo", _no_role),
    "websocket closed": Fault("site", "serving.conf", _no_websocket),
    "expired certificate": Fault("certificates", "has -3 days left", _expire, _renew),
}  # fmt: skip
# What mends those that nobody mends by hand, as the remedies say: what replicate mends, a
# build-service of today mends too, but for the roles.
COMMANDS = (
    ("rsync-filestore", "--set", "kind=sources"),
    ("replicate",),
    ("reconcile-filestore",),
)


@contextmanager
def _as_others_have_it(pair: Pair) -> Iterator[None]:
    """An origin that prints, and whose Odoo has workers, by options of its unit."""
    machine = pair.origin.machine
    machine.write(DROP_IN, OPTIONS.format(command=pair.origin.command), mode=0o644)
    for host in (machine, pair.recovery):
        for name, text in PRINTS.items():
            host.write(f"{BIN}/{name}", text, mode=0o755)
    restarted(pair.origin)
    try:
        yield
    finally:
        machine.run("rm", DROP_IN)
        for host in (machine, pair.recovery):
            host.run("rm", "-f", *(f"{BIN}/{name}" for name in PRINTS))
        restarted(pair.origin)


def test_twelve_faults_at_once_are_named_each_with_its_remedy_and_mended_by_it(
    dos: Pair, blocks: dict[str, OdooInstance], inventory_path: Path
) -> None:
    block = blocks[dos.name]
    with _as_others_have_it(dos):
        stale = found(block)
        assert [each.check for each in stale] == ["settings of Odoo"], stale
        assert "list_db of odoo.conf, workers of odoo.conf" in stale[0].said
        relevo(inventory_path.parent, "run", "build-service", dos.name)
        assert found(block) == []

        for fault in FAULTS.values():
            fault.plant(dos, block)
        red = found(block)
        for name, fault in FAULTS.items():
            named = [each for each in red if each.check == fault.check and fault.said in each.said]
            assert named, f"{name}: {[str(each) for each in red]}"
            assert named[0].state not in {"amber", "next"}, name
            assert named[0].remedy.split()[0] in {"run", "install", "give"}, named[0].remedy
        said = relevo(inventory_path.parent, "run", "check", dos.name, code=3)
        assert "is not ready" in said.stderr

        for fault in FAULTS.values():
            if fault.mend:
                fault.mend(dos, block)
        for command, *options in COMMANDS:
            relevo(inventory_path.parent, "run", command, dos.name, *options)
        assert found(block) == []
        relevo(inventory_path.parent, "run", "check", dos.name)
        _the_drill_tries_the_live_chat(dos, block)
    relevo(inventory_path.parent, "run", "build-service", dos.name)
    assert found(block) == []
    no_strangers(dos)


def _the_drill_tries_the_live_chat(pair: Pair, block: OdooInstance) -> None:
    """Only an Odoo with workers needs gevent, and only where it runs."""
    _moved(pair, block, "gevent", "kept-aside")
    try:
        with pytest.raises(CommandFailed, match="the live chat does not answer") as said:
            drill(block)
    finally:
        _moved(pair, block, "kept-aside", "gevent")
    assert said.value.hint.startswith("install what it needs")
    drill(block)


def test_a_drill_that_is_killed_before_each_step_leaves_nothing_behind_the_next(
    dos: Pair, inventory_path: Path, tmp_path: Path
) -> None:
    said, step, kills = tmp_path / "said", 1, 0
    while (end := killed_at(inventory_path, dos.name, "drill", step, said)) == KILLED:
        kills, step = kills + 1, step + STRIDE
    assert end == DONE, said.read_text()[-3000:]
    print(f"killed {kills} times")
    assert kills >= 8 // STRIDE
    _nothing_is_left(dos)
    no_strangers(dos)


def _nothing_is_left(pair: Pair) -> None:
    left = (
        "ls -d /var/lib/postgresql/*/*.drill /run/relevo-drill/* 2>/dev/null;"
        "systemctl list-units --all --plain --no-legend 'relevo-*-drill-*';"
        "pgrep -af '[r]elevo_drill'; mount | grep relevo-drill"
    )
    assert pair.recovery.run("sh", "-c", left, check=False).stdout == ""
