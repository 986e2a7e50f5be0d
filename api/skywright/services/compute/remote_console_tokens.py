"""Console tokens: a token gives access to the display of one server until it expires. Tokens are signed, not stored."""

from urllib.parse import parse_qs

from skywright.auth.signatures import Signatures
from skywright.settings import Settings

LIFETIME_SECONDS = 600
# Not an HTTP method, so that no other signed URL is valid as a token, and no token as a URL.
METHOD = "CONSOLE"


def issue(settings: Settings, server_id: str) -> str:
    """Return a new token for the display of the server."""
    link = Signatures(settings.key_dir).sign(server_id, method=METHOD, lifetime=LIFETIME_SECONDS)
    query = parse_qs(link.partition("?")[2])
    return ".".join([server_id, query["expires"][0], query["signature"][0]])


def server_of(settings: Settings, token: str) -> str | None:
    """Return the server id of *token*; None if the token is not valid or has expired."""
    server_id, _, rest = token.partition(".")
    expires, _, signature = rest.partition(".")
    valid = Signatures(settings.key_dir).valid(server_id, expires, signature, method=METHOD)
    return server_id if valid else None
