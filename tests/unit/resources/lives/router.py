"""A router with a gateway."""

from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from resources import life
from skywright.services.network.kinds.router import RouterKind
from skywright.services.network.router_tables import Router
from skywright.services.network.tables import Port


class Life(life.Life):
    kind = RouterKind
    harm_in_words = ["its packet filter differs", "its routes differ"]

    def prepare(self) -> None:
        story = self.story
        network = {"name": "public", "router:external": True}
        self.external = story.change("network", "/v2.0/networks", {"network": network})["network"]["id"]
        subnet = {"network_id": self.external, "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": False}
        story.change("network", "/v2.0/subnets", {"subnet": subnet})

    def make(self) -> str:
        body = {"router": {"name": "gate", "external_gateway_info": {"network_id": self.external}}}
        return str(self.story.change("network", "/v2.0/routers", body)["router"]["id"])

    def harm(self, identifier: str) -> None:
        parts: dict[str, Any] = self.story.machine.parts
        namespace = parts["router"].namespaces[f"router-{identifier}"]
        namespace.rules, namespace.routes = [], set()

    def end(self, identifier: str) -> None:
        self.story.delete("network", f"/v2.0/routers/{identifier}")

    def forget(self, session: Session, identifier: str) -> None:
        for port in session.query(Port).where(Port.device_id == identifier):
            session.delete(port)
        session.flush()
        session.execute(delete(Router).where(Router.id == identifier))

    def clean_up(self) -> None:
        self.story.delete("network", f"/v2.0/networks/{self.external}")
