"""Facts of real hosts have the same shape as the recorded ones (tests/recorded_hosts.py), which other tests use."""

from typing import Any

import pytest
from openstack.connection import Connection

from lab.support import Lab, look_at
from recorded_hosts import answer


def shape(value: Any) -> Any:
    """Return the names and types in *value*."""
    if isinstance(value, dict):
        return {name: shape(entry) for name, entry in value.items()}
    return {str(shape(entry)) for entry in value} if isinstance(value, list) else type(value).__name__


@pytest.mark.parametrize("name", ["host1", "host2"])
def test_a_host_sends_what_was_recorded(cloud: Connection, lab: Lab, name: str) -> None:
    look_at(cloud, lab[name])
    api = cloud.session.get_endpoint(service_type="operations", interface="public")
    said = cloud.session.get(f"{api}/hosts/{name}").json()["host"]["info"]
    recorded = answer(name)
    del recorded["contents"]  # only drift requests it
    for facts in (said, recorded):
        facts["domains"] = facts["domains"][:1]  # there may be none after the last test
    assert {key: shape(value) for key, value in said.items() if key != "domains"} == {
        key: shape(value) for key, value in recorded.items() if key != "domains"
    }


@pytest.mark.parametrize("name", ["host1", "host2"])
def test_hypervisors_show_the_facts_of_the_host(cloud: Connection, lab: Lab, name: str) -> None:
    [found] = [one for one in cloud.compute.hypervisors(details=True) if one.name == name]
    version = lab[name].run("virsh version --daemon | sed -n 's/Running hypervisor: QEMU //p'").strip()
    major, minor, release = (int(part) for part in version.split("."))
    assert cloud.compute.get_hypervisor(found.id).hypervisor_version == major * 1000000 + minor * 1000 + release
    assert " up " in cloud.compute.get_hypervisor(found.id).uptime
