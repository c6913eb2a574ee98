"""A certificate that was renewed while the recovery host served outlives the way home."""

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from blocks.errors import Refused
from blocks.instance import Certificate, OdooInstance
from tasks.readiness import failed_over
from tasks.run import terminal
from tasks.serving import renewal
from tasks.serving.renewal import Pair
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts, need

LIVE = "/etc/nginx/relevo/vps_1"
THERE = "/etc/letsencrypt/live/shop"
DOMAIN = "shop.example.com"


def _made(*, age: int, days: int, name: str = DOMAIN) -> Pair:
    """A pair that was issued some days ago and ends in some days."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    leaf = (
        x509.CertificateBuilder().subject_name(called).issuer_name(called)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=age))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Pair(leaf.public_bytes(Encoding.PEM).decode(), text)


FORMER, RENEWED, LATER = _made(age=88, days=2), _made(age=20, days=70), _made(age=1, days=89)


@pytest.fixture
def shop(instance: OdooInstance) -> OdooInstance:
    certificate = Certificate(
        chain=PurePosixPath(THERE, "fullchain.pem"), key=PurePosixPath(THERE, "privkey.pem")
    )
    return instance.model_copy(update={"certificate": certificate})


def _hosts(hosts: Hosts, *, there: Pair, here: Pair, brought: str) -> FakeHost:
    due = FakeHost("due", {
        f"read {LIVE}/fullchain.pem": here.chain, f"read {LIVE}/privkey.pem": here.key,
        f"read {LIVE}/brought.pem": brought, "install *": "installed",
    })  # fmt: skip
    uno = FakeHost("uno", {
        f"read {THERE}/fullchain.pem": there.chain, f"read {THERE}/privkey.pem": there.key,
    })  # fmt: skip
    hosts(uno, due)
    return due


OTHER = _made(age=1, days=89, name="other.example.com")
TORN = Pair(LATER.chain, FORMER.key)


@pytest.mark.parametrize(
    ("there", "here", "brought", "shown"),
    [
        pytest.param(FORMER, RENEWED, FORMER.chain, RENEWED, id="renewed-here"),
        pytest.param(FORMER, RENEWED, "", RENEWED, id="renewed-before-this-was-kept"),
        pytest.param(LATER, RENEWED, FORMER.chain, LATER, id="renewed-there-since"),
        pytest.param(FORMER, LATER, LATER.chain, FORMER, id="another-was-chosen-there"),
        pytest.param(FORMER, OTHER, FORMER.chain, FORMER, id="for-other-names"),
        pytest.param(FORMER, TORN, FORMER.chain, FORMER, id="without-its-key"),
        pytest.param(FORMER, Pair("", ""), "", FORMER, id="the-first-one"),
    ],
)
def test_a_build_after_the_failback_keeps_the_pair_that_was_renewed_here(
    shop: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, *,
    there: Pair, here: Pair, brought: str, shown: Pair,
) -> None:  # fmt: skip
    """The origin's old one once replaced it, and the next failover would have shown that."""
    _hosts(hosts, there=there, here=here, brought=brought)
    written: dict[str, str] = {}
    monkeypatch.setattr(
        "tasks.host.files.install", lambda _, path, text, **__: written.update({str(path): text})
    )

    with terminal.without_server():
        renewal.put(shop, PurePosixPath(LIVE, "trial"), renewal.fetch(shop))

    assert written == {
        f"{LIVE}/trial/fullchain.pem": shown.chain, f"{LIVE}/trial/privkey.pem": shown.key,
        f"{LIVE}/trial/brought.pem": there.chain,
    }  # fmt: skip


def test_check_says_that_the_origin_shows_the_former_one(shop: OdooInstance, hosts: Hosts) -> None:
    _hosts(hosts, there=FORMER, here=RENEWED, brought=FORMER.chain)
    (said,) = renewal.remarks(shop)
    assert said.startswith(
        f"the certificate for {DOMAIN} was renewed on due, and the one on uno has 2 days left"
    )
    _hosts(hosts, there=LATER, here=LATER, brought=LATER.chain)
    assert renewal.remarks(shop) == []


@pytest.mark.parametrize(("days", "remarks"), [(2, None), (15, 1), (60, 0)])
def test_while_the_recovery_host_serves_check_counts_the_days_of_the_origin_s_own(
    shop: OdooInstance, hosts: Hosts, days: int, remarks: int | None
) -> None:
    _hosts(hosts, there=_made(age=30, days=days), here=RENEWED, brought="")
    asked = need(failed_over.NEEDS, "certificates at the origin")

    if remarks is None:
        with pytest.raises(Refused, match="has 2 days left") as refused:
            asked.ask(shop)
        assert refused.value.hint.startswith(f"before the failback, copy {LIVE}/fullchain.pem")
        return
    said = asked.ask(shop)
    assert isinstance(said, list)
    assert said[0] == f"the certificate {THERE}/fullchain.pem on uno has {days} days left"
    assert len(said[1:]) == remarks
