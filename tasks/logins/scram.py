"""What PostgreSQL stores of a password, made and compared here.

A SCRAM-SHA-256 verifier is made here so that no password ever stands in a statement.
The form is that of src/common/scram-common.c, scram_build_secret: PostgreSQL stores a
password that already looks like this as it is.
"""

import base64
import hashlib
import hmac
import re

ITERATIONS = 4096
VERIFIER = re.compile(
    r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)"
)


def verifier(password: str, *, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Hash a password of printable ASCII (others would need SASLprep first)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    stored = hashlib.sha256(client).digest()
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def matches(password: str, stored: str) -> bool:
    """Tell whether a stored verifier belongs to this password.

    >>> matches("secret", verifier("secret", salt=b"0123456789abcdef"))
    True
    >>> matches("other", verifier("secret", salt=b"0123456789abcdef")), matches("x", "md5abc")
    (False, False)
    """
    if not (found := VERIFIER.fullmatch(stored)):
        return False
    salt = base64.b64decode(found[2])
    return hmac.compare_digest(stored, verifier(password, salt=salt, iterations=int(found[1])))


def matches_md5(password: str, role: str, stored: str) -> bool:
    """Tell whether an older PostgreSQL's hash belongs to this role and password.

    >>> stored = "md578683ebed7ebe80dab5e051eb61a91b6"
    >>> matches_md5("secret", "replica_user", stored), matches_md5("other", "replica_user", stored)
    (True, False)
    """
    made = hashlib.md5(f"{password}{role}".encode(), usedforsecurity=False).hexdigest()
    return hmac.compare_digest(stored, f"md5{made}")


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
