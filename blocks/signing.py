"""Signatures in OpenSSH's own format, so that any host checks them with ssh-keygen -Y verify.

The private half never leaves the runner; the hosts hold the public half alone.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterator

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
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


def _strings(blob: bytes) -> Iterator[bytes]:
    """Take a blob of OpenSSH's apart; raise ValueError where it is torn.

    >>> list(_strings(_string(b"ab") + _string(b"")))
    [b'ab', b'']
    """
    while blob:
        if len(blob) < (head := 4) or len(blob) < head + (size := struct.unpack(">I", blob[:4])[0]):
            raise ValueError("torn")
        yield blob[head : head + size]
        blob = blob[head + size :]


def signer(text: str, signature: str, *, namespace: str) -> str:
    """Name the public key that signed a text; nothing when none did.

    Whose key it is, and whether it is believed, is for the caller to say.

    >>> key = SecretStr("a secret")
    >>> mark = sign("epoch 7", key, namespace="receipt")
    >>> signer("epoch 7", mark, namespace="receipt") == public_key(key)
    True
    >>> signer("epoch 8", mark, namespace="receipt"), signer("epoch 7", "torn", namespace="receipt")
    ('', '')
    """
    try:
        inside = "".join(signature.removeprefix(BEGIN).rstrip().removesuffix(END).split())
        blob = base64.b64decode(inside, validate=True)
        if not blob.startswith(MAGIC + struct.pack(">I", 1)):
            return ""
        public, purpose, _, _, mark = _strings(blob[len(MAGIC) + 4 :])
        kind, raw = _strings(public)
        mark_kind, bare = _strings(mark)
        if (kind, mark_kind, purpose) != (KIND, KIND, namespace.encode()):
            return ""
        Ed25519PublicKey.from_public_bytes(raw).verify(bare, _signed(text, namespace))
    except (ValueError, binascii.Error, InvalidSignature):
        return ""
    return f"{KIND.decode()} {base64.b64encode(public).decode()}"
