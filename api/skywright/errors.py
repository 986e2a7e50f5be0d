"""Exceptions that become HTTP responses; each service renders them in its own format (`Service.render_error`).

They are not in `http`, because workers raise them, too, and must not load the web framework.
"""

from http import HTTPStatus


def lacking(things: str) -> str:
    """Return the message for a request that needs *things*, which OpenStack has and this cloud does not."""
    return f"This cloud has no {things} yet."


class ApiError(Exception):
    """An error response: HTTP *status*, a *message* for the user, a *kind* (Neutron's `type`)."""

    status = 500

    def __init__(self, message: str = "", *, status: int | None = None, kind: str | None = None) -> None:
        self.status = status or self.status
        self.title = HTTPStatus(self.status).phrase
        # The message may contain text of the request, and JSON cannot contain half of a surrogate pair.
        self.message = (message or self.title).encode(errors="replace").decode()
        self.kind = kind or type(self).__name__
        super().__init__(self.message)


class BadRequest(ApiError):
    status = 400


class Unauthorized(ApiError):
    status = 401

    def __init__(self, message: str = "The request you have made requires authentication.") -> None:
        super().__init__(message)


class Forbidden(ApiError):
    status = 403


class NotFound(ApiError):
    status = 404

    @classmethod
    def of(cls, kind: str, identifier: str) -> "NotFound":
        """Return the error `Server 0a.. could not be found.`, with Neutron's type `ServerNotFound`."""
        return cls(f"{kind} {identifier} could not be found.", kind=f"{kind.replace(' ', '')}NotFound")


class Conflict(ApiError):
    status = 409


class TooLarge(ApiError):
    status = 413


class Unavailable(ApiError):
    """The client may try again after `retry_after` seconds; the response says so in its header Retry-After."""

    status = 503
    retry_after = 2
