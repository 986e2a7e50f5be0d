"""`make tempest`: OpenStack's own integration tests, against the cloud of clouds.yaml.

include.txt and exclude.txt select the tests, tempest.conf says what the cloud offers. The configuration that was used,
the log and the results are in var/tempest. `run.py REGEX...` selects other tests than include.txt.
"""

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openstack
from openstack.connection import Connection

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
WORK = ROOT / "var/tempest"
BIN = ROOT / ".venv-tempest/bin"
NAME = "tempest"
TEST_SECONDS = 600
PROCESSES = 2


@contextmanager
def resources(cloud: Connection) -> Iterator[dict[str, dict[str, str]]]:
    """Create what the tests share, a network of all projects and a second image; yields their options."""
    flavors = [cloud.compute.find_flavor(name, ignore_missing=False).id for name in ("m1.nano", "m1.micro")]
    image = cloud.image.find_image("skywright", ignore_missing=False)
    other = cloud.create_image(
        NAME,
        data=bytes(1 << 20),  # no test needs an operating system in it
        disk_format="raw",
        container_format="bare",
        visibility="public",
        allow_duplicates=True,
        wait=True,
    )
    network = cloud.network.create_network(name=NAME, shared=True)
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.99.0.0/16")
    try:
        yield {
            "compute": {
                "image_ref": image.id,
                "image_ref_alt": other.id,
                "flavor_ref": flavors[0],
                "flavor_ref_alt": flavors[1],
            }
        }
    finally:
        cloud.network.delete_network(network)
        cloud.image.delete_image(other)


def options(cloud: Connection) -> dict[str, dict[str, Any]]:
    """Return the options that follow from the cloud itself."""
    auth = cloud.config.auth
    compute = cloud.compute.get_endpoint_data().max_microversion
    return {
        "DEFAULT": {"log_dir": WORK, "log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": WORK / "locks"},
        "auth": {
            "admin_username": auth["username"],
            "admin_password": auth["password"],
            "admin_project_name": auth["project_name"],
            "admin_domain_name": auth["user_domain_name"],
        },
        "identity": {"uri_v3": auth["auth_url"], "region": cloud.config.region_name},
        "compute": {"max_microversion": ".".join(map(str, compute))},
        "network-feature-enabled": {
            "api_extensions": ",".join(extension.alias for extension in cloud.network.extensions())
        },
    }


def write_config(*sources: dict[str, dict[str, Any]]) -> None:
    """Write var/tempest/tempest.conf: tempest.conf and the options of *sources*."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(HERE / "tempest.conf")
    for source in sources:
        config.read_dict(source)
    (WORK / "locks").mkdir(parents=True, exist_ok=True)
    descriptor = os.open(WORK / "tempest.conf", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        config.write(file)


def stestr(*arguments: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run stestr on the tests of tempest in its virtual environment."""
    site = next((BIN.parent / "lib").glob("python3*/site-packages"))
    environment = {
        **os.environ,
        "TEMPEST_CONFIG_DIR": str(WORK),
        "OS_TEST_TIMEOUT": str(TEST_SECONDS),
    }
    tests = ["--test-path", str(site / "tempest/test_discover"), "--top-dir", str(site)]
    grouping = ["--group_regex", r"([^\.]*\.)*"]  # the tests of a class share resources, so one worker runs them
    command = [str(BIN / "stestr"), *tests, *grouping, *arguments]
    return subprocess.run(command, check=False, text=True, cwd=WORK, env=environment, **kwargs)


def main() -> int:
    """Run the tests and print the names of those that failed. Returns the exit status."""
    selection = sys.argv[1:] or ["--include-list", str(HERE / "include.txt")]
    with openstack.connect("skywright") as cloud, resources(cloud) as shared:
        write_config(options(cloud), shared)
        if not (WORK / ".stestr").exists():
            stestr("init")
        excluded = ["--exclude-list", str(HERE / "exclude.txt")]
        status = stestr("run", "--concurrency", str(PROCESSES), *excluded, *selection).returncode
    if status:
        failed = stestr("failing", "--list", capture_output=True).stdout
        print("Failed:", *sorted(set(re.findall(r"^\S.*", failed, re.M))), sep="\n  ")
    return status


if __name__ == "__main__":
    sys.exit(main())
