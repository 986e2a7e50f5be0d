"""A router's changes on its host: interfaces, floating IPs, and its end."""

from typing import Any

import pytest

from resources.life import Story
from resources.lives.router import Life


@pytest.fixture
def life(story: Story) -> Life:
    return Life(story)


def state(story: Story, router: str) -> Any:
    """(devices, routes, rules) of the router's namespace."""
    namespaces = story.machine.parts["router"].namespaces  # type: ignore[attr-defined]
    links, routes, rules, _ = namespaces[f"router-{router}"].state()
    return links, routes, " ".join(rules)


def test_changes_of_a_router_reach_its_host_as_planned(story: Story, life: Life) -> None:
    router, network = life.make(), story.network()
    [subnet] = story.ask(f"/networking/v2.0/subnets?network_id={network}", method="GET")["subnets"]
    interface = {"subnet_id": subnet["id"]}
    added = story.change("network", f"/v2.0/routers/{router}/add_router_interface", interface, "PUT")
    links, routes, rules = state(story, router)
    assert links[f"rt{added['port_id'][:11]}"]["addresses"] == ["10.9.0.1/16"] and len(links) == 2
    assert any("via 203.0.113.1" in route for route in routes)
    port = story.ask("/networking/v2.0/ports", {"port": {"network_id": network}})["port"]
    body = {"floatingip": {"floating_network_id": life.external, "port_id": port["id"]}}
    floating = story.change("network", "/v2.0/floatingips", body)["floatingip"]
    rules = state(story, router)[2]
    assert floating["floating_ip_address"] in rules and floating["fixed_ip_address"] in rules
    assert story.drift()["state"] == "clean"
    story.change("network", f"/v2.0/floatingips/{floating['id']}", method="DELETE")
    assert floating["floating_ip_address"] not in state(story, router)[2]
    story.change("network", f"/v2.0/routers/{router}/remove_router_interface", interface, "PUT")
    assert len(state(story, router)[0]) == 1
    life.end(router)
    assert not story.machine.parts["router"].namespaces  # type: ignore[attr-defined]
    assert story.drift()["state"] == "clean"
