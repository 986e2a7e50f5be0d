"""Passwords: bcrypt hashes, and a short-lived cache of successful checks."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict

import bcrypt

ROUNDS = 12
REMEMBERED = 4096
# bcrypt reads 72 bytes at most; longer passwords are refused when they are set.
MAX_BYTES = 72

_secret = secrets.token_bytes(32)
_right: OrderedDict[bytes, None] = OrderedDict()
_lock = threading.Lock()
_decoy = bcrypt.hashpw(b"decoy", bcrypt.gensalt(ROUNDS)).decode()


def hash_password(password: str) -> str:
    """Return the bcrypt hash of *password*, which must not be longer than MAX_BYTES."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode()


def check_password(password: str, stored: str | None) -> bool:
    """Return whether *stored* is the hash of *password*. Without a stored hash it takes the same time and returns
    False.

    Successful checks are cached in memory by a keyed digest, so that a client that requests many tokens pays for bcrypt
    once. A changed password has another hash and is not in the cache.
    """
    given = password.encode()
    key = hmac.digest(_secret, (stored or "").encode() + b"\0" + given, hashlib.sha256)
    with _lock:
        if key in _right:
            _right.move_to_end(key)
            return True
    right = bcrypt.checkpw(given[:MAX_BYTES], (stored or _decoy).encode())
    if not right or stored is None or len(given) > MAX_BYTES:
        return False
    with _lock:
        _right[key] = None
        if len(_right) > REMEMBERED:
            _right.popitem(last=False)
    return True
