import errno
import shutil

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import taps
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_network as kind
from ansible_collections.skywright.cloud.plugins.modules import ovs_network
from kinds.hosts.ovs_network import Host

NET = "0a0b0c0d-0000-4000-8000-000000000001"
NET2 = "0a0b0c0e-0000-4000-8000-000000000002"
PORT = "1a0b0c0d-0000-4000-8000-000000000003"
TAP, DHCP = "tap1a0b0c0d-00", "dh0a0b0c0d-00"


@pytest.fixture
def host(tmp_path, programs, monkeypatch):
    return Host(tmp_path / "host", programs, monkeypatch)


@pytest.fixture
def devices(host):
    """The host's network devices, as directories like those of sysfs."""
    return host.devices


@pytest.fixture
def ovs(host):
    return host.ovs


def vxlan(**changes):
    item = {
        "id": NET,
        "segmentation_id": 1001,
        "peers": ["172.20.1.12"],
        "ports": [{"id": PORT, "mac": "fa:16:3e:00:00:01"}],
        "dhcp": {"mac": "fa:16:3e:00:00:02", "subnets": []},
    }
    return {**item, **changes}


def args(*networks):
    return {"networks": list(networks), "physical_networks": {"physnet1": "br-phy"}}


def test_creates_ports_and_a_protected_tunnel_with_one_local_tag(run_module, ovs):
    answer = run_module(ovs_network.main, args(vxlan()))
    tunnel = kind.tunnel_name(NET, "172.20.1.12", "vxlan")
    assert answer["by_id"][NET]["action"] == "create"
    assert [command[0] for command in answer["commands"]] == ["ip", "ovs-vsctl"]
    assert set(ovs.bridges["br-int"]) == {TAP, DHCP, tunnel}
    assert {port["tag"] for port in ovs.ports.values()} == {1}
    assert ovs.ports[tunnel]["protected"]
    assert ovs.ports[tunnel]["options"] == {"key": "1001", "remote_ip": "172.20.1.12"}
    assert not ovs.ports[TAP]["protected"]
    assert ovs.ports[TAP]["external_ids"] == {"skywright-network": NET, "skywright-port": PORT}
    assert all(len(name) <= 15 for name in ovs.ports)


PATCH = ("si1a0b0c0d-00", "ss1a0b0c0d-00")


def secured(enabled=True, **changes):
    return vxlan(ports=[{"id": PORT, "mac": "fa:16:3e:00:00:01", "port_security_enabled": enabled, **changes}])


def test_the_tap_of_a_port_with_port_security_is_on_a_bridge_of_its_own(run_module, ovs):
    run_module(ovs_network.main, args(secured()))
    inside, outside = PATCH
    assert set(ovs.bridges["br-sec"]) == {TAP, outside} and inside in ovs.bridges["br-int"]
    assert [ovs.ports[name]["tag"] for name in (TAP, outside, inside)] == [None, None, 1]
    assert [ovs.ports[name]["type"] for name in (TAP, outside, inside)] == ["", "patch", "patch"]
    assert [ovs.ports[name]["options"] for name in PATCH] == [{"peer": outside}, {"peer": inside}]
    assert ovs.settings["br-sec"] == ["datapath_type=netdev", "fail_mode=secure"], "it passes nothing without a flow"
    assert all(len(name) <= 15 for name in ovs.ports)
    assert not run_module(ovs_network.main, args(secured()))["changed"]


def test_the_end_of_the_patch_has_the_tag_of_ports_that_are_down(run_module, ovs):
    run_module(ovs_network.main, args(secured(admin_state_up=False)))
    assert (ovs.ports[PATCH[0]]["tag"], ovs.ports[PATCH[0]]["protected"]) == (kind.DEAD_TAG, True)
    assert ovs.ports[TAP]["tag"] is None


def test_port_security_moves_a_tap_in_one_transaction(run_module, ovs, devices):
    run_module(ovs_network.main, args(secured(False)))
    assert TAP in ovs.bridges["br-int"]
    for enabled in (True, False):
        [command] = run_module(ovs_network.main, args(secured(enabled)))["commands"]
        assert command[0] == "ovs-vsctl"
        assert (TAP in ovs.bridges["br-sec"], TAP in ovs.bridges["br-int"]) == (enabled, not enabled)
        assert (devices / TAP).exists()
    assert not set(PATCH) & set(ovs.ports)


def test_a_removed_port_leaves_no_end_of_its_patch(run_module, ovs, devices):
    run_module(ovs_network.main, args(secured()))
    run_module(ovs_network.main, args(vxlan(ports=[{"id": PORT, "state": "absent"}])))
    assert ovs.bridges["br-sec"] == [] and not set(PATCH) & set(ovs.ports) and not (devices / TAP).exists()


def test_a_gre_network_has_tunnels_of_its_own_type(run_module, ovs):
    network = vxlan(type="gre", segmentation_id=2**32 - 1, mtu=1458)
    run_module(ovs_network.main, args(network))
    tunnel = ovs.ports[kind.tunnel_name(NET, "172.20.1.12", "gre")]
    assert (tunnel["type"], tunnel["protected"]) == ("gre", True)
    assert tunnel["options"] == {"key": "4294967295", "remote_ip": "172.20.1.12"}
    assert not run_module(ovs_network.main, args(network))["changed"]
    answer = run_module(ovs_network.main, args(vxlan(id=NET2, type="gre", segmentation_id=2**32)))
    assert answer["by_id"][NET2]["error"] == "a gre network needs a segmentation_id from 1 to 4294967295"


def test_a_local_network_has_ports_and_no_links(run_module, ovs):
    network = vxlan(type="local", segmentation_id=None, mtu=1500)
    run_module(ovs_network.main, args(network))
    assert set(ovs.ports) == {TAP, DHCP}
    assert not run_module(ovs_network.main, args(network))["changed"]


def test_makes_the_tap_and_removes_it(run_module, ovs, devices):
    run_module(ovs_network.main, args(vxlan(mtu=1400)))
    assert (devices / TAP / "mtu").read_text() == "1400"
    assert run_module(ovs_network.main, args(vxlan(mtu=1300)))["by_id"][NET]["action"] == "update"
    assert (devices / TAP / "mtu").read_text() == "1300"
    run_module(ovs_network.main, args(vxlan(ports=[{"id": PORT, "state": "absent"}])))
    assert list(devices.glob("tap*")) == []


def test_a_port_whose_device_is_gone_comes_back_in_two_steps(run_module, ovs, devices):
    """The switch never looks at a device that replaced one of the same name."""
    (devices / DHCP).mkdir()
    run_module(ovs_network.main, args(vxlan()))
    shutil.rmtree(devices / TAP)
    shutil.rmtree(devices / DHCP)
    answer = run_module(ovs_network.main, args(vxlan()))
    assert [command[0] for command in answer["commands"]] == ["ovs-vsctl", "ip", "ovs-vsctl"]
    assert "--no-wait" not in answer["commands"][0]
    assert {TAP, DHCP} <= set(ovs.ports)
    (devices / DHCP).mkdir()
    assert not run_module(ovs_network.main, args(vxlan()))["changed"]


@pytest.mark.parametrize("plugged", [True, False])
def test_a_veth_pair_in_a_namespace_without_a_name_is_removed(run_module, host, ovs, devices, plugged):
    (devices / DHCP).mkdir()
    run_module(ovs_network.main, args(vxlan()))
    host.lost = {f"qdhcp-{NET}"}
    if not plugged:
        ovs(["ovs-vsctl", "--", "--if-exists", "del-port", "br-int", DHCP])
    answer = run_module(ovs_network.main, args(vxlan()))
    assert ["ip", "-batch", "-", f"link delete dev {DHCP}"] in answer["commands"]
    assert not (devices / DHCP).exists() and DHCP in ovs.ports
    host.lost = set()
    (devices / DHCP).mkdir()
    assert not run_module(ovs_network.main, args(vxlan()))["changed"]


def test_ports_that_are_down_reach_nothing(run_module, ovs):
    run_module(ovs_network.main, args(vxlan()))
    down = vxlan(ports=[{"id": PORT, "mac": "fa:16:3e:00:00:01", "admin_state_up": False}])
    assert run_module(ovs_network.main, args(down))["by_id"][NET]["action"] == "update"
    assert (ovs.ports[TAP]["tag"], ovs.ports[TAP]["protected"]) == (kind.DEAD_TAG, True)
    assert ovs.ports[DHCP]["tag"] == 1
    assert run_module(ovs_network.main, args(down))["changed"] is False
    run_module(ovs_network.main, args(vxlan()))
    assert (ovs.ports[TAP]["tag"], ovs.ports[TAP]["protected"]) == (1, False)


def test_a_network_of_ports_that_are_down_has_no_tag(run_module, ovs):
    down = vxlan(peers=[], dhcp=None, ports=[{"id": PORT, "mac": "fa:16:3e:00:00:01", "admin_state_up": False}])
    run_module(ovs_network.main, args(down))
    assert run_module(ovs_network.main, args(down))["changed"] is False
    run_module(ovs_network.main, args(vxlan(id=NET2, ports=[], dhcp=None)))
    assert ovs.ports[kind.tunnel_name(NET2, "172.20.1.12", "vxlan")]["tag"] == 1


def test_items_that_are_not_listed_stay(run_module, ovs):
    run_module(ovs_network.main, args(vxlan()))
    answer = run_module(ovs_network.main, args(vxlan(ports=[], dhcp=None, peers=[])))
    assert not answer["changed"]
    assert len(ovs.ports) == 3


def test_an_absent_port_leaves(run_module, ovs):
    run_module(ovs_network.main, args(vxlan()))
    run_module(ovs_network.main, args(vxlan(ports=[{"id": PORT, "state": "absent"}])))
    assert TAP not in ovs.ports
    assert DHCP in ovs.ports


def lose_port(ovs, name):
    del ovs.ports[name]
    ovs.bridges["br-int"].remove(name)


def test_a_tap_that_was_taken_off_the_switch_is_known_by_its_mark(run_module, ovs, devices):
    run_module(ovs_network.main, args(vxlan(peers=[], dhcp=None)))
    lose_port(ovs, TAP)
    absent = vxlan(peers=[], dhcp=None, ports=[{"id": PORT, "state": "absent"}])
    assert not run_module(ovs_network.main, args(vxlan(peers=[], dhcp=None, ports=[])))["changed"]
    assert (devices / TAP).exists()
    assert run_module(ovs_network.main, args(absent))["by_id"][NET]["action"] == "delete"
    assert not (devices / TAP).exists()
    assert not run_module(ovs_network.main, args(absent))["changed"]
    run_module(ovs_network.main, args(vxlan()))
    lose_port(ovs, TAP)
    assert run_module(ovs_network.main, args(vxlan()))["by_id"][NET]["action"] == "update"
    assert TAP in ovs.ports
    lose_port(ovs, TAP)
    run_module(ovs_network.main, args({"id": NET, "state": "absent"}))
    assert ovs.ports == {} and not (devices / TAP).exists()


def test_a_tunnel_to_a_former_peer_leaves(run_module, ovs):
    run_module(ovs_network.main, args(vxlan(peers=["172.20.1.12", "172.20.1.13"])))
    gone = vxlan(peers=["172.20.1.12"], former_peers=["172.20.1.13"])
    assert run_module(ovs_network.main, args(gone))["by_id"][NET]["action"] == "update"
    tunnels = {name for name in ovs.ports if name.startswith("vx")}
    assert tunnels == {kind.tunnel_name(NET, "172.20.1.12", "vxlan")}
    assert not run_module(ovs_network.main, args(gone))["changed"]


def test_networks_get_different_tags_and_keep_them(run_module, ovs):
    run_module(ovs_network.main, args(vxlan(), vxlan(id=NET2, ports=[], dhcp=None)))
    first = ovs.ports[TAP]["tag"]
    assert first != ovs.ports[kind.tunnel_name(NET2, "172.20.1.12", "vxlan")]["tag"]
    del ovs.ports[TAP]
    ovs.bridges["br-int"].remove(TAP)
    run_module(ovs_network.main, args(vxlan()))
    assert ovs.ports[TAP]["tag"] == first


def test_a_changed_tunnel_is_made_again(run_module, ovs):
    run_module(ovs_network.main, args(vxlan()))
    tunnel = kind.tunnel_name(NET, "172.20.1.12", "vxlan")
    ovs.ports[tunnel]["options"]["key"] = "9"
    assert run_module(ovs_network.main, args(vxlan()))["by_id"][NET]["action"] == "update"
    assert ovs.ports[tunnel]["options"]["key"] == "1001"


@pytest.mark.parametrize(("kind", "segment", "outer"), [("vlan", 77, 77), ("flat", None, 0)])
def test_physical_networks_are_joined_by_a_patch(run_module, ovs, kind, segment, outer):
    network = vxlan(type=kind, segmentation_id=segment, physical_network="physnet1", peers=[])
    run_module(ovs_network.main, args(network))
    inside, outside = "pi0a0b0c0d-00", "pp0a0b0c0d-00"
    assert ovs.bridges["br-phy"] == [outside]
    assert (ovs.ports[inside]["tag"], ovs.ports[outside]["tag"]) == (1, outer)
    assert ovs.ports[inside]["options"] == {"peer": outside}
    assert ovs.ports[outside]["options"] == {"peer": inside}
    assert not run_module(ovs_network.main, args(network))["changed"]
    run_module(ovs_network.main, args({"id": NET, "state": "absent"}))
    assert ovs.ports == {}


def test_a_refused_transaction_fails_only_its_network(run_module, ovs, monkeypatch):
    change = ovs._change

    def refuse(command):
        if TAP in command:
            raise kind.ItemError("ovs-vsctl failed (1): no")
        change(command)

    monkeypatch.setattr(ovs, "_change", refuse)
    answer = run_module(ovs_network.main, args(vxlan(), vxlan(id=NET2, ports=[], dhcp=None)))
    assert "no" in answer["by_id"][NET]["error"]
    assert "error" not in answer["by_id"][NET2]


def test_a_switch_that_is_down_is_the_error_of_every_item(run_module, ovs):
    ovs.broken = True
    answer = run_module(ovs_network.main, args(vxlan()))
    assert "database connection failed" in answer["by_id"][NET]["error"]


def test_a_port_of_a_router_is_a_veth_pair_without_offloads(run_module, host, ovs, devices):
    port = {"id": PORT, "mac": "fa:16:3e:00:00:01", "device": "veth"}
    answer = run_module(ovs_network.main, args(vxlan(ports=[port])))
    assert answer["commands"][0][4:] == [
        f"link add dev {TAP} mtu 1500 type veth peer name rt1a0b0c0d-00",
        f"link set dev {TAP} alias skywright:{NET}:{PORT}",
    ]
    assert host.without_offloads == {TAP, "rt1a0b0c0d-00"} and TAP in ovs.ports
    assert not run_module(ovs_network.main, args(vxlan(ports=[port])))["changed"]
    run_module(ovs_network.main, args(vxlan(ports=[{**port, "state": "absent"}])))
    assert TAP not in ovs.ports and list(devices.iterdir()) == []


def test_a_veth_pair_whose_inner_end_a_router_has_gets_its_marks_again(run_module, host, ovs, devices):
    port = {"id": PORT, "mac": "fa:16:3e:00:00:01", "device": "veth"}
    run_module(ovs_network.main, args(vxlan(ports=[port])))
    (devices / "rt1a0b0c0d-00").rmdir()  # as seen from the host
    ovs(["ovs-vsctl", "--", "del-port", "br-int", TAP])
    (devices / TAP / "ifalias").unlink()
    assert "failed" not in run_module(ovs_network.main, args(vxlan(ports=[port])))
    assert TAP in ovs.ports and not run_module(ovs_network.main, args(vxlan(ports=[port])))["changed"]


@pytest.mark.parametrize("gone", [True, False])
def test_a_tap_that_another_kind_removes_at_the_same_time_is_no_error(run_module, host, devices, programs, gone):
    run_module(ovs_network.main, args(vxlan()))

    def refuse(argv, stdin):
        if gone:
            shutil.rmtree(devices / TAP)
        raise kind.ItemError("ip failed (1): Cannot find device")

    programs["ip"] = refuse
    answer = run_module(ovs_network.main, args({"id": NET, "state": "absent"}))
    assert ("error" in answer["by_id"][NET]) == (not gone)


def test_a_device_that_is_being_removed_has_no_attributes(run_module, host, monkeypatch):
    run_module(ovs_network.main, args(vxlan()))

    def refuse(_path):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(taps, "read_text", refuse)
    assert "failed" not in run_module(ovs_network.main, args({"id": NET, "state": "absent"}))
