"""The metadata service answers only for the server that asks, and only metadata proxies may say which one that is."""

import http.client
from urllib.parse import urlsplit

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from contract.metadata_helpers import Asking
from contract.network_helpers import request

FILE = "/openstack/latest/meta_data.json"


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "h1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture(scope="module")
def others(api: Api) -> Fixtures:
    """The same addresses in a network of another project."""
    with api.connect() as admin, api.connect("alt", "alt") as alt:
        return make_fixtures(api, admin, alt)


@pytest.fixture
def server(api: Api, demo: Connection, fixtures: Fixtures) -> Asking:
    return Asking(api, Nova(demo, api.url), fixtures)


@pytest.fixture
def other(api: Api, alt: Connection, others: Fixtures) -> Asking:
    return Asking(api, Nova(alt, api.url), others, "other")


def test_a_request_without_the_signature_of_its_network_is_refused(server: Asking, other: Asking) -> None:
    signature = server.headers["X-Metadata-Provider-Signature"]
    for wrong in ("", "0" * 64, signature[:-1], signature.upper(), "\xe9"):
        answer = server(FILE, X_Metadata_Provider_Signature=wrong)
        assert (answer.status_code, answer.json()["forbidden"]["message"]) == (403, "Invalid proxy request signature.")
    assert server(FILE, X_Metadata_Provider=other.network).status_code == 403
    assert server(FILE, X_Metadata_Provider="").status_code == 403
    assert other(FILE, X_Metadata_Provider_Signature=signature).status_code == 403
    assert server("/openstack/latest/password", "POST", b"x", X_Metadata_Provider_Signature="x").status_code == 403


def test_a_token_is_no_signature(server: Asking, admin: Connection) -> None:
    token = admin.session.get_token()
    assert server(FILE, X_Metadata_Provider_Signature="", X_Auth_Token=token).status_code == 403


def test_the_same_address_on_another_network_is_another_server(server: Asking, other: Asking) -> None:
    assert server(FILE).json()["uuid"] == server.id
    asked = other(FILE, X_Metadata_Address=server.address)
    assert asked.status_code == 404 or asked.json()["uuid"] != server.id


@pytest.mark.parametrize("address", ["", "10.9.255.254", "nowhere", "%", "10.9.0.0/16"])
def test_an_address_without_a_server_is_not_found(server: Asking, address: str) -> None:
    assert server(FILE, X_Metadata_Address=address).status_code == 404


def test_other_headers_do_not_matter(server: Asking, other: Asking) -> None:
    forged = {
        "X_Forwarded_For": other.address,
        "Forwarded": f"for={other.address}",
        "X_Instance_ID": other.id,
        "X_Tenant_ID": "admin",
        "X_Real_IP": other.address,
        "Host": "169.254.169.254",
    }
    assert server(FILE, **forged).json()["uuid"] == server.id


def test_the_address_of_a_dhcp_server_is_not_found(api: Api, server: Asking, demo: Connection) -> None:
    [dhcp] = demo.network.ports(network_id=server.network, device_owner="network:dhcp")
    assert server(FILE, X_Metadata_Address=dhcp.fixed_ips[0]["ip_address"]).status_code == 404


def test_no_port_can_name_another_projects_server(other: Asking, demo: Connection, fixtures: Fixtures) -> None:
    body = {"port": {"network_id": fixtures.network, "device_id": other.id, "device_owner": "compute:nova"}}
    assert request(demo, "POST", "/ports", body).status_code == 409


def test_a_deleted_server_is_not_found(api: Api, server: Asking, demo: Connection) -> None:
    demo.compute.delete_server(server.id)
    run_jobs(api.cloud)
    assert server(FILE).status_code == 404


def test_the_config_drives_password_is_not_served(server: Asking) -> None:
    assert "admin_pass" not in server(FILE).json()
    assert server("/openstack/latest/password").content == b""


@pytest.mark.parametrize("path", ["/../v2.1/servers", "/%2e%2e/v2.1/servers", "/openstack/../../v2.1/servers"])
def test_a_path_does_not_lead_out_of_the_service(api: Api, server: Asking, path: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=30)
    connection.request("GET", f"/compute/metadata{path}", headers=server.headers)  # sends the path as it is
    assert connection.getresponse().status == 404
    connection.close()
