"""Hosts before a deployment: what the module finds, and what is judged of all of them together."""

import copy
import json
import socket

import pytest
from ansible_collections.skywright.cloud.plugins.filter.preflight import preflight, preflight_hosts
from ansible_collections.skywright.cloud.plugins.modules import host_preflight

ADDRESSES = [
    {"ifname": "lo", "address": "00:00:00:00:00:00", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}]},
    {"ifname": "eth0", "address": "52:54:00:00:00:01", "addr_info": [{"local": "10.0.0.11", "prefixlen": 24}]},
]
SOCKETS = """\
LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=1,fd=3))
LISTEN 0      4096               *:4369            *:*    users:(("epmd",pid=2,fd=3),("systemd",pid=1,fd=9))
LISTEN 0      4096            [::]:80           [::]:*
"""
POLICY = """\
haproxy:
  Installed: 2.6.12-1
  Candidate: 2.6.12-1
  Version table:
 *** 2.6.12-1 500
keepalived:
  Installed: (none)
  Candidate: 1:2.2.7-1
old:
  Installed: (none)
  Candidate: 1.0
purged:
  Installed: (none)
  Candidate: (none)
"""


@pytest.fixture
def host(programs, monkeypatch):
    programs["ip"] = lambda argv: json.dumps(ADDRESSES)
    programs["ss"] = lambda argv: SOCKETS
    programs["apt-cache"] = lambda argv: POLICY
    programs["apt-config"] = lambda argv: ""
    programs["apt-get"] = lambda argv: (
        "http://known.example/debian/\nfile:/srv/packages/\nhttp://lost.example/debian/\n"
    )
    monkeypatch.setattr(host_preflight, "_resolves", lambda name: name.startswith(("known", "192.")))
    monkeypatch.setattr(host_preflight, "_is_new", lambda version, oldest: version >= oldest)


PACKAGES = [{"name": "haproxy", "version": "2.6"}, {"name": "keepalived"}, {"name": "old", "version": "2"}]
PACKAGES += [{"name": "purged"}, {"name": "unknown"}]


@pytest.mark.parametrize("check", [False, True])
def test_facts_are_found_and_nothing_changes(run_module, host, check):
    answer = run_module(host_preflight.main, {"reference": 0.0, "packages": PACKAGES}, check=check)
    found = answer["preflight"]
    assert (answer["changed"], found["errors"], found["holders"]) == (False, [], [])
    assert found["interfaces"]["eth0"] == {"mac": "52:54:00:00:00:01", "addresses": ["10.0.0.11/24"]}
    assert [(entry["port"], entry["program"]) for entry in found["listeners"]] == [
        (22, "sshd"), (4369, "epmd"), (80, None),
    ]  # fmt: skip
    assert {name: package["good"] for name, package in found["packages"].items()} == {
        "haproxy": True, "keepalived": True, "old": False, "purged": False, "unknown": False,
    }  # fmt: skip
    assert found["memory_mib"] > 0 and found["disk_free_gib"] > 0 and found["python"] >= [3, 9]
    assert found["clock_offset"] > 1e9


def test_names_that_nobody_knows_and_the_cloud_that_a_host_belongs_to_are_told(run_module, host, programs, tmp_path):
    (tmp_path / "ca.pem").write_text("theirs")
    wanted = {"reference": 0.0, "names": ["192.0.2.1", "time.example"], "authority": str(tmp_path / "ca.pem")}
    found = run_module(host_preflight.main, wanted)["preflight"]
    assert (found["unresolved"], found["authority"]) == (["lost.example", "time.example"], "theirs")
    programs["apt-config"] = lambda argv: 'Acquire::http::Proxy "http://192.0.2.2:3142";\n'
    found = run_module(host_preflight.main, wanted | {"authority": str(tmp_path / "none")})["preflight"]
    assert (found["unresolved"], found["authority"], found["errors"]) == (["time.example"], None, [])


def test_what_cannot_be_found_out_is_explained_and_the_rest_is_told(run_module, host, programs):
    def fail(argv):
        raise host_preflight.ItemError("ss is not installed on this host")

    programs["ss"] = fail
    found = run_module(host_preflight.main, {"reference": 0.0})["preflight"]
    assert (found["listeners"], found["errors"]) == (None, ["listeners: ss is not installed on this host"])
    assert found["interfaces"] and found["hostname"]


def test_who_has_an_address_says_so_and_nobody_else_does():
    mac = bytes.fromhex("525400000001")
    asked = host_preflight.arp_probe(mac, "10.0.0.9")
    assert (len(asked), asked[:6], asked[28:32]) == (42, b"\xff" * 6, bytes(4))
    assert host_preflight.arp_sender(asked, "10.0.0.9") is None
    sender = bytes.fromhex("525400000002")
    answer = mac + sender + asked[12:20] + b"\0\2" + sender + socket.inet_aton("10.0.0.9") + mac + bytes(4)
    assert host_preflight.arp_sender(answer, "10.0.0.9") == "52:54:00:00:00:02"
    assert host_preflight.arp_sender(answer, "10.0.0.8") is None
    assert host_preflight.arp_sender(answer[:41], "10.0.0.9") is None


def facts(number):
    return {
        "hostname": f"h{number}",
        "machine_id": f"id{number}",
        "system": "debian 12",
        "python": [3, 11],
        "clock_offset": 0.5,
        "disk_free_gib": 50.0,
        "memory_mib": 4000,
        "virtualization": True,
        "processor": True,
        "interfaces": {
            "lo": {"mac": "00:00:00:00:00:00", "addresses": ["127.0.0.1/8", "::1/128"]},
            "eth0": {"mac": f"52:54:00:00:00:0{number}", "addresses": [f"10.0.0.1{number}/24"]},
            "eth1": {"mac": f"52:54:00:00:01:0{number}", "addresses": []},
            "br-int": {"mac": "aa:aa:aa:aa:aa:aa", "addresses": []},
        },
        "listeners": [{"address": "0.0.0.0", "port": 22, "program": "sshd"}],
        "packages": {"haproxy": {"version": "2.6", "good": True}},
        "holders": [],
        "unresolved": [],
        "authority": None,
        "errors": [],
    }


def hosts():
    groups = {1: ["controllers"], 2: ["controllers"], 3: ["computes", "networks"]}
    return [
        {
            "name": f"h{number}",
            "address": f"10.0.0.1{number}",
            "groups": groups[number],
            "data_interface": "eth1",
            "data_address": f"172.16.0.1{number}/24",
            "facts": facts(number),
        }
        for number in groups
    ]


def pem(text):
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


def judge(found):
    return preflight(found, "10.0.0.9/24", "eth0", [8000, 5000], pem("former") + pem("ours"))


def test_good_hosts_have_no_problems():
    verdict = judge(hosts())
    assert verdict == {f"h{number}": {"problems": [], "warnings": []} for number in (1, 2, 3)}


def test_what_is_deployed_is_in_nobodys_way():
    found = hosts()
    found[0]["facts"]["listeners"] += [
        {"address": "10.0.0.11", "port": 3306, "program": "mariadbd"},
        {"address": "10.0.0.9", "port": 3306, "program": "haproxy"},
        {"address": "10.0.0.11", "port": 9200, "program": "skywright-galer"},
    ]
    found[0]["facts"]["interfaces"]["eth0"]["addresses"].append("10.0.0.9/24")
    found[1]["facts"]["holders"] = ["52:54:00:00:00:01"]
    found[1]["facts"]["authority"] = pem("ours") + pem("next")
    found[2]["facts"]["interfaces"]["br-phy"] = {"mac": "52:54:00:00:01:99", "addresses": ["172.16.0.13/24"]}
    assert all(not verdict["problems"] for verdict in judge(found).values())


def test_every_problem_of_every_host_is_named_at_once():
    found = hosts()
    found[0]["facts"] |= {"system": "ubuntu 24.04", "python": [3, 8], "disk_free_gib": 1.5, "memory_mib": 500}
    found[0]["facts"]["packages"] = {
        "a": {"version": None, "good": False},
        "b": {"version": "1", "good": False},
    }
    found[0]["facts"]["listeners"] = [{"address": "*", "port": 3306, "program": "mysqld"}]
    found[0]["facts"]["errors"] = ["holders: no"]
    found[1]["facts"]["interfaces"].pop("eth0")
    found[1]["facts"] |= {"clock_offset": 60.0, "machine_id": "id1"}
    found[2]["facts"]["interfaces"].pop("eth1")
    found[2]["facts"]["virtualization"] = False
    verdict = judge(found)
    assert verdict["h1"]["problems"] == [
        "holders: no",
        "it runs ubuntu 24.04: debian 12 is needed",
        "its Python is too old: 3.9 is needed",
        "1.5 GiB are free in /var/lib: 5 GiB are needed",
        "it has 500 MiB of memory: 2000 MiB are needed",
        "package a: neither installed nor in a repository",
        "package b: only 1",
        "port 3306 is taken by mysqld",
        "machine id id1 is that of h2, too",
    ]
    assert verdict["h2"]["problems"] == [
        "it has no network interface eth0",
        "machine id id1 is that of h1, too",
        "its clock differs by 60 s from the others'",
    ]
    assert verdict["h3"]["problems"] == ["it has no network interface eth1"]
    assert "emulated" in verdict["h3"]["warnings"][0] and "processor could" in verdict["h3"]["warnings"][0]


@pytest.mark.parametrize(
    ("change", "host", "problem"),
    [
        (
            lambda h: h[0]["facts"].update(holders=["52:54:00:00:09:09"]),
            "h1",
            "the virtual address 10.0.0.9 is taken by",
        ),
        (lambda h: h[2]["facts"]["interfaces"]["eth0"]["addresses"].append("10.0.0.9/24"), "h3", "it has the virtual"),
        (lambda h: h[1]["facts"].update(authority=pem("theirs")), "h2", "it belongs to another cloud"),
        (lambda h: h[1]["facts"].update(unresolved=["lost.example"]), "h2", "it does not know the name lost.example"),
        (lambda h: h[0].update(address="10.0.0.99"), "h1", "10.0.0.99 is not on eth0, which is to have"),
        (lambda h: h[0]["facts"].update(hostname="h3"), "h3", "hostname h3 is that of h1, too"),
        (
            lambda h: h[2]["facts"]["interfaces"]["eth0"]["addresses"].append("172.16.0.1/16"),
            "h3",
            "172.16.0.1/16 on eth0 is of the data network 172.16.0.0/24",
        ),
        (
            lambda h: h[0]["facts"]["interfaces"]["eth1"].update(mac="52:54:00:00:00:02"),
            "h1",
            "mac 52:54:00:00:00:02 is that of h2, too",
        ),
        (lambda h: h[0]["facts"].update(packages=None, listeners=None, interfaces=None), "h1", "it has no network"),
    ],
)
def test_one_problem_is_named_with_its_host(change, host, problem):
    found = copy.deepcopy(hosts())
    change(found)
    assert judge(found)[host]["problems"][0].startswith(problem)


def test_hosts_that_did_not_answer_are_not_judged():
    found = hosts()
    found[1]["facts"] = None
    assert judge(found)["h2"] == {"problems": [], "warnings": []}


def test_hosts_come_from_an_inventory():
    variables = {
        "a": {"group_names": ["computes", "other"], "ansible_host": "10.0.0.1", "vswitch_data_interface": "eth1"},
        "b": {"group_names": ["controllers"], "preflight_found": {"preflight": {"hostname": "b"}}},
    }
    first, second = preflight_hosts(["a", "b"], variables)
    assert (first["groups"], first["address"], first["facts"], first["data_interface"]) == (
        ["computes"], "10.0.0.1", None, "eth1",
    )  # fmt: skip
    assert (second["address"], second["facts"]) == ("b", {"hostname": "b"})
