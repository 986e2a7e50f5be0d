"""A server with one port."""

from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from resources import life
from skywright.services.compute.kinds.server import ServerKind
from skywright.services.compute.tables import Server
from skywright.services.network.internal import Port


class Life(life.Life):
    kind = ServerKind
    harm_in_words = ["its config drive is missing", "its domain is not defined"]

    def prepare(self) -> None:
        story = self.story
        self.image, self.flavor, self.network = story.image(), story.flavor(), story.network()

    def make(self) -> str:
        return self.story.server(self.image, self.flavor, self.network)

    def harm(self, identifier: str) -> None:
        parts: dict[str, Any] = self.story.machine.parts
        domain = parts["libvirt_domain"].connection.lookupByUUIDString(identifier)
        domain.destroy()
        domain.undefine()
        (parts["server_disk"].servers / identifier / "disk.config").unlink()

    def end(self, identifier: str) -> None:
        self.story.delete("compute", f"/v2.1/servers/{identifier}")

    def forget(self, session: Session, identifier: str) -> None:
        session.execute(delete(Port).where(Port.device_id == identifier))
        session.delete(session.get_one(Server, identifier))

    def clean_up(self) -> None:
        self.story.delete("network", f"/v2.0/networks/{self.network}")
        self.story.delete("image", f"/v2/images/{self.image}")
