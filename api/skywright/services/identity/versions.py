"""Identity's version documents."""

from typing import Any

from skywright.http import Context, Router

router = Router()


def _version(context: Context) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{context.base_url}/v3/"}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"},
        ],
    }


@router.operation("GET", "/", policy=None, status=300)
def list_versions(context: Context) -> dict[str, Any]:
    return {"versions": {"values": [_version(context)]}}


@router.operation("GET", "/v3", policy=None)
def show_version(context: Context) -> dict[str, Any]:
    return {"version": _version(context)}
