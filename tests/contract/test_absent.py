"""Requests for features that this cloud does not have are refused with the reason, in each service's format."""

import httpx
import pytest
from openstack.connection import Connection

from contract.conftest import Api, Client


@pytest.mark.parametrize(
    ("service", "method", "path", "status", "feature"),
    [
        ("identity", "GET", "/v3/OS-FEDERATION/mappings", 404, "federation"),
        ("identity", "POST", "/v3/OS-OAUTH1/consumers", 404, "OAuth"),
        ("identity", "GET", "/v3/users/x/OS-OAUTH1/access_tokens", 404, "OAuth"),
        ("identity", "PUT", "/v3/domains/default/config", 404, "domain configurations"),
        ("identity", "GET", "/v3/registered_limits", 404, "unified limits"),
        ("compute", "GET", "/v2.1/servers/x/shares", 404, "shares"),
        ("compute", "POST", "/v2.1/os-server-external-events", 404, "external events"),
        ("compute", "DELETE", "/v2.1/os-services/x", 400, "deletion of compute services"),
        ("image", "GET", "/v2/cache", 404, "image cache to manage"),
        ("image", "DELETE", "/v2/stores/file/x", 404, "further stores"),
        ("networking", "GET", "/v2.0/qos/policies/x/minimum_bandwidth_rules", 404, "guaranteed bandwidth"),
        ("networking", "POST", "/v2.0/ndp_proxies", 404, "NDP proxies"),
        ("networking", "GET", "/v2.0/routers/x/l3-agents", 404, "network agents"),
    ],
)
def test_missing_features_are_named(  # noqa: PLR0917
    api: Api, admin: Connection, service: str, method: str, path: str, status: int, feature: str
) -> None:
    answer = Client(api, admin)(method, f"/{service}{path}", {})
    assert answer.status_code == status and f"This cloud has no {feature} yet." in answer.text


@pytest.mark.parametrize("path", ["/networking/v2.0/nothing", "/identity/v3/OS-NOTHING", "/networking/v2.0/routersx"])
def test_unknown_paths_are_not_found(api: Api, admin: Connection, path: str) -> None:
    answer = Client(api, admin)("GET", path)
    assert answer.status_code == 404 and "The resource could not be found." in answer.text


@pytest.mark.parametrize("name", ["agents", "floatingips", "routers", "security-groups", "service-providers"])
def test_lists_that_are_empty_need_a_token(api: Api, name: str) -> None:
    assert httpx.get(f"{api.url}/networking/v2.0/{name}").status_code == 401
