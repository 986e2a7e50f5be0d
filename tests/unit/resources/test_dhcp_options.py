"""Extra DHCP options of a server's port: changed by users, lost on the host, and removed."""

import pytest
from sqlalchemy import select

from resources.life import Story
from skywright.services.network.tables import Port


@pytest.fixture
def network(story: Story) -> str:
    return story.network()


@pytest.fixture
def port(story: Story, network: str) -> Port:
    server = story.server(story.image(), story.flavor(), network)
    with story.cloud.database.read() as session:
        return session.scalars(select(Port).where(Port.device_id == server)).one()


def change(story: Story, port: Port, name: str, value: str | None) -> None:
    body = {"port": {"extra_dhcp_opts": [{"opt_name": name, "opt_value": value}]}}
    story.change("network", f"/v2.0/ports/{port.id}", body, "PUT")
    assert story.drift()["state"] == "clean"


def lines(story: Story, network: str) -> list[str]:
    text: str = story.machine.parts["dhcp_network"].text("port-options", network)  # type: ignore[attr-defined]
    return [line.partition("option:")[2].partition(" # ")[0] for line in text.splitlines()]


def test_changes_reach_the_host_as_planned(story: Story, network: str, port: Port) -> None:
    change(story, port, "bootfile-name", "a")
    change(story, port, "ntp-server", "10.9.0.1,10.9.0.2")
    assert lines(story, network) == ["bootfile-name,a", "ntp-server,10.9.0.1,10.9.0.2"]
    change(story, port, "bootfile-name", "b")
    change(story, port, "ntp-server", None)
    assert lines(story, network) == ["bootfile-name,b"]
    story.delete("network", f"/v2.0/ports/{port.id}")
    assert lines(story, network) == [] and story.drift()["state"] == "clean"


def test_lost_options_are_drift_of_the_server(story: Story, network: str, port: Port) -> None:
    change(story, port, "bootfile-name", "a")
    path = story.machine.parts["dhcp_network"].directory / network / "port-options"  # type: ignore[attr-defined]
    path.write_text("")
    [found] = story.drift()["resources"]
    assert (found["type"], found["id"]) == ("server", port.device_id)
    [difference] = found["differences"]
    assert difference["text"] == "its DHCP options differ"
    assert story.repair() == ["server"]
    assert lines(story, network) == ["bootfile-name,a"] and story.drift()["state"] == "clean"
