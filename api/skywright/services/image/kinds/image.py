"""Images in hosts' caches: servers' jobs add them, and they are removed after their deletion."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.signatures import Signatures, image_data_path
from skywright.core import Core, Item, Outcome, Work
from skywright.db.host_facts import HostFacts, Mark
from skywright.db.jobs import Host, Job
from skywright.jobs.drift.model import LOST, Desired, Finding, Findings, Leftover, Reading, Records
from skywright.jobs.engine.submit import enqueue
from skywright.jobs.kinds import ResourceKind, Result
from skywright.services.compute.internal import ServerDirectory, hosts_of_image
from skywright.services.image.tables import Image

# Formats from which hosts can create a server's disk.
BOOTABLE = ("qcow2", "raw")


def image_item(session: Session, image_id: str, core: Core) -> Item | None:
    """Return the item that adds an image to a host's cache; None unless it is active and bootable."""
    image = session.get(Image, image_id)
    if image is None or image.status != "active" or image.container_format != "bare":
        return None
    if image.disk_format not in BOOTABLE:
        return None
    url = Signatures(core.settings.key_dir).sign(image_data_path(image.id))
    return {
        "id": image.id,
        "state": "present",
        "url": f"{core.settings.public_url}{url}",
        "checksum": f"{image.os_hash_algo}:{image.os_hash_value}",
        "disk_format": image.disk_format,
    }


def server_left(session: Session, image_id: str | None, core: Core) -> None:
    """Remove a deleted image from the host's cache after its last server there was deleted."""
    image = session.get(Image, image_id) if image_id else None
    if image is not None and image.deleted_at is not None:
        enqueue(session, core.queue, "image", "delete", [("image", image.id)])


class ImageKind(ResourceKind):
    """Jobs of one image each. `delete` removes it from the caches of the hosts where no server is based on it;
    `converge` adds it to the caches of some hosts.

    A server gets its host before its image is sent there, and deleted images cannot be used for new servers. So a host
    that does not need the image when this is rendered will not need it later.
    """

    name, item_kind = "image", "images"
    shared = True

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        work = Work()
        hosts = [
            host.name
            for host in session.scalars(select(Host).where(Host.up).order_by(Host.name))
            if "computes" in host.groups
        ]
        for job in jobs:
            if job.action == "converge":
                self._bring_back(session, job, core, work)
        for image_id, carriers in _by_image(job for job in jobs if job.action != "converge").items():
            used = hosts_of_image(session, image_id)
            free = [host for host in hosts if host not in used]
            for host in free:
                work.items.setdefault(host, {}).setdefault("images", []).append({"id": image_id, "state": "absent"})
            for job in carriers:
                work.depends[job.id] = {(host, image_id) for host in free}
        return work

    @staticmethod
    def _bring_back(session: Session, job: Job, core: Core, work: Work) -> None:
        image_id = job.resources[0].resource_id
        item = image_item(session, image_id, core)
        if item is None:
            work.refused[job.id] = f"Image {image_id} was deleted: it cannot be fetched again."
            return
        for host in job.arguments["hosts"]:
            work.items.setdefault(host, {}).setdefault("images", []).append(item)
        work.depends[job.id] = {(host, image_id) for host in job.arguments["hosts"]}

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        """Do nothing: the image is already deleted for its users."""

    def read_desired(self, reading: Reading) -> None:
        wanted: dict[str, Item] = {}
        for image_id, host in sorted({(use.id, use.host) for use in reading.used("image")}):
            if image_id not in wanted:
                # Without a URL it cannot be downloaded again, but the host can check whether it has it.
                item = image_item(reading.session, image_id, reading.core) or {"id": image_id, "state": "present"}
                wanted[image_id] = item
                row = reading.session.get(Image, image_id)
                reading.includes(("image", image_id), row.name if row else None, row.project_id if row else None)
            if ("image", image_id) not in reading.desired.left_out:
                reading.desired.add(host, "images", wanted[image_id])

    def describe(self, base: Finding, result: Result, desired: Desired, findings: Findings) -> Iterable[Finding]:
        return [replace(base, text="it is not in the host's cache")]

    def describe_error(self, base: Finding, result: Result) -> tuple[str, str]:
        """The image is missing and cannot be downloaded again."""
        return LOST, "it is not in the host's cache and was deleted: the disks based on it cannot be read any more"

    def own(self, item: Item) -> Item:
        """Return the item without its URL, which has a new signature each time."""
        return {key: value for key, value in item.items() if key != "url"}

    def leftovers(self, records: Records, host: str, facts: HostFacts, found: list[Leftover]) -> Iterable[Leftover]:
        """Yield cached images that were deleted, unless a server's disk needs them."""
        directories = facts.marks("server_disk", ServerDirectory)
        left = {one.id for one in found if one.kind == "server"}
        for image_id in (mark.id for mark in facts.marks("image_cache", Mark)):
            row = records.session.get(Image, image_id)
            if (row is not None and row.deleted_at is None) or not records.settled("image", image_id):
                continue
            users = {entry.id for entry in directories if entry.image_id == image_id}
            if users <= left:
                yield Leftover(host, "image", image_id, ["cached image"], locks={("server", user) for user in users})

    def tidy(self, one: Leftover) -> tuple[str, dict[str, Any]]:
        return "delete", {}


def _by_image(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """Return the jobs of each image, which may be several."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        for resource in job.resources:
            if resource.resource_type == "image":
                found.setdefault(resource.resource_id, []).append(job)
    return found
