"""Signatures in place of tokens: of URLs, with which hosts download image data, and of metadata proxies."""

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path

# A run may wait for hosts and download large images; the URL must be valid that long.
LIFETIME_SECONDS = 3600


class Signatures:
    """Signs URLs and ids of networks, and verifies signatures, with the key in *directory*, which is made if there is
    none.
    """

    def __init__(self, directory: Path) -> None:
        self._key = secret_key(directory / "urls.key")

    def sign(self, path: str, *, method: str = "GET", lifetime: int = LIFETIME_SECONDS) -> str:
        """Return *path* with a query that allows *method* on it until it expires."""
        expires = int(time.time()) + lifetime
        return f"{path}?expires={expires}&signature={self._signature(method, path, expires)}"

    def valid(self, path: str, expires: str, signature: str, *, method: str = "GET") -> bool:
        """Return whether *signature* is valid for *method*, *path* and *expires*, and not expired."""
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12 and signature.isascii()):
            return False
        expected = self._signature(method, path, int(expires))
        return hmac.compare_digest(expected, signature) and int(expires) > time.time()

    def sign_provider(self, network_id: str) -> str:
        """Return the secret with which a network's metadata proxy shows that a request came through this network."""
        return self._digest(f"metadata\n{network_id}")

    def signed_provider(self, network_id: str, signature: str) -> bool:
        """Return whether *signature* is that of the network's metadata proxy."""
        return signature.isascii() and hmac.compare_digest(self.sign_provider(network_id), signature)

    def _signature(self, method: str, path: str, expires: int) -> str:
        return self._digest(f"{method}\n{path}\n{expires}")

    def _digest(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def image_data_path(image_id: str) -> str:
    """Return the path below the public URL from which hosts download an image. It is signed, whatever URL the request
    used.
    """
    return f"/image/v2/images/{image_id}/file"


def secret_key(path: Path) -> bytes:
    """Return the key in *path*. The first process makes it, atomically."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes()
