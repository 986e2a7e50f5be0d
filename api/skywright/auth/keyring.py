"""Keys on disk, and encryption with them."""

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Keyring:
    """Encrypts with the newest key in *directory* and decrypts with all keys. Makes a key if there is none."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(directory.glob("*.key")):
            _write_key(directory)
        keys = [Fernet(path.read_bytes()) for path in sorted(directory.glob("*.key"), reverse=True)]
        self._fernet = MultiFernet(keys)

    def seal(self, data: bytes) -> str:
        """Return *data* encrypted and signed, as text that fits in a header."""
        return self._fernet.encrypt(data).decode().rstrip("=")

    def open(self, text: str) -> bytes | None:
        """Return the data in *text*; None if it was not encrypted with a key of this keyring."""
        try:
            return self._fernet.decrypt((text + "=" * (-len(text) % 4)).encode())
        except (InvalidToken, UnicodeEncodeError):
            return None


def _write_key(directory: Path) -> None:
    """Make the first key atomically. If several processes start at once, they all use the key of the first one."""
    draft = directory / f".{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key())
    try:
        os.link(draft, directory / "0001.key")
    except FileExistsError:
        pass
    finally:
        draft.unlink()
