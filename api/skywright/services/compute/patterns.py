"""Regular expressions in filters. RE2: its time is bounded, whatever a user thinks up."""

from collections.abc import Callable
from functools import lru_cache

import re2

from skywright.http import BadRequest

Matches = Callable[[str], bool]


@lru_cache(maxsize=256)
def pattern(name: str, text: str) -> Matches:
    """Whether the expression *text* is found in another text, whatever the case; *name* is the parameter's."""
    options = re2.Options()
    options.never_nl = False
    options.log_errors = False
    options.case_sensitive = False
    try:
        compiled = re2.compile(text, options)
    except re2.error:
        message = f"Invalid input for query parameters {name}. Value: {text}. '{text}' is not a 'regex'"
        raise BadRequest(message) from None
    return lambda other: compiled.search(other) is not None
