"""Tokens of consoles: whoever has one may use one server's screen, until it expires. Nothing is kept of them."""

from urllib.parse import parse_qs

from skywright.auth.signatures import Signatures
from skywright.settings import Settings

LIFETIME_SECONDS = 600
# No request has this method: no other signed link can be made into a token, and no token into one.
METHOD = "CONSOLE"


def issue(settings: Settings, server_id: str) -> str:
    """A new token for the screen of the server."""
    link = Signatures(settings.key_dir).sign(server_id, method=METHOD, lifetime=LIFETIME_SECONDS)
    query = parse_qs(link.partition("?")[2])
    return ".".join([server_id, query["expires"][0], query["signature"][0]])


def server_of(settings: Settings, token: str) -> str | None:
    """The server that *token* is for; None unless it is one of ours that has not expired."""
    server_id, _, rest = token.partition(".")
    expires, _, signature = rest.partition(".")
    valid = Signatures(settings.key_dir).valid(server_id, expires, signature, method=METHOD)
    return server_id if valid else None
