"""Port security of a server's port on its host: changed by users, lost there, and removed."""

from typing import Any

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import PORTS, cookie
from sqlalchemy import select

from resources.life import Story
from skywright.services.network.tables import Port


@pytest.fixture
def server(story: Story) -> str:
    return story.server(story.image(), story.flavor(), story.network())


@pytest.fixture
def port(story: Story, server: str) -> Port:
    with story.cloud.database.read() as session:
        return session.scalars(select(Port).where(Port.device_id == server)).one()


def own(story: Story, port: Port) -> list[Any]:
    """Return the keys of the port's flows."""
    mark = cookie(PORTS, port.id)
    return [key for key in flows(story) if key[0] == mark]


def flows(story: Story) -> dict[Any, str]:
    found: dict[Any, str] = story.machine.parts["ovs_port_security"].switch.actions  # type: ignore[attr-defined]
    return found


def test_lost_flows_are_drift_of_the_server(story: Story, server: str, port: Port) -> None:
    before = dict(flows(story))
    for key in own(story, port):
        del flows(story)[key]
    [found] = story.drift()["resources"]
    assert (found["type"], found["id"]) == ("server", server)
    [difference] = found["differences"]
    assert difference["text"] == f"the port security of port {port.id} differs"
    assert story.repair() == ["server"]
    assert flows(story) == before and story.drift()["state"] == "clean"


def test_changes_of_a_port_reach_its_host_as_planned(story: Story, port: Port) -> None:
    def change(**values: Any) -> str:
        story.change("network", f"/v2.0/ports/{port.id}", {"port": values}, "PUT")
        assert story.drift()["state"] == "clean"
        return " ".join(match for _, _, match in own(story, port))

    assert "nw_src=10.9.0.2" in change(name="eth0")
    assert "nw_src=10.9.0.77" in change(allowed_address_pairs=[{"ip_address": "10.9.0.77"}])
    moved = change(fixed_ips=[{"ip_address": "10.9.0.9"}], allowed_address_pairs=[])
    assert "nw_src=10.9.0.9" in moved and "10.9.0.2" not in moved and "10.9.0.77" not in moved
    assert not change(port_security_enabled=False)
    assert "nw_src=10.9.0.9" in change(port_security_enabled=True)
    story.delete("network", f"/v2.0/ports/{port.id}")
    assert not own(story, port) and story.drift()["state"] == "clean"
