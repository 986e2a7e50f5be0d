"""Passwords of servers' administrators, as Nova makes them."""

import secrets

LENGTH = 12
# Without characters that look alike. A password has at least one character of each group.
SYMBOLS = ("23456789", "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnopqrstuvwxyz")


def generate_password() -> str:
    """Return a random password."""
    characters = [secrets.choice(group) for group in SYMBOLS]
    characters += [secrets.choice("".join(SYMBOLS)) for _ in range(LENGTH - len(SYMBOLS))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)
