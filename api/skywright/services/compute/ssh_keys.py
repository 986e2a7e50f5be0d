"""SSH public keys: validation, fingerprints and generation."""

import base64
import binascii
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KINDS = frozenset(
    {
        "ssh-rsa",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)


def fingerprint(public_key: str) -> str:
    """Return the MD5 fingerprint of an OpenSSH public key, as in Nova; raise ValueError if it is not valid."""
    parts = public_key.strip().split(None, 2)
    if len(parts) < 2 or "\n" in public_key.strip() or parts[0] not in KINDS:
        raise ValueError("Keypair data is invalid: failed to generate fingerprint")
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("Keypair data is invalid: failed to generate fingerprint") from None
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != parts[0].encode() or len(blob) <= 4 + length:
        raise ValueError("Keypair data is invalid: failed to generate fingerprint")
    if not parts[0].startswith("sk-"):
        _parse(f"{parts[0]} {parts[1]}")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, 32, 2))


def _parse(public_key: str) -> None:
    try:
        serialization.load_ssh_public_key(public_key.encode())
    except Exception:
        # The library raises several types of exceptions for malformed numbers.
        raise ValueError("Keypair data is invalid: failed to generate fingerprint") from None


def generate() -> tuple[str, str]:
    """Generate an RSA key pair; return (private key in PEM format, public key in OpenSSH format)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()
