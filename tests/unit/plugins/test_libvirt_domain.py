"""libvirt_domain and host_info against libvirt's own test driver, which lives as long as its connection."""

import json
import re
import struct
import sys

import libvirt
import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import domain_xml, hypervisor
from ansible_collections.skywright.cloud.plugins.module_utils import host_info as facts
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import libvirt_domain as kind_of_domains
from ansible_collections.skywright.cloud.plugins.modules import host_info, libvirt_domain
from kinds.hosts.libvirt_domain import PORT, Host, item

import recorded_hosts
from skywright.db.host_facts import HostFacts

from .conftest import predicted

SERVER = "0a0b0c0d-0000-4000-8000-000000000004"
OTHER_SERVER = "0a0b0c0d-0000-4000-8000-000000000005"
THIRD_SERVER = "0a0b0c0d-0000-4000-8000-000000000006"
UPTIME = " 10:00:00 up 3 days,  2:05,  0 users,  load average: 0.00, 0.00, 0.00\n"
# As `virsh capabilities` of a lab's host, shortened.
CAPABILITIES = """
<capabilities><host>
  <cpu>
    <arch>x86_64</arch><model>kvm64</model><vendor>AMD</vendor>
    <topology sockets='1' dies='1' cores='2' threads='1'/>
    <maxphysaddr mode='emulate' bits='48'/>
    <feature name='vme'/><feature name='ht'/>
  </cpu>
  <topology><cells num='1'><cell id='0'/></cells></topology>
</host></capabilities>
"""
TAP = "tap" + PORT["id"][:11]
BOOT2 = "2a0b0c0d-0000-4000-8000-000000000002"


@pytest.fixture
def libvirtd(tmp_path, programs, monkeypatch):
    """One connection for all runs of a test, as a real libvirtd keeps its domains."""
    return Host(tmp_path / "host", programs, monkeypatch).connection


def server(**changes):
    return item(changes.pop("id", SERVER), **changes)


def args(*servers, **options):
    return {"servers": list(servers), **options}


def domain(connection):
    return connection.lookupByUUIDString(SERVER)


def test_creates_and_starts(run_module, libvirtd):
    answer = run_module(libvirt_domain.main, args(server()))
    assert answer["by_id"][SERVER]["action"] == "create"
    assert answer["by_id"][SERVER]["status"] == "running"
    assert answer["commands"] == [["define", SERVER], ["start", SERVER]]
    assert domain(libvirtd).isActive()
    assert domain(libvirtd).name() == "instance-" + SERVER


def test_absent_takes_the_directory_along(run_module, libvirtd, tmp_path):
    paths = {"directory": str(tmp_path)}
    run_module(libvirt_domain.main, args(server(), **paths))
    (tmp_path / SERVER).mkdir()
    gone = {"id": SERVER, "state": "absent"}
    answer = run_module(libvirt_domain.main, args(gone, **paths))
    assert answer["commands"] == [["undefine", SERVER], ["destroy", SERVER]]
    assert not (tmp_path / SERVER).exists()
    assert not run_module(libvirt_domain.main, args(gone, **paths))["changed"]
    (tmp_path / SERVER).mkdir()
    assert run_module(libvirt_domain.main, args(gone, **paths))["by_id"][SERVER]["action"] == "delete"
    assert not (tmp_path / SERVER).exists()


def test_power(run_module, libvirtd):
    stopped = server(power="shutoff")
    answer = run_module(libvirt_domain.main, args(stopped))
    assert answer["commands"] == [["define", SERVER]]
    assert run_module(libvirt_domain.main, args(server()))["commands"] == [["start", SERVER]]
    answer = run_module(libvirt_domain.main, args(stopped))
    assert answer["commands"][0] == ["shutdown", SERVER]
    assert answer["by_id"][SERVER]["status"] == "shutoff"
    assert not domain(libvirtd).isActive()
    assert not run_module(libvirt_domain.main, args(server(power="shutoff", boot_id=BOOT2)))["changed"]


def test_an_interface_less_leaves_the_running_domain(run_module, libvirtd, monkeypatch):
    unplugged = []
    monkeypatch.setattr(libvirt.virDomain, "detachDeviceFlags", lambda self, xml, flags: unplugged.append((xml, flags)))
    second = {"id": PORT["id"].replace("1a", "1b"), "mac": "fa:16:3e:00:00:02", "mtu": 1400}
    both = server(ports=[*server()["ports"], second])
    run_module(libvirt_domain.main, args(both))
    answer = run_module(libvirt_domain.main, args(server()))
    assert answer["commands"] == [["define", SERVER], ["unplug", SERVER]]
    ((xml, flags),) = unplugged
    assert "fa:16:3e:00:00:02" in xml and "fa:16:3e:00:00:01" not in xml
    assert flags == libvirt.VIR_DOMAIN_AFFECT_LIVE
    assert not run_module(libvirt_domain.main, args(server()))["changed"]
    # A domain that is off has nothing to unplug, and one more interface waits for the next boot.
    assert run_module(libvirt_domain.main, args(both))["commands"] == [["define", SERVER]]
    run_module(libvirt_domain.main, args(server(ports=both["ports"], power="shutoff")))
    assert run_module(libvirt_domain.main, args(server(power="shutoff")))["commands"] == [["define", SERVER]]


def test_a_guest_that_cannot_be_asked_fails_the_server(run_module, libvirtd, monkeypatch):
    def refuse(self, xml, flags):
        raise libvirt.libvirtError("no")

    run_module(libvirt_domain.main, args(server()))
    assert "error" not in run_module(libvirt_domain.main, args(server(ports=[])))["by_id"][SERVER]  # the null driver
    run_module(libvirt_domain.main, args(server()))
    monkeypatch.setattr(libvirt.virDomain, "detachDeviceFlags", refuse)
    answer = run_module(libvirt_domain.main, args(server(ports=[])))
    assert "cannot unplug the domain" in answer["by_id"][SERVER]["error"]


def test_a_paused_server_goes_on(run_module, libvirtd):
    run_module(libvirt_domain.main, args(server()))
    domain(libvirtd).suspend()
    assert run_module(libvirt_domain.main, args(server()))["commands"] == [["resume", SERVER]]


@pytest.mark.parametrize(("how", "first"), [("hard", "destroy"), ("soft", "shutdown")])
def test_a_new_boot_id_reboots_once(run_module, libvirtd, how, first):
    run_module(libvirt_domain.main, args(server()))
    again = server(boot_id=BOOT2, reboot=how)
    answer = run_module(libvirt_domain.main, args(again))
    assert answer["commands"] == [[first, SERVER], ["define", SERVER], ["start", SERVER]]
    assert not run_module(libvirt_domain.main, args(again))["changed"]


def test_a_guest_that_does_not_listen_is_destroyed(run_module, libvirtd, monkeypatch):
    run_module(libvirt_domain.main, args(server()))
    monkeypatch.setattr(libvirt.virDomain, "shutdown", lambda self: 0)
    answer = run_module(libvirt_domain.main, args(server(power="shutoff")))
    assert answer["commands"] == [["shutdown", SERVER], ["destroy", SERVER]]
    assert not domain(libvirtd).isActive()


@pytest.mark.parametrize(
    "changes",
    [{"memory_mib": 65}, {"vcpus": 2}, {"name": "other"}, {"config_drive": None}],
)
def test_a_changed_definition_is_stored(run_module, libvirtd, changes):
    run_module(libvirt_domain.main, args(server()))
    answer = run_module(libvirt_domain.main, args(server(**changes)))
    assert answer["commands"] == [["define", SERVER]]
    assert not run_module(libvirt_domain.main, args(server(**changes)))["changed"]


def test_many_servers_start_at_once(run_module, libvirtd):
    ids = [f"0a0b0c0d-0000-4000-8000-{number:012d}" for number in range(40)]
    answer = run_module(libvirt_domain.main, args(*[server(id=i, ports=[]) for i in ids]))
    assert {result["status"] for result in answer["results"]} == {"running"}
    assert libvirtd.numOfDomains() == 40


def test_libvirt_that_is_down_is_the_error_of_every_item(run_module, monkeypatch):
    def refuse(_uri):
        raise libvirt.libvirtError("no connection")

    monkeypatch.setattr(libvirt, "open", refuse)
    answer = run_module(libvirt_domain.main, args(server()))
    assert "cannot reach libvirt" in answer["by_id"][SERVER]["error"]


@pytest.mark.parametrize(("virt_type", "cpu"), [("qemu", "maximum"), ("kvm", "host-passthrough")])
def test_definition_for_real_guests(virt_type, cpu):
    item = {**server(), "vcpus": 1, "power": "running"}
    text = domain_xml.Definition(item, virt_type=virt_type, directory="/servers").xml()
    assert domain_xml.summary(text)["cpu"] == cpu
    assert domain_xml.summary(text)["smbios"]["product"] == "OpenStack Nova"
    for part in ('csum="off"', 'managed="no"', f'dev="{TAP}"', f"/servers/{SERVER}/console.log"):
        assert part in text


@pytest.mark.parametrize(
    ("given", "probed", "virt_type"),
    [
        (None, "kvm", "kvm"),
        ("auto", "kvm", "kvm"),
        ("auto", None, "qemu"),
        ("qemu", "kvm", "qemu"),
        ("kvm", "qemu", "kvm"),
    ],
)
def test_the_type_of_guests_is_the_given_or_the_probed_one(monkeypatch, tmp_path, given, probed, virt_type):
    facts = tmp_path / "skywright.fact"
    if probed:
        facts.write_text(json.dumps({"hypervisor_virt_type": probed}))
    monkeypatch.setattr(kind_of_domains, "FACT_FILE", str(facts))
    assert kind_of_domains.LibvirtDomain(virt_type=given).virt_type == virt_type


def test_a_screen_is_on_a_socket_only(run_module, libvirtd):
    run_module(libvirt_domain.main, args(server()))
    stored = domain_xml.summary(domain(libvirtd).XMLDesc())
    assert stored["screens"] == ["socket"]
    assert stored["video"] == ["vga"]


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        # Defined before servers had screens; opened to the network by hand.
        (r"<graphics.*</video>", ""),
        (r"<listen[^>]*/>", "<listen type='address' address='0.0.0.0'/>"),
    ],
)
def test_another_screen_is_a_changed_definition(run_module, libvirtd, ours, other):
    run_module(libvirt_domain.main, args(server()))
    text = domain(libvirtd).XMLDesc()
    libvirtd.defineXML(re.sub(r" socket='[^']*'(?=>)", "", re.sub(ours, other, text, flags=re.DOTALL)))
    assert run_module(libvirt_domain.main, args(server()))["commands"] == [["define", SERVER]]
    assert not run_module(libvirt_domain.main, args(server()))["changed"]


def test_names_cannot_break_out_of_the_definition():
    item = {**server(name="</skywright:name><x>\x00\x1b"), "vcpus": 1}
    text = domain_xml.Definition(item, virt_type="qemu", directory="/servers").xml()
    assert domain_xml.summary(text)["name"] == "</skywright:name><x>??"
    assert "<x>" not in text


def test_a_running_domain_that_was_undefined_is_defined_again(run_module, libvirtd):
    run_module(libvirt_domain.main, args(server()))
    domain(libvirtd).undefine()
    assert domain(libvirtd).isActive() and not domain(libvirtd).isPersistent()
    foretold = run_module(libvirt_domain.main, args(server()), check=True)
    answer = run_module(libvirt_domain.main, args(server()))
    assert predicted(foretold) == predicted(answer)
    assert answer["commands"] == [["define", SERVER]]
    assert domain(libvirtd).isPersistent() and domain(libvirtd).isActive()


@pytest.mark.parametrize("wanted", [{"power": "shutoff"}, {"boot_id": BOOT2}, {"state": "absent"}])
def test_a_running_domain_that_was_undefined_can_be_ended(run_module, libvirtd, wanted):
    run_module(libvirt_domain.main, args(server()))
    domain(libvirtd).undefine()
    answer = run_module(libvirt_domain.main, args(server(**wanted)))
    assert answer["changed"] and "failed" not in answer
    assert not run_module(libvirt_domain.main, args(server(**wanted)))["changed"]


def test_why_a_domain_is_off(run_module, libvirtd):
    run_module(libvirt_domain.main, args(server()))
    found = hypervisor.Hypervisor("test:///default")
    found.connect()
    domain(libvirtd).shutdown()
    assert found.servers() == [{"id": SERVER, "power": "shutoff", "reason": "shutdown"}]
    domain(libvirtd).create()
    domain(libvirtd).destroy()
    assert found.servers()[0]["reason"] == "destroyed"


def test_host_info(run_module, libvirtd, programs, tmp_path, monkeypatch):
    programs["ovs-vsctl"] = lambda argv: "ovs-vsctl (Open vSwitch) 3.1.0\nDB Schema 8.3.1\n"
    programs["uptime"] = lambda argv: UPTIME
    run_module(libvirt_domain.main, args(server()))
    answer = run_module(
        host_info.main, {"hypervisor_libvirt_uri": "test:///default", "directory": str(tmp_path / "later")}
    )
    assert answer["host"]["ovs_version"] == "3.1.0"
    assert answer["host"]["libvirt_version"] == "9.0.0"
    assert answer["host"]["hypervisor_version"] == libvirtd.getVersion()
    assert answer["host"]["uptime"] == UPTIME.strip()
    assert answer["host"]["domains"] is None, "a null host forgets its domains"
    monkeypatch.setattr(hypervisor.Hypervisor, "__init__", init_as_real)
    answer = run_module(host_info.main, {"directory": str(tmp_path)})
    assert answer["host"]["domains"] == [{"id": SERVER, "power": "running", "reason": None}]
    assert answer["host"]["vcpus"] > 0
    assert answer["host"]["boot"] == facts.boot()["boot"]


@pytest.mark.usefixtures("libvirtd")
@pytest.mark.parametrize("libvirt_there", [True, False])
def test_host_info_sends_the_facts_that_the_api_reads(run_module, programs, tmp_path, monkeypatch, libvirt_there):
    programs["ovs-vsctl"] = lambda argv: "ovs-vsctl (Open vSwitch) 3.1.0\nDB Schema 8.3.1\n"
    programs["uptime"] = lambda argv: UPTIME
    if not libvirt_there:
        monkeypatch.setitem(sys.modules, "libvirt", None)
        hypervisor._libvirt.cache_clear()
    sent = run_module(host_info.main, {"hypervisor_libvirt_uri": "test:///default", "directory": str(tmp_path)})["host"]
    assert sent.keys() == HostFacts.model_fields.keys() - {"contents"}
    assert sent.keys() == recorded_hosts.answer("host1").keys() - {"contents"}
    assert HostFacts.model_validate(sent).model_dump(exclude={"contents"}) == sent


def test_the_processors_are_described_as_by_nova():
    described = hypervisor.cpu_info(CAPABILITIES)
    assert described == {
        "arch": "x86_64",
        "model": "kvm64",
        "vendor": "AMD",
        "topology": {"cells": 1, "sockets": 1, "cores": 2, "threads": 1},
        "maxphysaddr": {"mode": "emulate", "bits": 48},
        "features": ["ht", "vme"],
    }


def test_disks_that_may_grow_take_of_what_is_left(tmp_path):
    disks = {"one": 3 * facts.GIB, "two": 2 * facts.GIB}
    for name, size in disks.items():
        directory = tmp_path / "servers" / name
        directory.mkdir(parents=True)
        (directory / "disk").write_bytes(b"QFI\xfb" + bytes(20) + struct.pack(">Q", size) + bytes(facts.GIB >> 14))
    (tmp_path / "servers" / "without").mkdir()
    assert facts.disk(str(tmp_path))["disk_overcommit_gib"] == 4, "all but the few KiB that are written"


def test_a_domain_that_is_removed_while_domains_are_listed_is_left_out(run_module, libvirtd, monkeypatch):
    run_module(libvirt_domain.main, args(server(), server(id=OTHER_SERVER)))
    listed = libvirtd.listAllDomains()
    run_module(libvirt_domain.main, args({"id": OTHER_SERVER, "state": "absent"}))
    monkeypatch.setattr(libvirtd, "listAllDomains", lambda: listed)
    monkeypatch.setattr(hypervisor.Hypervisor, "__init__", init_as_real)
    real = hypervisor.Hypervisor("test:///default")
    real.connection = libvirtd
    assert [found["id"] for found in real.servers()] == [SERVER]


def init_as_real(self, uri):
    self.uri, self.null, self.connection, self.commands = uri, False, None, []


def test_new_guests_start_together(run_module, libvirtd, monkeypatch):
    calls = []
    monkeypatch.setattr(hypervisor.Hypervisor, "__init__", init_as_real)
    monkeypatch.setattr(hypervisor.Hypervisor, "start", lambda self, *arguments: calls.append(("start", *arguments)))
    monkeypatch.setattr(hypervisor.Hypervisor, "resume", lambda self, server_id: calls.append(("resume", server_id)))
    monkeypatch.setattr(kind_of_domains, "THREADS", 1)
    run_module(libvirt_domain.main, args(server(), server(id=OTHER_SERVER)))
    both = [SERVER, OTHER_SERVER]
    assert calls == [("start", one, True) for one in both] + [("resume", one) for one in both]
    run_module(libvirt_domain.main, args(server(id=THIRD_SERVER)))
    assert calls[4:] == [("start", THIRD_SERVER, False)]


def test_host_info_never_fails(run_module, programs, monkeypatch):
    def down(_argv):
        raise hypervisor.ItemError("ovs-vsctl is not installed on this host")

    programs["ovs-vsctl"] = programs["uptime"] = down
    monkeypatch.setitem(sys.modules, "libvirt", None)
    hypervisor._libvirt.cache_clear()
    answer = run_module(host_info.main, {})
    assert answer["host"]["vcpus"] is None
    assert len(answer["host"]["errors"]) == 3
    assert answer["host"]["disk_gib"] > 0
