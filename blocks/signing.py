"""Signatures in OpenSSH's own format, so that any host checks them with ssh-keygen -Y verify.

The private half never leaves the runner; the hosts hold the public half alone.
"""

import base64
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

KIND, HASH = b"ssh-ed25519", b"sha512"
MAGIC = b"SSHSIG"
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
WIDTH = 70


def _string(value: bytes) -> bytes:
    """
    >>> _string(b"ab")
    b'\\x00\\x00\\x00\\x02ab'
    """
    return struct.pack(">I", len(value)) + value


def _private(secret: SecretStr) -> Ed25519PrivateKey:
    """Any secret makes a key: what signs is a digest of it."""
    return Ed25519PrivateKey.from_private_bytes(
        hashlib.sha256(b"relevo receipts\0" + secret.get_secret_value().encode()).digest()
    )


def _public_blob(key: Ed25519PrivateKey) -> bytes:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _string(KIND) + _string(raw)


def public_key(secret: SecretStr) -> str:
    """The public half, as it stands in a file of OpenSSH.

    >>> public_key(SecretStr("x" * 8)).split()[0]
    'ssh-ed25519'
    """
    return f"{KIND.decode()} {base64.b64encode(_public_blob(_private(secret))).decode()}"


def _signed(text: str, namespace: str) -> bytes:
    digest = hashlib.sha512(text.encode()).digest()
    return MAGIC + b"".join(map(_string, (namespace.encode(), b"", HASH, digest)))


def sign(text: str, secret: SecretStr, *, namespace: str) -> str:
    """Sign a text; the same text gets the same signature."""
    key = _private(secret)
    signature = _string(KIND) + _string(key.sign(_signed(text, namespace)))
    parts = (_public_blob(key), namespace.encode(), b"", HASH, signature)
    blob = MAGIC + struct.pack(">I", 1) + b"".join(map(_string, parts))
    encoded = base64.b64encode(blob).decode()
    lines = [encoded[i : i + WIDTH] for i in range(0, len(encoded), WIDTH)]
    return "\n".join((BEGIN, *lines, END)) + "\n"


def is_genuine(text: str, signature: str, secret: SecretStr, *, namespace: str) -> bool:
    """Tell whether this key signed this text: Ed25519 signs one text in one way.

    >>> key = SecretStr("a secret")
    >>> mark = sign("epoch 7", key, namespace="receipt")
    >>> is_genuine("epoch 7", mark, key, namespace="receipt")
    True
    >>> is_genuine("epoch 8", mark, key, namespace="receipt")
    False
    """
    return hmac.compare_digest(sign(text, secret, namespace=namespace), signature)
