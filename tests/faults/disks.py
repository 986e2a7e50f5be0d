"""A separate disk of one controller with a real file system, which can be full or slow."""

import textwrap
from pathlib import Path

from faults.hosts import Host, Hosts

SERVICES = "mariadb rabbitmq-server skywright-api skywright-worker"
DIRECTORIES = "mysql rabbitmq skywright"  # in /var/lib: the data of these services
MOUNT, IMAGE = "/run/faults-disk", "/var/lib/faults-disk.img"
# The size of the disk's reserve, and the writes per second of a failing disk: a good one does thousands.
FREE_MIB, WRITES = 512, 25
SECONDS = 150
THROTTLE = Path("/sys/fs/cgroup/blkio/blkio.throttle.write_iops_device")
LOOP_CONTROL_MINOR = 237

ATTACH = f"""
    set -e
    systemctl stop {SERVICES}
    cd /var/lib
    test -e /dev/loop-control || mknod /dev/loop-control c 10 {LOOP_CONTROL_MINOR}
    for number in $(seq 0 31); do test -e /dev/loop$number || mknod /dev/loop$number b 7 $number; done
    truncate --size=$(($(du -sm --total {DIRECTORIES} | tail -n 1 | cut -f 1) + {FREE_MIB}))M {IMAGE}
    mkfs.ext4 -q -m 0 {IMAGE}
    mkdir -p {MOUNT}
    mount -o loop {IMAGE} {MOUNT}
    for name in {DIRECTORIES}; do cp -a $name {MOUNT} && mount --bind {MOUNT}/$name $name; done
    systemctl start {SERVICES}
"""
DETACH = f"""
    set -e
    systemctl stop {SERVICES}
    cd /var/lib
    for name in {DIRECTORIES}; do umount $name; find $name -mindepth 1 -delete; cp -a {MOUNT}/$name/. $name; done
    umount {MOUNT}
    rm -r {IMAGE} {MOUNT}
    systemctl start {SERVICES}
"""
FILL = f"fallocate --length $(df --output=avail -B 1 {MOUNT} | tail -n 1) {MOUNT}/full; cat /dev/zero > {MOUNT}/fuller"

# More than the reserved space of a table or of the system tablespace.
GROW = """
    mariadb -e "CREATE DATABASE faults_room; CREATE TABLE faults_room.filled (data LONGBLOB)"
    for number in $(seq 40); do mariadb faults_room -e "INSERT INTO filled VALUES (REPEAT('x', 1 << 20))"; done
"""


def attach(host: Host) -> None:
    """Move the data of the services to a separate disk."""
    host.run(textwrap.dedent(ATTACH), seconds=SECONDS)


def detach(host: Host) -> None:
    """Move the data back."""
    host.run(textwrap.dedent(DETACH), seconds=SECONDS)


def fill(host: Host) -> None:
    """Fill the disk, including the space reserved for root."""
    host.run(FILL, check=False)


def empty(host: Host) -> None:
    host.run(f"rm -f {MOUNT}/full {MOUNT}/fuller")


def outgrow(hosts: Hosts, host: Host) -> None:
    """Fill the disk, and then write data on other nodes that needs space on every node."""
    fill(host)
    other = next(one for one in hosts.controllers if one is not host)
    other.run(GROW)


def shrink(hosts: Hosts, host: Host) -> None:
    other = next(one for one in hosts.controllers if one is not host)
    other.run("mariadb -e 'DROP DATABASE faults_room'")
    empty(host)


def slow_down(host: Host) -> None:
    """Let the kernel limit the writes per second."""
    _throttle(host, WRITES)


def speed_up(host: Host) -> None:
    _throttle(host, 0)


def _throttle(host: Host, writes: int) -> None:
    THROTTLE.write_text(f"{host.run(f'findmnt --noheadings --output=MAJ:MIN {MOUNT}').strip()} {writes}\n")
