import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import release as release_module
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import dhcp_network as kind
from ansible_collections.skywright.cloud.plugins.modules import dhcp_network
from kinds.hosts.dhcp_network import ENTRY, SUBNET, Host, dhcp

NET = "0a0b0c0d-0000-4000-8000-000000000001"
NET2 = "0a0b0c0e-0000-4000-8000-000000000002"
PORT, PORT2 = ENTRY["id"], "1a0b0c0d-0000-4000-8000-000000000004"


@pytest.fixture
def host(tmp_path, programs, monkeypatch):
    return Host(tmp_path / "host", programs, monkeypatch)


def args(*networks):
    return {"networks": list(networks)}


def network(network_id=NET, **changes):
    return {"id": network_id, "dhcp": dhcp(**changes)}


def verbs(answer):
    return [command[1] for command in answer["commands"] if command[0] == "systemctl"]


def test_creates(run_module, host):
    answer = run_module(dhcp_network.main, args(network()))
    assert answer["by_id"][NET]["action"] == "create"
    assert answer["by_id"][NET]["status"] == "running"
    assert verbs(answer) == ["daemon-reload", "enable", "restart"]
    tag = "subnet-" + SUBNET["id"]
    assert f"dhcp-range=set:{tag},10.0.0.0,static,255.255.255.0,86400\n" in host.text("dnsmasq.conf")
    assert f"tag:{tag},option:router,10.0.0.1\n" in host.text("options")
    assert "option:mtu,1450\n" in host.text("options")
    assert "address replace 10.0.0.2/24 dev ns0a0b0c0d-00" in host.text("inside")
    assert host.text("hosts") == f"fa:16:3e:00:00:01,web,10.0.0.5 # {PORT}\n"


TAGS = "tag:mac0-fa,tag:mac1-16,tag:mac2-3e,tag:mac3-00,tag:mac4-00,tag:mac5-01"


def test_a_port_has_options_of_its_own(run_module, host):
    run_module(dhcp_network.main, args(network()))
    assert host.text("port-options") == f"{TAGS},option:bootfile-name,pxelinux.0 # {PORT}\n"
    for name in ("options", "port-options"):
        assert f"dhcp-optsfile={host.directory}/{NET}/{name}\n" in host.text("dnsmasq.conf")
    tags = (host.directory / "mac-tags.conf").read_text()
    assert f"conf-file={host.directory}/mac-tags.conf\n" in host.text("dnsmasq.conf")
    assert len(tags.splitlines()) == 6 * 256
    assert "dhcp-mac=set:mac0-fa,fa:*:*:*:*:*\n" in tags and "dhcp-mac=set:mac5-01,*:*:*:*:*:01\n" in tags


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], []),
        ([{"name": "router"}], [f"{TAGS},option:router"]),
        ([{"name": "67", "value": "a,b"}], [f"{TAGS},67,a,b"]),
        ([{"name": "66", "value": "x"}, {"name": "67", "value": "y"}], [f"{TAGS},66,x", f"{TAGS},67,y"]),
    ],
)
def test_changed_options_of_a_port_need_a_signal(run_module, host, options, lines):
    run_module(dhcp_network.main, args(network()))
    answer = run_module(dhcp_network.main, args(network(hosts=[{**ENTRY, "options": options}])))
    assert verbs(answer) == ["reload-or-restart"] and host.released == []
    assert host.text("port-options").splitlines() == [f"{line} # {PORT}" for line in lines]
    assert not run_module(dhcp_network.main, args(network(hosts=[{**ENTRY, "options": options}])))["changed"]


def test_names_of_a_port_are_resolved(run_module, host):
    run_module(dhcp_network.main, args(network()))
    assert f"addn-hosts={host.directory}/{NET}/names\n" in host.text("dnsmasq.conf")
    assert host.text("names") == f"10.0.0.5 web.example.org web # {PORT}\n"
    names = [{"address": "10.0.0.5", "names": ["db.example.org", "db"]}, {"address": "fd00::5", "names": ["db"]}]
    renamed = network(hosts=[{**ENTRY, "hostname": "db", "names": names}])
    assert verbs(run_module(dhcp_network.main, args(renamed))) == ["reload-or-restart"]
    assert host.text("names") == f"10.0.0.5 db.example.org db # {PORT}\nfd00::5 db # {PORT}\n"
    run_module(dhcp_network.main, args(network(hosts=[{"id": PORT, "state": "absent"}])))
    assert host.text("names") == ""


def test_a_server_from_before_gets_all_files(run_module, host):
    run_module(dhcp_network.main, args(network(hosts=[])))
    for name in ("names", "port-options"):
        (host.directory / NET / name).unlink()
    (host.directory / NET / "dnsmasq.conf").write_text("")
    assert verbs(run_module(dhcp_network.main, args(network(hosts=[])))) == ["restart"]
    assert host.text("names") == host.text("port-options") == ""


def test_options_of_other_ports_stay_until_these_are_absent(run_module, host):
    run_module(dhcp_network.main, args(network()))
    run_module(dhcp_network.main, args(network(hosts=[{**ENTRY, "id": PORT2, "mac": "fa:16:3e:00:00:02"}])))
    assert [line.split(" # ")[1] for line in host.text("port-options").splitlines()] == [PORT, PORT2]
    assert host.kind(directory=str(host.directory)).marks() == [{"id": NET, "ports": [PORT, PORT2]}]
    run_module(dhcp_network.main, args(network(hosts=[{"id": PORT, "state": "absent"}])))
    assert [line.split(" # ")[1] for line in host.text("port-options").splitlines()] == [PORT2]


def test_lost_tags_of_mac_addresses_are_written_again(run_module, host):
    run_module(dhcp_network.main, args(network()))
    (host.directory / "mac-tags.conf").unlink()
    assert verbs(run_module(dhcp_network.main, args(network()))) == ["restart"]
    assert not run_module(dhcp_network.main, args(network()))["changed"]


def test_what_somebody_wrote_into_the_entries_goes(run_module, host):
    run_module(dhcp_network.main, args(network()))
    path, right = host.directory / NET / "hosts", host.text("hosts")
    for wrong in (
        "nonsense\n" + right,
        right.replace("10.0.0.5", "10.0.0.999"),
        right + "fa:16:3e:00:00:01,10.0.0.6\n",
    ):
        path.write_text(wrong)
        answer = run_module(dhcp_network.main, args(network()))
        assert answer["by_id"][NET]["action"] == "update" and "failed" not in answer
        assert host.text("hosts") == right
        assert verbs(answer) == ["reload-or-restart"]


def test_files_without_a_server_are_removed(run_module, host):
    (host.directory / NET).mkdir(parents=True)
    answer = run_module(dhcp_network.main, args({"id": NET, "state": "absent"}))
    assert answer["by_id"][NET]["action"] == "delete" and answer["commands"] == []
    assert not (host.directory / NET).exists()


def test_a_network_that_wants_no_dhcp_any_more(run_module, host):
    item = {"id": NET, "dhcp": {"state": "absent"}}
    run_module(dhcp_network.main, args(network(), network(NET2)))
    answer = run_module(dhcp_network.main, args(item))
    assert answer["by_id"][NET]["action"] == "delete"
    assert verbs(answer) == ["disable"]
    assert [path.name for path in host.directory.iterdir() if path.is_dir()] == [NET2]
    assert not run_module(dhcp_network.main, args(item))["changed"]


def test_a_network_without_dhcp_is_left_alone(run_module, host):
    run_module(dhcp_network.main, args(network()))
    assert not run_module(dhcp_network.main, args({"id": NET}))["changed"]
    assert not run_module(dhcp_network.main, args({"id": NET2}))["changed"]


def test_a_new_host_needs_no_restart(run_module, host):
    run_module(dhcp_network.main, args(network()))
    second = {"id": PORT2, "mac": "fa:16:3e:00:00:02", "addresses": ["10.0.0.6"]}
    answer = run_module(dhcp_network.main, args(network(hosts=[second])))
    assert verbs(answer) == ["reload-or-restart"]
    assert host.released == []
    lines = host.text("hosts").splitlines()
    assert lines[1] == f"fa:16:3e:00:00:02,10.0.0.6 # {PORT2}"
    assert lines[0].startswith("fa:16:3e:00:00:01"), "hosts that are not listed stay"


@pytest.mark.parametrize("change", [{"state": "absent"}, {"addresses": ["10.0.0.7"]}])
def test_an_old_host_is_forgotten_by_signal_and_its_lease_ends(run_module, host, change):
    run_module(dhcp_network.main, args(network()))
    answer = run_module(dhcp_network.main, args(network(hosts=[{**ENTRY, **change}])))
    assert verbs(answer) == ["reload-or-restart"]
    leases = [("10.0.0.5", "fa:16:3e:00:00:01", "10.0.0.2")]
    assert host.released == [("qdhcp-" + NET, "ns0a0b0c0d-00", leases)]


def test_options_need_a_signal_and_addresses_a_restart(run_module, host):
    run_module(dhcp_network.main, args(network()))
    named = {**SUBNET, "dns_nameservers": ["9.9.9.9"]}
    assert verbs(run_module(dhcp_network.main, args(network(subnets=[named])))) == ["reload-or-restart"]
    moved = {**named, "address": "10.0.0.3"}
    assert verbs(run_module(dhcp_network.main, args(network(subnets=[moved])))) == ["restart"]


def test_a_dead_server_and_a_lost_link_are_mended(run_module, host):
    run_module(dhcp_network.main, args(network()))
    unit = kind.unit(NET)
    host.systemd.units[unit]["active"] = False
    assert verbs(run_module(dhcp_network.main, args(network()))) == ["restart"]
    host.systemd.device(unit).unlink()
    assert verbs(run_module(dhcp_network.main, args(network()))) == ["restart"]
    host.systemd.units[unit]["enabled"] = False
    assert verbs(run_module(dhcp_network.main, args(network()))) == ["enable"]


def test_a_run_that_was_cut_off_is_completed(run_module, host, monkeypatch):
    run_module(dhcp_network.main, args(network()))
    (host.directory / NET / "untold").touch()
    assert verbs(run_module(dhcp_network.main, args(network()))) == ["reload-or-restart"]
    assert not run_module(dhcp_network.main, args(network()))["changed"]


def test_routes_dns_and_no_gateway(run_module, host):
    routes = [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}]
    subnet = {**SUBNET, "dns_nameservers": ["9.9.9.9", "8.8.8.8"], "host_routes": routes}
    run_module(dhcp_network.main, args(network(subnets=[subnet])))
    options = host.text("options")
    assert "option:dns-server,9.9.9.9,8.8.8.8\n" in options
    metadata = "169.254.169.254/32,10.0.0.2"
    assert f"option:classless-static-route,10.9.0.0/16,10.0.0.9,{metadata},0.0.0.0/0,10.0.0.1\n" in options
    run_module(dhcp_network.main, args(network(subnets=[{**SUBNET, "gateway_ip": None}])))
    assert f"option:router\ntag:subnet-{SUBNET['id']},option:classless-static-route,{metadata}\n" in host.text(
        "options"
    )
    run_module(dhcp_network.main, args(network(subnets=[{**SUBNET, "gateway_ip": None}], metadata=None)))
    assert host.text("options").endswith("option:router\n")


def test_the_metadata_proxys_address_is_in_the_namespace(run_module, host):
    run_module(dhcp_network.main, args(network()))
    assert "address replace 169.254.169.254/32 dev ns0a0b0c0d-00\n" in host.text("inside")
    answer = run_module(dhcp_network.main, args(network(metadata=None)))
    assert "169.254" not in host.text("inside") and verbs(answer)[-1] == "restart"


def test_ipv6(run_module, host):
    subnet = {**SUBNET, "cidr": "fd00::/64", "address": "fd00::2", "dns_nameservers": ["fd00::53"]}
    run_module(dhcp_network.main, args(network(subnets=[subnet], hosts=[{**ENTRY, "addresses": ["fd00::5"]}])))
    assert ",fd00::,static,64,86400\n" in host.text("dnsmasq.conf")
    assert host.text("hosts").endswith(f",web,[fd00::5] # {PORT}\n")


def test_release_packet_names_client_and_server():
    packet = release_module.packet("10.0.0.5", "fa:16:3e:00:00:01", "10.0.0.2")
    assert packet[12:16] == bytes([10, 0, 0, 5])
    assert packet[28:34] == bytes.fromhex("fa163e000001")
    assert packet[240:] == b"\x35\x01\x07\x36\x04\x0a\x00\x00\x02\xff"
