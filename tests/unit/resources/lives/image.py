"""An image, which comes into the host's cache with a server."""

from typing import Any

from sqlalchemy.orm import Session

from resources import life
from skywright.services.compute.tables import Server
from skywright.services.image.kinds.image import ImageKind
from skywright.services.image.tables import Image


class Life(life.Life):
    kind = ImageKind
    harm_in_words = ["it is not in the host's cache"]

    def prepare(self) -> None:
        self.flavor, self.network = self.story.flavor(), self.story.network()

    def make(self) -> str:
        image = self.story.image()
        self.server = self.story.server(image, self.flavor, self.network)
        return image

    def harm(self, identifier: str) -> None:
        parts: dict[str, Any] = self.story.machine.parts
        (parts["image_cache"].directory / f"{identifier}.qcow2").unlink()

    def end(self, identifier: str) -> None:
        self.story.delete("compute", f"/v2.1/servers/{self.server}")
        self.story.delete("image", f"/v2/images/{identifier}")

    def forget(self, session: Session, identifier: str) -> None:
        session.delete(session.get_one(Image, identifier))
        session.delete(session.get_one(Server, self.server))

    def clean_up(self) -> None:
        self.story.delete("network", f"/v2.0/networks/{self.network}")
