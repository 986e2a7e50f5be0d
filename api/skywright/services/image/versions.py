"""The image service's version documents."""

from typing import Any

from skywright.http import Context, Router

router = Router()
# 2.8, 2.10 and 2.11 are Glance's versions with several stores, which this service does not have.
VERSIONS = ("2.12", "2.9", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0")


def _versions(context: Context) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{context.base_url}/v2/"}]
    return {
        "versions": [
            {"id": f"v{version}", "status": "CURRENT" if version == VERSIONS[0] else "SUPPORTED", "links": links}
            for version in VERSIONS
        ]
    }


@router.operation("GET", "/", policy=None, status=300)
def choose_version(context: Context) -> dict[str, Any]:
    return _versions(context)


@router.operation("GET", "/v2", policy=None, status=300)
def choose_minor_version(context: Context) -> dict[str, Any]:
    return _versions(context)


@router.operation("GET", "/versions", policy=None)
def list_versions(context: Context) -> dict[str, Any]:
    return _versions(context)
