"""The verifier, against the example of RFC 7677."""

import base64
import hashlib
import hmac

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.logins.scram import VERIFIER, matches, verifier

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
AUTH_MESSAGE = (
    f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={NONCE}"
).encode()
PROOF = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SERVER_SIGNATURE = base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")

POSTGRESQL_MADE = (
    "SCRAM-SHA-256$4096:WqMdHdR/wucPF4JMr0ok5g==$"
    "Wz+L6EHGH3GHBhi+gjQIVb2qqShJ5pXl/cA1JbBCE3E=:"
    "HH/YsQ0DF4dRoSsi40y8Rf2UqFl8zKGriVKiV0I778M="
)


def keys() -> tuple[bytes, bytes]:
    found = VERIFIER.fullmatch(verifier("pencil", salt=SALT))
    assert found is not None
    return base64.b64decode(found[3]), base64.b64decode(found[4])


def test_the_server_key_signs_as_in_the_example_of_the_rfc() -> None:
    _, server = keys()

    assert hmac.digest(server, AUTH_MESSAGE, "sha256") == SERVER_SIGNATURE


def test_the_stored_key_accepts_the_proof_of_the_rfc_s_client() -> None:
    stored, _ = keys()
    signature = hmac.digest(stored, AUTH_MESSAGE, "sha256")
    client = bytes(a ^ b for a, b in zip(PROOF, signature, strict=True))

    assert hashlib.sha256(client).digest() == stored


def test_the_form_is_the_one_that_postgresql_stores_as_it_is() -> None:
    """A verifier that PostgreSQL 15 made for "secret" itself, as pg_authid had it."""
    made = verifier("pencil", salt=SALT)

    assert made.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    assert "'" not in made
    assert matches("secret", POSTGRESQL_MADE)
    assert not matches("Secret", POSTGRESQL_MADE)


@settings(max_examples=5, deadline=None)
@given(password=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8))
def test_a_verifier_knows_its_password_and_no_other(password: str) -> None:
    made = verifier(password, salt=SALT)

    assert matches(password, made)
    assert not matches(password + "x", made)


def test_what_is_no_verifier_matches_nothing() -> None:
    for stored in ("", "md5abc", "pencil", verifier("pencil", salt=SALT) + "\n"):
        assert not matches("pencil", stored)
