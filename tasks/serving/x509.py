"""A certificate as a browser judges it: which names, until when, signed by whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import verification
from cryptography.x509.oid import ExtensionOID

UNREADABLE = (
    x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
)  # fmt: skip


@dataclass(frozen=True)
class Chain:
    """A server's certificate, and those that stand behind it."""

    leaf: x509.Certificate
    others: tuple[x509.Certificate, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Chain":
        """Read PEM; raise ValueError when there is no certificate in it."""
        try:
            leaf, *others = x509.load_pem_x509_certificates(text.encode())
        except x509.InvalidVersion as error:  # which nginx takes, and a browser does not
            raise ValueError(str(error)) from error
        return cls(leaf, tuple(others))

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names that it is for; a browser does not look at its subject.

        One with extensions that no browser reads is for no name.
        """
        try:
            found = self.leaf.extensions.get_extension_for_oid(
                ExtensionOID.SUBJECT_ALTERNATIVE_NAME
            ).value
        except UNREADABLE:
            return ()
        assert isinstance(found, x509.SubjectAlternativeName), "that is what was asked for"
        return tuple(found.get_values_for_type(x509.DNSName))

    def is_for(self, domain: str) -> bool:
        return any(matches(name, domain) for name in self.names)

    def days_left(self, now: datetime) -> int:
        """Whole days until the first of the chain ends; below nothing when one has.

        One that is not valid yet has none left.
        """
        if any(each.not_valid_before_utc > now for each in (self.leaf, *self.others)):
            return -1
        end = min(each.not_valid_after_utc for each in (self.leaf, *self.others))
        return (end - now).days

    @property
    def issued(self) -> datetime:
        """From when on it is good, which tells the later of two."""
        return self.leaf.not_valid_before_utc

    def fits(self, key: str) -> bool:
        """Tell whether a private key (PEM, without a passphrase) is this certificate's."""
        try:
            found = load_pem_private_key(key.encode(), password=None).public_key()
            return _spki(found) == _spki(self.leaf.public_key())
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False

    def is_shown(self, leaf: str) -> bool:
        """Tell whether this is the certificate that a server has shown (as PEM)."""
        try:
            shown = x509.load_pem_x509_certificate(leaf.encode())
        except ValueError:
            return False
        return shown.public_bytes(Encoding.DER) == self.leaf.public_bytes(Encoding.DER)

    def is_trusted(self, domain: str, roots: Sequence[x509.Certificate], now: datetime) -> bool:
        """Tell whether a browser that knows these roots would believe it."""
        policy = verification.PolicyBuilder().store(verification.Store(list(roots))).time(now)
        try:
            policy.build_server_verifier(x509.DNSName(domain)).verify(self.leaf, list(self.others))
        except (verification.VerificationError, ValueError):
            return False
        return True


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def matches(name: str, domain: str) -> bool:
    """Tell whether a certificate's name is for a domain; a star is for one label.

    >>> matches("*.example.com", "shop.example.com"), matches("*.example.com", "example.com")
    (True, False)
    >>> matches("*.example.com", "a.shop.example.com"), matches("SHOP.example", "shop.example")
    (False, True)
    """
    name, domain = name.lower(), domain.lower()
    if name.startswith("*."):
        return domain.partition(".")[2] == name[2:]
    return name == domain


def today() -> datetime:
    return datetime.now(UTC)
