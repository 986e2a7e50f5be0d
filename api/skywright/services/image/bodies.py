"""Strict reading of JSON bodies, for any content type."""

from typing import Annotated, Any

import orjson
from fastapi import Depends, Request

from skywright.http import BadRequest


async def parsed(request: Request) -> Any:
    """Return the request's body; raise BadRequest unless it is JSON."""
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"Malformed JSON in request body: {error}") from error


async def _object(request: Request) -> dict[str, Any]:
    body = await parsed(request)
    if not isinstance(body, dict):
        raise BadRequest("The request body must be a JSON object.")
    return body


JsonObject = Annotated[dict[str, Any], Depends(_object)]
