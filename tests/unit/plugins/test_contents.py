"""What a host has of the cloud: what carries its marks."""

import json

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import netns, taps
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import (
    KINDS,
    dhcp_network,
    image_cache,
    libvirt_domain,
    metadata_proxy,
    ovs_network,
    ovs_port_security,
    ovs_qos,
    router,
    server_disk,
)
from ansible_collections.skywright.cloud.plugins.modules import host_info

from .fake_ovs import FakeOvs

NET = "0a0b0c0d-0000-4000-8000-000000000001"
IMAGE = "0a0b0c0d-0000-4000-8000-000000000003"
SERVER = "0a0b0c0d-0000-4000-8000-000000000004"
ROUTER = "2a0b0c0d-0000-4000-8000-000000000005"
PORT = "1a0b0c0d-0000-4000-8000-000000000003"
GROUP = "5a0b0c0d-0000-4000-8000-000000000001"
STRAY = "1a0b0c0e-0000-4000-8000-000000000009"


@pytest.fixture
def ovs(programs):
    programs["ovs-vsctl"] = ovs = FakeOvs(["br-int", "br-phy"])
    return ovs


@pytest.fixture(autouse=True)
def directories(tmp_path, monkeypatch):
    monkeypatch.setattr(ovs_port_security, "OLD_DIRECTORY", str(tmp_path / "port-security"))
    for kind, name in (
        (dhcp_network.DhcpNetwork, "dhcp"),
        (image_cache.ImageCache, "images"),
        (metadata_proxy.MetadataProxy, "metadata"),
        (ovs_port_security.OvsPortSecurity, "flows"),
        (ovs_qos.OvsQos, "qos"),
        (server_disk.ServerDisk, "servers"),
    ):
        monkeypatch.setitem(kind.options, "directory", {"default": str(tmp_path / name)})
    monkeypatch.setattr(netns, "DIRECTORY", str(tmp_path / "netns"))


def add(ovs, name, external_ids, **columns):
    ovs.bridges["br-int"].append(name)
    ovs.ports[name] = {"type": "", "options": {}, "tag": 1, "protected": False, "ofport": 1, **columns}
    ovs.ports[name]["external_ids"] = external_ids


def test_lists_what_carries_the_marks(ovs, tmp_path, monkeypatch):
    devices = tmp_path / "devices"
    for name, alias in ((f"tap{STRAY[:11]}", f"skywright:{NET}:{STRAY}"), ("tap0", "another's"), ("eth0", "")):
        (devices / name).mkdir(parents=True)
        (devices / name / "ifalias").write_text(alias + "\n")
    tunnel = ovs_network.tunnel_name(NET, "192.0.2.9", "vxlan")
    marks = {ovs_network.OWNER: NET}
    add(ovs, f"tap{PORT[:11]}", {**marks, ovs_network.PORT: PORT})
    add(ovs, tunnel, marks, type="vxlan", options={"key": "7", "remote_ip": "192.0.2.9"})
    add(ovs, "somebodys", {})
    server, network = tmp_path / "servers" / SERVER, tmp_path / "dhcp" / NET
    flows, groups, old = (tmp_path / name for name in (f"flows/networks/{NET}", "flows/groups", f"port-security/{NET}"))
    for directory in (server, network, flows, groups, old, tmp_path / "images", tmp_path / "servers" / "lost+found"):
        directory.mkdir(parents=True)
    (server / "skywright.json").write_text(json.dumps({"image_id": IMAGE}))
    (server / "disk").touch()
    (groups / GROUP).mkdir()
    qos = tmp_path / "qos" / NET
    qos.mkdir(parents=True)
    for file in (flows / PORT, old / STRAY, tmp_path / "flows" / "shared", qos / PORT):
        file.touch()
    proxies = tmp_path / "metadata" / "networks"
    proxies.mkdir(parents=True)
    for name in (f"{NET}.cfg", f"{NET}.untold", "other.cfg"):
        (proxies / name).touch()
    (network / "hosts").write_text(f"fa:16:3e:00:00:01,10.0.0.5 # {PORT}\nnonsense\n")
    (tmp_path / "netns").mkdir()
    for name in (f"{router.PREFIX}{ROUTER}", f"{router.PREFIX}mine", f"qdhcp-{NET}"):
        (tmp_path / "netns" / name).touch()
    for name in (f"{IMAGE}.qcow2", f"{IMAGE}.qcow2.partial", "notes.qcow2"):
        (tmp_path / "images" / name).touch()

    monkeypatch.setattr(taps, "DEVICES", str(devices))
    found = {kind.name: kind().marks() for kind in KINDS if kind is not libvirt_domain.LibvirtDomain}
    assert found == {
        "server_disk": [{"id": SERVER, "disk": True, "image_id": IMAGE}],
        "ovs_network": [
            {"id": NET, "name": f"tap{PORT[:11]}", "port_id": PORT, "peer": None},
            {"id": NET, "name": tunnel, "port_id": None, "peer": "192.0.2.9"},
            {"id": NET, "name": f"tap{STRAY[:11]}", "port_id": STRAY, "peer": None},
        ],
        "ovs_security_group": [{"id": GROUP}],
        "ovs_port_security": [{"id": NET, "ports": [PORT, STRAY]}],
        "ovs_qos": [{"id": NET, "ports": [PORT]}],
        "dhcp_network": [{"id": NET, "ports": ["", PORT]}],
        "metadata_proxy": [{"id": NET}],
        "router": [{"id": ROUTER}],
        "image_cache": [{"id": IMAGE}],
    }


def test_host_info_lists_them_on_demand(run_module, ovs, programs, tmp_path):
    programs["uptime"] = lambda argv: " 10:00:00 up 1 min,  0 users,  load average: 0.00, 0.00, 0.00\n"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"{IMAGE}.qcow2").touch()
    ovs.broken = True
    options = {"hypervisor_libvirt_uri": "qemu:///nowhere", "directory": str(tmp_path)}
    assert "contents" not in run_module(host_info.main, options)["host"]
    answer = run_module(host_info.main, {**options, "contents": True})
    assert answer["host"]["contents"]["image_cache"] == [{"id": IMAGE}]
    assert answer["host"]["contents"]["ovs_network"] is None, "what cannot be read is told apart from what is not there"
    assert answer["removal"] == {"images": [{"id": IMAGE, "state": "absent"}]}
    assert any("database connection failed" in error for error in answer["host"]["errors"])
