"""Join a server's port to the NIC eth0 of a network namespace, as QEMU joins it to the NIC of a guest.

cable.py TAP NAMESPACE MAC    makes the namespace and runs until it is stopped
"""

import fcntl
import os
import select
import struct
import subprocess
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAME_BYTES = 65536


def opened(tap: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", tap.encode(), IFF_TAP | IFF_NO_PI))
    return file


def main(tap: str, namespace: str, mac: str) -> None:
    port, nic = opened(tap), opened("cable0")
    for command in (
        f"netns add {namespace}",
        f"link set dev cable0 netns {namespace} name eth0 address {mac}",
        f"-netns {namespace} link set dev eth0 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    subprocess.run(["systemd-notify", "--ready"], check=True)
    peers = {port: nic, nic: port}
    while True:
        for end in select.select(peers, [], [])[0]:
            os.write(peers[end], os.read(end, FRAME_BYTES))


main(*sys.argv[1:])
