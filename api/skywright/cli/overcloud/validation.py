"""Validates that a cloud works. Run as a module, with CLOUDS_YAML CLOUD GUEST_IMAGE.

It boots a guest on every compute host by the cloud's API. Each guest has to print on its console that it is ready, and
all but the first that they can reach the first. Everything is removed afterwards.
"""

import base64
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import openstack
from openstack.connection import Connection

from skywright.cli.failure import StepFailed

CIDR, FIRST_ADDRESS = "192.168.76.0/24", "192.168.76.10"
ACTIVE_SECONDS = 180.0
READY_SECONDS = 180.0
GONE_SECONDS = 120.0
REACHED = "skywright validation: reached"
FETCH = f"""#!/bin/sh
while ! page=$(timeout 5 wget -q -O - http://{FIRST_ADDRESS}/); do sleep 1; done
echo "{REACHED} $page"
"""

Undo = Callable[[], object]


def validate(cloud: Connection, guest_image: Path) -> None:
    """Run all checks; raise StepFailed if one fails."""
    name = f"validation-{uuid4().hex[:8]}"
    with ExitStack() as undo:
        with _step("upload the guest's image"):
            image = _image(cloud, name, guest_image, undo.callback)
        with _step("make a network and a flavor"):
            network = cloud.network.create_network(name=name)
            undo.callback(cloud.network.delete_network, network)
            cloud.network.create_subnet(name=name, network_id=network.id, ip_version=4, cidr=CIDR)
            flavor = cloud.create_flavor(name, ram=128, vcpus=1, disk=1, is_public=True)
            undo.callback(cloud.compute.delete_flavor, flavor)
        hosts = sorted(service.host for service in cloud.compute.services(binary="nova-compute") if _usable(service))
        if not hosts:
            raise StepFailed("No compute host is enabled and up", "See `skywright hosts list`.")
        with _step(f"boot a guest on each of {', '.join(hosts)}"):
            servers = [
                _boot(cloud, name, host, number, undo, image_id=image.id, flavor_id=flavor.id, network=network)
                for number, host in enumerate(hosts)
            ]
            for server in servers:
                _until(ACTIVE_SECONDS, f"{server.name} is not ACTIVE", partial(_active, cloud, server))
        with _step("wait until the guests are ready and reach each other"):
            for number, server in enumerate(servers):
                words = [f"skywright guest: ready {server.name}", *([f"{REACHED} {servers[0].name}"] if number else [])]
                _until(
                    READY_SECONDS,
                    f"{server.name}'s console lacks {words}",
                    partial(_has_printed, cloud, server, words),
                )


def _image(cloud: Connection, name: str, path: Path, undo: Callable[..., object]) -> Any:
    """Upload the guest's image and download it again; any controllers may serve these requests."""
    image: Any = cloud.create_image(name, filename=str(path), disk_format="qcow2", container_format="bare", wait=True)
    undo(cloud.image.delete_image, image.id)
    digest = hashlib.sha512(cloud.image.download_image(image.id).content).hexdigest()
    if digest != hashlib.sha512(path.read_bytes()).hexdigest():
        raise StepFailed("The downloaded image differs from the uploaded one", "See the API's logs.")
    return image


def _usable(service: Any) -> bool:
    return bool(service.status == "enabled" and service.state == "up")


def _boot(cloud: Connection, name: str, host: str, number: int, undo: ExitStack, *, network: Any, **wanted: Any) -> Any:
    nic: dict[str, str] = {"uuid": network.id}
    if number == 0:
        nic["fixed_ip"] = FIRST_ADDRESS
    else:
        wanted["user_data"] = base64.b64encode(FETCH.encode()).decode()
    server = cloud.compute.create_server(
        name=f"{name}-{number}", networks=[nic], availability_zone=f"nova:{host}", **wanted
    )
    undo.callback(_delete, cloud, server)
    return server


def _active(cloud: Connection, server: Any) -> bool:
    found = cloud.compute.get_server(server.id)
    if found.status == "ERROR":
        reason = (found.fault or {}).get("message", "no reason is known")
        raise StepFailed(f"{server.name} cannot be booted: {reason}", "See `skywright jobs list`.")
    return bool(found.status == "ACTIVE")


def _has_printed(cloud: Connection, server: Any, words: list[str]) -> bool:
    console = cloud.compute.get_server_console_output(server.id, length=200)["output"] or ""
    return all(word in console for word in words)


def _delete(cloud: Connection, server: Any) -> None:
    cloud.compute.delete_server(server.id, ignore_missing=True)
    _until(GONE_SECONDS, f"{server.name} is not gone", lambda: cloud.compute.find_server(server.id) is None)


def _until(seconds: float, otherwise: str, condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise StepFailed(f"{otherwise} after {seconds:.0f} s", "See `skywright jobs list`.")
        time.sleep(1)


@contextmanager
def _step(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


def main() -> None:
    """Validate the cloud in the arguments."""
    clouds_yaml, name, guest_image = sys.argv[1:]
    config = openstack.config.OpenStackConfig(config_files=[clouds_yaml], load_envvars=False)
    try:
        validate(Connection(config=config.get_one(name)), Path(guest_image))
    except StepFailed as failure:
        sys.exit(f"{failure.what}\n{failure.advice}")


if __name__ == "__main__":
    main()
