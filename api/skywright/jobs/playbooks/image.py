"""Images in hosts' caches: what servers' jobs bring there, and what leaves after an image was deleted."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.signatures import Signatures, image_data_path
from skywright.db.compute import Server
from skywright.db.image import Image
from skywright.db.jobs import Host, Job
from skywright.jobs.playbooks import Item, Outcome, Work
from skywright.jobs.submit import enqueue

if TYPE_CHECKING:
    from skywright.cloud import Cloud

# What hosts can make a server's disk of.
BOOTABLE = ("qcow2", "raw")


def image_item(session: Session, image_id: str, cloud: "Cloud") -> Item | None:
    """The item that brings an image into a host's cache; None unless it is active and a disk that boots."""
    image = session.get(Image, image_id)
    if image is None or image.status != "active" or image.container_format != "bare":
        return None
    if image.disk_format not in BOOTABLE:
        return None
    url = Signatures(cloud.settings.key_dir).sign(image_data_path(image.id))
    return {
        "id": image.id,
        "state": "present",
        "url": f"{cloud.settings.public_url}{url}",
        "checksum": f"{image.os_hash_algo}:{image.os_hash_value}",
        "disk_format": image.disk_format,
    }


def server_left(session: Session, image_id: str | None, cloud: "Cloud") -> None:
    """A server of the image is gone. If the image was deleted before, its last server on a host kept it there."""
    image = session.get(Image, image_id) if image_id else None
    if image is not None and image.deleted_at is not None:
        enqueue(session, cloud.queue, "image", "delete", [("image", image.id)])


class ImagePlaybook:
    """Jobs of one image each. `delete`: it leaves the caches of the hosts where no server is based on it; `converge`:
    it comes back into the caches of some hosts.

    A server that is being made has its host before its image is fetched there, and none is made of a deleted image:
    so hosts that are not in use when this is rendered stay so.
    """

    name = "image"

    def render(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> Work:
        work = Work()
        hosts = [
            host.name
            for host in session.scalars(select(Host).where(Host.up).order_by(Host.name))
            if "computes" in host.groups
        ]
        for job in jobs:
            if job.action == "converge":
                self._bring_back(session, job, cloud, work)
        for image_id, carriers in _by_image(job for job in jobs if job.action != "converge").items():
            used = set(
                session.scalars(select(Server.host).where(Server.image_id == image_id, Server.deleted_at.is_(None)))
            )
            free = [host for host in hosts if host not in used]
            for host in free:
                work.items.setdefault(host, {}).setdefault("images", []).append({"id": image_id, "state": "absent"})
            for job in carriers:
                work.depends[job.id] = {(host, image_id) for host in free}
        return work

    @staticmethod
    def _bring_back(session: Session, job: Job, cloud: "Cloud", work: Work) -> None:
        image_id = job.resources[0].resource_id
        item = image_item(session, image_id, cloud)
        if item is None:
            work.refused[job.id] = f"Image {image_id} was deleted: it cannot be fetched again."
            return
        for host in job.arguments["hosts"]:
            work.items.setdefault(host, {}).setdefault("images", []).append(item)
        work.depends[job.id] = {(host, image_id) for host in job.arguments["hosts"]}

    def settle(self, session: Session, job: Job, outcome: Outcome, cloud: "Cloud") -> None:
        """The image is long gone for its users: the job's own outcome says all."""


def _by_image(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """The jobs of each image: several may ask for the same."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        for resource in job.resources:
            if resource.resource_type == "image":
                found.setdefault(resource.resource_id, []).append(job)
    return found


PLAYBOOK = ImagePlaybook()
