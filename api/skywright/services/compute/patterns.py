"""Regular expressions in filters, with RE2, whose time is linear for any expression."""

from collections.abc import Callable
from functools import lru_cache

from skywright.http import BadRequest

Matches = Callable[[str], bool]


@lru_cache(maxsize=256)
def pattern(name: str, text: str) -> Matches:
    """Return whether the expression *text* matches a part of another text, in any case; *name* is the parameter's."""
    import re2  # noqa: PLC0415 - few requests need it

    options = re2.Options()
    options.never_nl = False
    options.log_errors = False
    options.case_sensitive = False
    try:
        if not text:  # Nova refuses the expression that everything matches
            raise re2.error
        compiled = re2.compile(text, options)
    except re2.error:
        message = f"Invalid input for query parameters {name}. Value: {text}. '{text}' is not a 'regex'"
        raise BadRequest(message) from None
    return lambda other: compiled.search(other) is not None
