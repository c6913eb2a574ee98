"""A certificate is judged as a browser judges it."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tasks.serving import https
from tasks.serving.x509 import Chain

NOW = datetime(2026, 11, 28, tzinfo=UTC)
Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _made(
    subject: str, *, signer: Signer | None = None, names: tuple[str, ...] = (), days: int = 80
) -> Signer:
    key, is_authority = ec.generate_private_key(ec.SECP256R1()), not names
    by, with_key = (signer[0].subject, signer[1]) if signer else (_name(subject), key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=10))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(with_key.public_key()), False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    if names:
        shown = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(shown, critical=False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    else:
        flags = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        usage = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **flags)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(with_key, hashes.SHA256()), key


def _pem(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


def test_names_count_and_the_subject_does_not() -> None:
    leaf, _ = _made("shop.example.com", names=("*.example.org", "www.example.com"))
    chain = Chain.parse(_pem(leaf))

    assert chain.is_for("www.example.com")
    assert chain.is_for("shop.example.org")
    assert not chain.is_for("shop.example.com")
    assert Chain(_made("shop.example.com")[0]).names == ()


def test_the_first_of_a_chain_to_end_ends_it() -> None:
    root = _made("root", days=5)
    leaf, _ = _made("x", signer=root, names=("shop.example.com",), days=80)

    assert Chain(leaf, (root[0],)).days_left(NOW) == 5
    assert Chain(leaf).days_left(NOW) == 80
    assert Chain(leaf).days_left(NOW + timedelta(days=81)) == -1
    assert Chain(leaf).days_left(NOW - timedelta(days=20)) == -1, "it is not valid yet"


def test_a_browser_believes_a_chain_that_leads_to_a_root_that_it_knows() -> None:
    root = _made("root")
    between = _made("between", signer=root)
    leaf, _ = _made("x", signer=between, names=("shop.example.com",))
    whole, torn = Chain(leaf, (between[0],)), Chain(leaf)

    assert whole.is_trusted("shop.example.com", [root[0]], NOW)
    assert not torn.is_trusted("shop.example.com", [root[0]], NOW), "what stands between is lacking"
    assert not whole.is_trusted("www.example.com", [root[0]], NOW)
    assert not whole.is_trusted("shop.example.com", [_made("other")[0]], NOW)


def test_what_a_server_has_shown_is_compared_whole() -> None:
    leaf, _ = _made("x", names=("shop.example.com",))
    other, _ = _made("x", names=("shop.example.com",))

    assert Chain(leaf).is_shown(_pem(leaf))
    assert not Chain(leaf).is_shown(_pem(other))
    assert not Chain(leaf).is_shown("")


@pytest.mark.parametrize("text", ["", "no certificate"])
def test_a_file_without_a_certificate_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"PEM|unpack|certificate"):
        Chain.parse(text)


def test_the_authorities_that_browsers_know_are_read_without_a_word() -> None:
    """One of them has a serial number that is not positive: it spoils the reading of all others."""
    known = https.roots()

    assert len(known) > 100
    assert not Chain(_made("x", names=("a.example",))[0]).is_trusted("a.example", known, NOW)


VERSION, EIGHTH = bytes.fromhex("a003020102"), bytes.fromhex("a003020107")
KEY_IDENTIFIER, NAMES = bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d11")


def _odd(former: bytes, now: bytes) -> str:
    """A certificate that nginx takes, and no browser."""
    leaf, _ = _made("x", names=("shop.example.com",))
    content = leaf.public_bytes(Encoding.DER).replace(former, now, 1)
    packed = base64.encodebytes(content).decode()
    return f"-----BEGIN CERTIFICATE-----\n{packed}-----END CERTIFICATE-----\n"


def test_a_certificate_of_a_version_that_nobody_knows_is_none() -> None:
    """The board ended by it, for all customers."""
    with pytest.raises(ValueError, match="not a valid X509 version"):
        Chain.parse(_odd(VERSION, EIGHTH))


def test_a_certificate_with_two_lists_of_names_is_for_no_name() -> None:
    found = Chain.parse(_odd(KEY_IDENTIFIER, NAMES))
    assert found.names == ()
    assert not found.is_for("shop.example.com")
    assert not found.is_trusted("shop.example.com", [found.leaf], NOW)
