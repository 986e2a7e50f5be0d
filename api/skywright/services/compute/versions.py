"""Compute's version documents."""

from typing import Any

from skywright.http import Context, Router
from skywright.services.compute.microversions import MICROVERSIONS

router = Router()


def _legacy(context: Context) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{context.base_url}/v2/"}],
    }


def _current(context: Context) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": MICROVERSIONS.text(MICROVERSIONS.maximum),
        "min_version": MICROVERSIONS.text(MICROVERSIONS.minimum),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{context.base_url}/v2.1/"}],
    }


def _media(version: str) -> list[dict[str, str]]:
    return [{"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={version}"}]


@router.operation("GET", "/", policy=None)
def list_versions(context: Context) -> dict[str, Any]:
    return {"versions": [_legacy(context), _current(context)]}


@router.operation("GET", "/v2", policy=None)
def show_legacy_version(context: Context) -> dict[str, Any]:
    return {"version": _legacy(context) | {"media-types": _media("2")}}


@router.operation("GET", "/v2.1", policy=None)
def show_version(context: Context) -> dict[str, Any]:
    return {"version": _current(context) | {"media-types": _media("2.1")}}
