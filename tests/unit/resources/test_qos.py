"""QoS policies of a server's port and of its network: changed by users, lost on the host, and removed."""

from typing import Any

import pytest
from sqlalchemy import select

from resources.life import Story
from skywright.services.network.tables import Port


@pytest.fixture
def network(story: Story) -> str:
    return story.network()


@pytest.fixture
def server(story: Story, network: str) -> str:
    return story.server(story.image(), story.flavor(), network)


@pytest.fixture
def port(story: Story, server: str) -> Port:
    with story.cloud.database.read() as session:
        return session.scalars(select(Port).where(Port.device_id == server)).one()


def switch(story: Story) -> Any:
    return story.machine.parts["ovs_qos"].switch  # type: ignore[attr-defined]


def flows(story: Story) -> dict[Any, str]:
    return {key: actions for key, actions in switch(story).actions.items() if key[0].startswith("0x736b71")}


def rates(story: Story) -> set[str]:
    return {text.partition("rate=")[2].partition(",")[0] for text in switch(story).meters.values()}


def policy(story: Story, kbps: int) -> tuple[str, str]:
    """A policy with a limit of what servers send, and the path of the limit."""
    made = story.change("network", "/v2.0/qos/policies", {"policy": {"name": str(kbps)}})["policy"]["id"]
    path = f"/v2.0/qos/policies/{made}/bandwidth_limit_rules"
    rule = story.change("network", path, {"bandwidth_limit_rule": {"max_kbps": kbps}})["bandwidth_limit_rule"]["id"]
    return made, f"{path}/{rule}"


def test_a_policy_and_its_rules_reach_the_port_as_planned(story: Story, network: str, port: Port) -> None:
    own, limit = policy(story, 1000)
    general, _ = policy(story, 2000)

    def change(path: str, name: str, **values: Any) -> set[str]:
        story.change("network", path, {name: values}, "PUT")
        assert story.drift()["state"] == "clean"
        return rates(story)

    assert change(f"/v2.0/networks/{network}", "network", qos_policy_id=general) == {"2000"}
    assert change(f"/v2.0/ports/{port.id}", "port", qos_policy_id=own) == {"1000"}
    assert change(limit, "bandwidth_limit_rule", max_kbps=3000) == {"3000"}
    story.delete("network", limit)
    assert rates(story) == set() and story.drift()["state"] == "clean"
    assert change(f"/v2.0/ports/{port.id}", "port", qos_policy_id=None) == {"2000"}
    story.delete("network", f"/v2.0/ports/{port.id}")
    assert not switch(story).meters and not flows(story) and story.drift()["state"] == "clean"


def test_lost_meters_are_drift_of_the_server(story: Story, server: str, port: Port) -> None:
    own, _ = policy(story, 1000)
    story.change("network", f"/v2.0/ports/{port.id}", {"port": {"qos_policy_id": own}}, "PUT")
    before = dict(switch(story).meters), flows(story)
    switch(story).meters.clear()
    for key in before[1]:
        del switch(story).actions[key]
    [found] = story.drift()["resources"]
    assert (found["type"], found["id"]) == ("server", server)
    assert [one["text"] for one in found["differences"]] == [f"the QoS of port {port.id} differs"]
    assert story.repair() == ["server"]
    assert (switch(story).meters, flows(story)) == before and story.drift()["state"] == "clean"
