import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import metadata_proxies
from ansible_collections.skywright.cloud.plugins.modules import metadata_proxy
from kinds.hosts.dhcp_network import METADATA, dhcp
from kinds.hosts.metadata_proxy import Host

NET = "0a0b0c0d-0000-4000-8000-000000000001"
NET2 = "0a0b0c0e-0000-4000-8000-000000000002"


@pytest.fixture
def host(tmp_path, programs, monkeypatch):
    return Host(tmp_path / "host", programs, monkeypatch)


@pytest.fixture
def converge(run_module, host):
    def run(*networks, **options):
        return run_module(metadata_proxy.main, {"networks": list(networks)}, **options)

    return run


def network(network_id=NET, **changes):
    return {"id": network_id, "dhcp": dhcp(metadata=METADATA | changes)}


def verbs(answer):
    return [command[1] for command in answer["commands"]]


def test_one_haproxy_listens_for_all_networks(converge, host):
    answer = converge(network(), network(NET2))
    assert verbs(answer) == ["daemon-reload", "enable", "reload-or-restart"]
    assert host.haproxy.listening == {f"qdhcp-{NET}", f"qdhcp-{NET2}"}
    assert [result["status"] for result in answer["results"]] == ["running", "running"]


def test_what_a_server_sends_to_identify_itself_is_replaced(converge, host):
    converge(network())
    lines = [line.strip() for line in host.text().splitlines()]
    assert lines.index("http-request del-header x- -m beg") < lines.index(
        f"http-request set-header X-Metadata-Provider {NET}"
    )
    assert f"http-request set-header X-Metadata-Provider-Signature {METADATA['signature']}" in lines
    assert "http-request set-header X-Metadata-Address %[src]" in lines
    assert "http-request set-path /compute/metadata%[path]" in lines
    assert "server api 10.1.0.1:8000 init-addr last,libc,none" in lines


def test_only_root_reads_the_signature(converge, host):
    answer = converge(network(), diff=True)
    path = host.directory / "networks" / f"{NET}.cfg"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    changed = converge(network(signature="a1" * 32), diff=True)
    assert changed["by_id"][NET]["action"] == "update"
    assert METADATA["signature"] not in str(answer) + str(changed) and "a1" * 32 not in str(changed)
    assert "http-request set-path" in str(answer["diff"])


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (
            "https://10.1.0.1:8000/x",
            "10.1.0.1:8000 init-addr last,libc,none ssl verify required ca-file /etc/skywright/tls/ca.pem",
        ),
        (
            "https://cloud.example/x",
            "cloud.example:443 init-addr last,libc,none ssl verify required"
            " ca-file /etc/ssl/certs/ca-certificates.crt sni str(cloud.example) verifyhost cloud.example",
        ),
    ],
)
def test_the_apis_certificate_is_verified(converge, host, url, server):
    converge(network(api_url=url))
    assert f"    server api {server}\n" in host.text()


def test_a_changed_network_needs_a_reload(converge):
    converge(network(), network(NET2))
    assert verbs(converge(network(signature="a1" * 32))) == ["reload-or-restart"]
    assert verbs(converge(network(), network(NET2))) == ["reload-or-restart"]


def test_a_lost_socket_needs_a_restart(converge, host):
    """A reload would keep the socket in a namespace that has lost its name."""
    converge(network(), network(NET2))
    host.haproxy.listening.remove(f"qdhcp-{NET}")
    assert converge(network(NET2))["changed"] is False
    assert verbs(converge(network(), network(NET2))) == ["restart"]
    assert f"qdhcp-{NET}" in host.haproxy.listening


def test_a_proxy_that_does_not_listen_is_an_error(converge, host, monkeypatch):
    converge(network(NET2))
    monkeypatch.setattr(metadata_proxies, "NETWORK", metadata_proxies.NETWORK.replace(" namespace", " elsewhere"))
    answer = converge(network(), network(NET2))
    assert "HAProxy does not listen on 169.254.169.254" in answer["by_id"][NET]["error"]


def test_the_last_network_stops_haproxy(converge, host):
    converge(network(), network(NET2))
    assert verbs(converge({"id": NET, "state": "absent"})) == ["reload-or-restart"]
    assert verbs(converge({"id": NET2, "dhcp": dhcp(state="absent")})) == ["disable"]
    assert (host.haproxy.enabled, host.haproxy.listening) == (False, set())


@pytest.mark.parametrize("without", [dhcp(metadata=None), dhcp(state="absent")])
def test_a_network_without_dhcp_or_metadata_has_none(converge, host, without):
    assert converge({"id": NET, "dhcp": without})["changed"] is False
    converge(network())
    assert converge({"id": NET, "dhcp": without})["by_id"][NET]["action"] == "delete"
    assert host.kind().marks() == []


def test_a_host_that_does_not_serve_the_network_keeps_what_it_has(converge, host):
    converge(network())
    assert converge({"id": NET})["changed"] is False
    assert host.haproxy.listening == {f"qdhcp-{NET}"}
