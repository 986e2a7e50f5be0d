"""The lab's names and addresses."""

import ipaddress
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

INVENTORIES = Path(__file__).parents[2] / "inventories"


def run(*arguments, inventory="lab", **environment):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SKYWRIGHT_LAB", "SKYWRIGHT_HA"))}
    command = [INVENTORIES / inventory / "hosts.py", *arguments]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def test_names_and_addresses_come_from_the_lab_id():
    lab = run("--lab", SKYWRIGHT_LAB_ID="sw1a2b", SKYWRIGHT_LAB_FILES="/nowhere")
    assert lab["management_address"] == "10.90.43.1/24"
    assert lab["data_network"] == "172.26.43.0/24"
    assert lab["machines"][1]["name"] == "sw1a2b-host2"
    assert lab["machines"][1]["nics"][0]["address"] == "10.90.43.12/24"


def test_device_names_are_short_enough_for_the_kernel():
    lab = run("--lab", SKYWRIGHT_LAB_HOSTS="200")
    devices = [nic[key] for machine in lab["machines"] for nic in machine["nics"] for key in ("device", "bridge")]
    assert all(len(device) <= 15 for device in devices)
    assert len({nic["device"] for machine in lab["machines"] for nic in machine["nics"]}) == 400


def test_addresses_are_valid_and_of_the_same_host():
    inventory = run("--list", SKYWRIGHT_LAB_HOSTS="5")
    assert len(inventory["computes"]["hosts"]) == 5
    for name in inventory["computes"]["hosts"]:
        variables = inventory["_meta"]["hostvars"][name]
        tunnel = ipaddress.ip_interface(variables["vswitch_data_address"])
        assert tunnel.ip.packed[3] == ipaddress.ip_address(variables["ansible_host"]).packed[3]
        assert tunnel.is_private


def test_labs_in_other_directories_have_other_names():
    names = {run("--lab", SKYWRIGHT_LAB_FILES=path)["id"] for path in ("/one", "/two")} | {run("--lab")["id"]}
    assert len(names) == 3
    assert all(re.fullmatch("sw[0-9a-f]{4}", name) for name in names)


def test_existing_hosts_stay_in_the_inventory(tmp_path):
    (tmp_path / "hosts/host4").mkdir(parents=True)
    assert run("--list", SKYWRIGHT_LAB_FILES=str(tmp_path))["computes"]["hosts"][-1] == "host4"


@pytest.mark.parametrize("lab_id", ["sw12345", "xx1a2b", "sw1A2B", ""])
def test_other_lab_ids_are_refused(lab_id):
    assert "SKYWRIGHT_LAB_ID" in run("--lab", SKYWRIGHT_LAB_ID=lab_id)


def test_the_ha_inventory_is_a_separate_lab_with_controllers(tmp_path):
    inventory = run("--list", inventory="ha", SKYWRIGHT_HA_FILES=str(tmp_path), SKYWRIGHT_HA_COMPUTES="3")
    facts = inventory["_meta"]["hostvars"]["localhost"]["lab_host_lab"]
    assert facts["id"] != run("--lab")["id"]
    assert inventory["controllers"]["hosts"] == ["controller1", "controller2", "controller3"]
    assert inventory["computes"]["hosts"] == ["compute1", "compute2", "compute3"]
    addresses = [host["ansible_host"] for name, host in inventory["_meta"]["hostvars"].items() if name != "localhost"]
    assert len(set(addresses)) == 6


def test_one_host_can_have_all_roles(tmp_path):
    wanted = {"SKYWRIGHT_HA_CONTROLLERS": "1", "SKYWRIGHT_HA_COMPUTES": "0"}
    inventory = run("--list", inventory="ha", SKYWRIGHT_HA_FILES=str(tmp_path), **wanted)
    groups = [inventory[group]["hosts"] for group in ("controllers", "computes", "networks")]
    assert groups == [["controller1"]] * 3
    assert "SKYWRIGHT_HA_CONTROLLERS" in run("--list", inventory="ha", SKYWRIGHT_HA_CONTROLLERS="0")
