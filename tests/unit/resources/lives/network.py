"""A network with DHCP, which comes to the host with a server."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from resources import life
from skywright.services.network.kinds.network import NetworkKind
from skywright.services.network.tables import Network, Port, Subnet


class Life(life.Life):
    kind = NetworkKind
    harm_in_words = ["its DHCP server does not run"]

    def prepare(self) -> None:
        self.image, self.flavor = self.story.image(), self.story.flavor()

    def make(self) -> str:
        network = self.story.network()
        self.server = self.story.server(self.image, self.flavor, network)
        return network

    def harm(self, identifier: str) -> None:
        parts: dict[str, Any] = self.story.machine.parts
        for unit in parts["dhcp_network"].systemd.units.values():
            unit["active"] = False

    def end(self, identifier: str) -> None:
        self.story.delete("compute", f"/v2.1/servers/{self.server}")
        self.story.delete("network", f"/v2.0/networks/{identifier}")

    def forget(self, session: Session, identifier: str) -> None:
        for table in (Port, Subnet):
            for row in session.scalars(select(table).where(table.network_id == identifier)):
                session.delete(row)
            session.flush()
        session.execute(delete(Network).where(Network.id == identifier))

    def clean_up(self) -> None:
        self.story.delete("image", f"/v2/images/{self.image}")
