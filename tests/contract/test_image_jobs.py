"""Items of images on hosts."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skywright.db import utcnow
from skywright.db.jobs import Host, Job, JobResource
from skywright.services.compute.tables import Server
from skywright.services.image.kinds.image import image_item, server_left
from skywright.services.image.tables import Image


@pytest.fixture
def session(api: Any) -> Iterator[Session]:
    """A database with two compute hosts, of which one is down, and a network host."""
    with api.cloud.database.write() as session:
        for table in (JobResource, Job, Server, Host, Image):
            session.execute(delete(table))
        for name, groups, up in (
            ("host1", ["computes"], True),
            ("host2", ["computes", "networks"], True),
            ("host3", ["computes"], False),
            ("net1", ["networks"], True),
        ):
            session.add(Host(name=name, groups=groups, up=up))
        session.flush()
        yield session


def image(session: Session, **attributes: Any) -> Image:
    known = {"disk_format": "qcow2", "container_format": "bare", "status": "active"}
    row = Image(os_hash_algo="sha512", os_hash_value="ab", **{**known, **attributes})
    session.add(row)
    session.flush()
    return row


def server(session: Session, row: Image, host: str | None) -> Server:
    found = Server(
        project_id="p", user_id="u", name="s", flavor={}, vcpus=1, ram_mib=1, disk_gib=1, image_id=row.id, host=host
    )
    session.add(found)
    session.flush()
    return found


def delete_job(session: Session, row: Image) -> Job:
    job = Job(playbook="image", action="delete", resources=[JobResource(resource_type="image", resource_id=row.id)])
    session.add(job)
    session.flush()
    return job


def test_only_active_disk_images_have_items(api: Any, session: Session) -> None:
    item = image_item(session, image(session).id, api.cloud)
    assert item is not None
    assert item["url"].startswith(f"{api.url}/image/v2/images/{item['id']}/file?expires=")
    assert (item["state"], item["checksum"], item["disk_format"]) == ("present", "sha512:ab", "qcow2")
    for attributes in (
        {"status": "queued"},
        {"status": "deactivated"},
        {"status": "deleted"},
        {"disk_format": "iso"},
        {"container_format": "ova"},
    ):
        assert image_item(session, image(session, **attributes).id, api.cloud) is None
    assert image_item(session, "nothing", api.cloud) is None


def test_a_deleted_image_is_removed_from_hosts_without_its_servers(api: Any, session: Session) -> None:
    used, unused = image(session), image(session)
    server(session, used, "host1")
    server(session, used, "host2").deleted_at = utcnow()
    server(session, used, None)
    jobs = [delete_job(session, used), delete_job(session, unused), delete_job(session, unused)]
    work = api.cloud.kinds["image"].render(session, jobs, api.cloud)
    assert work.items == {
        "host1": {"images": [{"id": unused.id, "state": "absent"}]},
        "host2": {"images": [{"id": used.id, "state": "absent"}, {"id": unused.id, "state": "absent"}]},
    }
    assert work.depends == {
        jobs[0].id: {("host2", used.id)},
        jobs[1].id: {("host1", unused.id), ("host2", unused.id)},
        jobs[2].id: {("host1", unused.id), ("host2", unused.id)},
    }
    assert not work.refused


def test_deleting_the_last_server_removes_its_deleted_image(api: Any, session: Session) -> None:
    kept, gone = image(session), image(session, status="deleted", deleted_at=utcnow())
    for image_id in (kept.id, gone.id, None):
        server_left(session, image_id, api.cloud)
    (job,) = session.scalars(select(Job))
    assert (job.playbook, job.action, job.resources[0].resource_id) == ("image", "delete", gone.id)


def test_deleting_data_queues_a_job(api: Any, demo: Connection) -> None:
    body = {"name": "x", "disk_format": "raw", "container_format": "bare"}
    empty, full = (demo.image.post("/images", json=body).json()["id"] for _ in range(2))
    demo.image.put(f"/images/{full}/file", data=b"x", headers={"Content-Type": "application/octet-stream"})
    for image_id in (empty, full):
        assert demo.image.delete(f"/images/{image_id}").status_code == 204
    with api.cloud.database.read() as session:
        resources = session.scalars(select(JobResource.resource_id).where(JobResource.resource_type == "image")).all()
    assert full in resources
    assert empty not in resources
