"""The version document, and the list of resources below it."""

from typing import Any

from skywright.http import Context, Router

router = Router()
RESOURCES = {
    "network": "networks",
    "subnet": "subnets",
    "subnetpool": "subnetpools",
    "port": "ports",
    "router": "routers",
    "floatingip": "floatingips",
}


@router.operation("GET", "/", policy=None)
def list_versions(context: Context) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{context.base_url}/v2.0/"}]
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}


@router.operation("GET", "/v2.0", policy=None)
def list_resources(context: Context) -> dict[str, Any]:
    return {
        "resources": [
            {
                "name": name,
                "collection": collection,
                "links": [{"rel": "self", "href": f"{context.base_url}/v2.0/{collection}"}],
            }
            for name, collection in RESOURCES.items()
        ]
    }
