"""The guest image boots on this machine, with emulation, without a cloud."""

import json
import re
import shlex
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

IMAGE = Path(__file__).parents[2] / "var/images/guest.qcow2"
BOOT_LIMIT = 90
MAC = "fa:16:3e:00:00:01"
HOSTILE = "web-1 $(reboot) \"><x> `poweroff`\n{{ lookup('pipe','id') }}"


class Guest:
    """A virtual machine with one disk, its console in a file, and SSH and HTTP on ports of the loopback interface."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.console = directory / "console"
        self.ssh_port, self.http_port = free_port(), free_port()
        self.address = "10.0.2.15"
        self.process: subprocess.Popen[bytes] | None = None
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-f", directory / "key"], check=True)
        disk = ["-b", IMAGE, "-F", "qcow2", directory / "disk", "1G"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *disk], check=True)

    def write_config_drive(self, uuid: str, user_data: str, network_data: object = None) -> None:
        latest = self.directory / "drive/openstack/latest"
        latest.mkdir(parents=True, exist_ok=True)
        keys = {HOSTILE: (self.directory / "key.pub").read_text()}
        meta_data = {"uuid": uuid, "name": HOSTILE, "hostname": HOSTILE, "public_keys": keys}
        (latest / "meta_data.json").write_text(json.dumps(meta_data))
        (latest / "network_data.json").write_text(json.dumps(network_data or {}))
        (latest / "user_data").write_text(user_data)
        iso = ["-o", self.directory / "drive.iso", self.directory / "drive"]
        subprocess.run(["xorrisofs", "-quiet", "-V", "config-2", "-r", "-J", *iso], check=True)

    def boot(self) -> str:
        """Boot the guest and return its message that it is ready."""
        self.console.unlink(missing_ok=True)
        ports = ((self.ssh_port, 22), (self.http_port, 80))
        forward = ",".join(f"hostfwd=tcp:127.0.0.1:{port}-{self.address}:{inside}" for port, inside in ports)
        machine = f"""
            qemu-system-x86_64 -accel tcg -cpu max -m 128 -nodefaults -display none
            -serial file:{self.console} -qmp unix:{self.directory}/qmp,server=on,wait=off
            -drive if=virtio,format=qcow2,file={self.directory}/disk
            -drive if=virtio,format=raw,readonly=on,file={self.directory}/drive.iso
            -netdev user,id=net,{forward} -device virtio-net-pci,netdev=net,mac={MAC}"""
        self.process = subprocess.Popen(shlex.split(machine))
        return self.wait_for(r"skywright guest: ready .*")

    def wait_for(self, pattern: str) -> str:
        end = time.monotonic() + BOOT_LIMIT
        while time.monotonic() < end:
            text = self.console.read_text(errors="replace") if self.console.exists() else ""
            if found := re.search(pattern, text):
                return found.group().strip()
            time.sleep(0.1)
        pytest.fail(f"no {pattern!r} on the console:\n{text[-3000:]}")

    def ssh(self, user: str, command: str) -> str:
        known = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.directory}/known"]
        options = [*known, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(self.directory / "key")]
        argv = ["ssh", *options, "-p", str(self.ssh_port), f"{user}@127.0.0.1", command]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout.strip()

    def press_power_button(self) -> None:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(f"{self.directory}/qmp")
            for command in ("qmp_capabilities", "system_powerdown"):
                monitor.sendall(json.dumps({"execute": command}).encode())
                while b'"return"' not in monitor.recv(4096):
                    pass
        assert self.process is not None
        assert self.process.wait(30) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path)
    yield guest
    guest.kill()


def test_the_image_is_small() -> None:
    assert IMAGE.stat().st_size <= 32 << 20


def test_a_guest_uses_its_config_drive(guest: Guest) -> None:
    guest.write_config_drive("first", "#!/bin/sh\necho once >> /root/log\nexit 7\n")
    name = guest.boot().split()[3]
    assert re.fullmatch("[A-Za-z0-9-]{1,63}", name) and name.startswith("web-1-")
    guest.wait_for("user data ended with status 7")
    assert guest.ssh("root", "hostname") == name
    assert guest.ssh("sky", "id -un") == "sky"
    with urllib.request.urlopen(f"http://127.0.0.1:{guest.http_port}/", timeout=10) as answer:
        assert answer.read().decode().strip() == name
    assert int(guest.ssh("root", "df -m / | awk 'NR == 2 { print $2 }'")) > 900, "grown to the disk"
    host_key = (guest.directory / "known").read_text()
    guest.ssh("root", "echo kept > /root/note; echo '# mine' >> /root/.ssh/authorized_keys")
    guest.press_power_button()

    guest.boot()
    assert guest.ssh("root", "cat /root/note /root/log") == "kept\nonce", "the same instance: no second run"
    assert "# mine" in guest.ssh("root", "cat /root/.ssh/authorized_keys")
    assert (guest.directory / "known").read_text() == host_key
    guest.press_power_button()

    guest.write_config_drive("second", "#!/bin/sh\necho twice >> /root/log\n")
    (guest.directory / "known").unlink()
    guest.boot()
    guest.wait_for("user data ended with status 0")
    assert guest.ssh("root", "cat /root/log") == "once\ntwice", "another instance"
    assert "# mine" not in guest.ssh("root", "cat /root/.ssh/authorized_keys")
    assert (guest.directory / "known").read_text() != host_key


def test_a_guest_without_dhcp_takes_what_its_config_drive_says(guest: Guest) -> None:
    """QEMU's network has a DHCP server, which the guest must not ask: it would give the guest 10.0.2.15."""
    guest.address = "10.0.2.77"
    entry = {"link": "tap", "network_id": "net"}
    network_data = {
        "links": [{"id": "tap", "type": "ovs", "mtu": 1400, "ethernet_mac_address": MAC}],
        "networks": [
            entry
            | {
                "id": "network0",
                "type": "ipv4",
                "ip_address": guest.address,
                "netmask": "255.255.255.0",
                "routes": [
                    {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.2.2"},
                    {"network": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "10.0.2.9"},
                ],
                "services": [{"type": "dns", "address": "10.0.2.3"}],
            },
            entry
            | {
                "id": "network1",
                "type": "ipv6",
                "ip_address": "fd00:77::5",
                "netmask": "ffff:ffff:ffff:ffff::",
                "routes": [{"network": "::", "netmask": "::", "gateway": "fd00:77::1"}],
                "services": [{"type": "dns", "address": "fd00:77::53"}],
            },
        ],
        "services": [{"type": "dns", "address": "10.0.2.3"}, {"type": "dns", "address": "fd00:77::53"}],
    }
    guest.write_config_drive("static", "", network_data)
    assert {"10.0.2.77", "fd00:77::5"} <= set(guest.boot().split()[4:])
    addresses = guest.ssh("root", "ip -o address show dev eth0 scope global")
    assert re.findall(r"inet (\S+)", addresses) == ["10.0.2.77/24"]
    assert "inet6 fd00:77::5/64 " in addresses
    routes = guest.ssh("root", "ip route; ip -6 route")
    for route in ("default via 10.0.2.2", "198.51.100.0/24 via 10.0.2.9", "default via fd00:77::1"):
        assert f"{route} dev eth0" in routes
    assert guest.ssh("root", "cat /sys/class/net/eth0/mtu") == "1400"
    assert guest.ssh("root", "cat /etc/resolv.conf").split() == ["nameserver", "10.0.2.3", "nameserver", "fd00:77::53"]
    assert "udhcpc" not in guest.ssh("root", "ps")


def test_static_addresses_stay_when_a_lease_ends(guest: Guest) -> None:
    dhcp = {"id": "network0", "type": "ipv4_dhcp", "link": "tap", "network_id": "net"}
    static = {
        "id": "network1",
        "type": "ipv4",
        "link": "tap",
        "network_id": "net",
        "ip_address": "192.0.2.5",
        "netmask": "255.255.255.0",
        "routes": [{"network": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "192.0.2.1"}],
        "services": [],
    }
    links = [{"id": "tap", "type": "ovs", "mtu": None, "ethernet_mac_address": MAC}]
    guest.write_config_drive("both", "", {"links": links, "networks": [dhcp, static], "services": []})
    assert {"10.0.2.15", "192.0.2.5"} <= set(guest.boot().split()[4:])
    # USR2 releases the lease, which interrupts the session; USR1 asks for a new one.
    guest.ssh(
        "root",
        'client=$(cat /run/network/eth0.pid); setsid sh -c "kill -USR2 $client; sleep 2; (ip -o -4 address; ip route) '
        '>/released.new; mv /released.new /released; kill -USR1 $client" >/dev/null 2>&1 </dev/null &',
    )
    released = guest.ssh("root", "until [ -e /released ]; do sleep 1; done; cat /released")
    assert "192.0.2.5/24" in released and "198.51.100.0/24 via 192.0.2.1" in released
    assert "10.0.2.15" not in released and "default" not in released
    renewed = guest.ssh("root", "until ip route | grep default; do sleep 1; done")
    assert renewed.startswith("default via 10.0.2.2 dev eth0")
