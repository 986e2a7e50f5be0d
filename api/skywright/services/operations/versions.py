"""The version document of the operations API."""

from typing import Any

from skywright.http import Context, Router

router = Router()


@router.operation("GET", "/", policy=None)
def show_version(context: Context) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{context.base_url}/"}]
    return {"version": {"id": "v1.0", "status": "CURRENT", "links": links}}
