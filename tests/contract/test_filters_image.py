"""Filters of the image service's lists, as in Glance."""

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from contract.filter_helpers import BOTH, NEW, NONE, OLD, SHOWN, A, Ask, B, Rows
from skywright.services.image.tables import Image, ImageTask, MetadefNamespace


@pytest.fixture
def ask(api: Api, admin: Connection) -> Ask:
    return Ask(api, admin)


@pytest.fixture(scope="module")
def image_rows(api: Api) -> dict[str, Rows]:
    with api.connect() as admin:
        project = admin.current_project_id
        for name, types in (("space-a", ["OS::Nova::Flavor", "Mine"]), ("space-b", ["OS::Glance::Image"])):
            body = {"namespace": name, "resource_type_associations": [{"name": each} for each in types]}
            assert admin.image.post("/metadefs/namespaces", json=body).status_code == 201
    a = Image(name="a,x", project_id=project, status="active", visibility="public", protected=True, disk_format="qcow2",
              container_format="bare", min_disk=2, min_ram=64, size=1000, virtual_size=2000, checksum="c0ffee",
              os_hash_algo="sha512", os_hash_value="beef", properties={"hw_disk_bus": "virtio"}, created_at=OLD,
              updated_at=OLD)  # fmt: skip
    b = Image(name="b", project_id="other", status="queued", visibility="shared", created_at=NEW, updated_at=NEW)
    hidden = Image(name="hidden", project_id=project, os_hidden=True)
    a.tags, b.tags = ["x", "y"], ["y"]
    with api.cloud.database.write() as session:
        session.add_all([a, b, hidden])
        session.flush()
        tasks = [
            ImageTask(image_id=a.id, project_id=project, user_id="u", request_id="r", request={}, status="success"),
            ImageTask(image_id=b.id, project_id="other", request={}, status="failure"),
        ]
        session.add_all(tasks)
        session.get_one(MetadefNamespace, "space-a").visibility = "public"
    names = {"a": a.id, "b": b.id, "project": project, "task": tasks[0].id}
    return {
        "images": Rows(a.id, b.id, names),
        "tasks": Rows(tasks[0].id, tasks[1].id, names),
        "metadefs/namespaces": Rows("space-a", "space-b", names),
    }


GLANCE = {
    "images": [
        ("id=<a>", A),
        ("id=in:<a>,<b>", BOTH),
        ('name=in:"a,x",c', A),
        ("name=eq:b", B),
        ("name=a", NONE),
        ("status=active", A),
        ("status=in:queued,saving", B),
        ("disk_format=qcow2", A),
        ("container_format=bare", A),
        ("container_format=in:bare,ovf", A),
        ("owner=<project>", A),
        ("checksum=c0ffee", A),
        ("os_hash_algo=sha512", A),
        ("os_hash_value=beef", A),
        ("size=1000", A),
        ("size_min=1000", A),
        ("size_max=999", NONE),
        ("virtual_size=2000", A),
        ("virtual_size_min=2001", NONE),
        ("virtual_size_max=2000", A),
        ("min_ram=64", A),
        ("min_ram_max=0", B),
        ("min_disk=2", A),
        ("min_disk_min=1", A),
        ("protected=true", A),
        ("protected=false", B),
        ("os_hidden=true", NONE),
        ("os_hidden=false", BOTH),
        ("tag=x", A),
        ("tag=x&tag=y", A),
        ("tag=y", BOTH),
        ("visibility=public", A),
        ("visibility=shared", B),
        ("visibility=all", BOTH),
        ("member_status=all", BOTH),
        (f"created_at={SHOWN}", A),
        (f"created_at=eq:{SHOWN}", A),
        (f"created_at=neq:{SHOWN}", B),
        (f"created_at=gt:{SHOWN}", B),
        (f"created_at=gte:{SHOWN}", BOTH),
        (f"created_at=lt:{SHOWN}", NONE),
        (f"updated_at=lte:{SHOWN}", A),
        ("hw_disk_bus=virtio", A),
        ("hw_disk_bus=scsi", NONE),
        ("nonsense=x", NONE),
    ],
    "tasks": [
        ("id=<task>", A),
        ("status=success", A),
        ("status=pending", NONE),
        ("type=api_image_import", BOTH),
        ("type=import", NONE),
        ("owner=<project>", A),
        ("image_id=<b>", B),
        ("user_id=u", A),
        ("request_id=r", A),
    ],
    "metadefs/namespaces": [
        ("visibility=public", A),
        ("visibility=private", B),
        ("resource_types=OS::Nova::Flavor", A),
        ("resource_types=Mine,OS::Glance::Image", BOTH),
        ("resource_types=nothing", NONE),
    ],
}


@pytest.mark.parametrize(
    ("kind", "query", "expected"), [(kind, *row) for kind, queries in GLANCE.items() for row in queries]
)
def test_glance(ask: Ask, image_rows: dict[str, Rows], kind: str, query: str, expected: str) -> None:
    assert ask.found(f"image/v2/{kind}", image_rows[kind], query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "images?changes-since=2020-01-01T00:00:00Z",
        "images?size_min=x",
        "images?name=gt:a",
        "images?created_at=yesterday",
        "images?protected=1",
        "images?visibility=secret",
        "tasks?status=nonsense",
        "tasks?type=nonsense",
        "metadefs/namespaces?visibility=shared",
    ],
)
def test_refused_queries_of_images(ask: Ask, query: str) -> None:
    assert ask.get(f"image/v2/{query}").status_code == 400
