"""After a host's power failure, servers whose desired state is running are started again, and others are not."""

import pytest
from openstack.connection import Connection

from lab.support import Guest, Lab, Made, cut_power, eventually, look_at

pytestmark = pytest.mark.alone


def test_servers_are_restored_with_their_host(cloud: Connection, made: Made, lab: Lab) -> None:
    network = made.network()
    far, near, stopped = made.active(
        made.server([network], "host2"), made.server([network], "host1"), made.server([network], "host2")
    )
    made.booted(stopped)
    cloud.compute.stop_server(stopped)
    made.status(stopped, "SHUTOFF")
    made.booted(near)
    host = lab["host2"]

    cut_power(host.machine)
    lab.playbook("lab").assert_well(changed=True)
    host.disconnect()
    eventually(host.answers, 60, "the host answers")
    look_at(cloud, host)
    eventually(lambda: host.domains().get(far.id, "-") != "-", 60, "the server runs again")
    assert host.domains()[stopped.id] == "-"
    Guest(lab, far, network).wait_reached()
    assert Guest(lab, near, network).fetch(Guest(lab, far, network).address) == far.name
    assert cloud.compute.get_server(far).status == "ACTIVE"
    assert cloud.compute.get_server(stopped).status == "SHUTOFF"
