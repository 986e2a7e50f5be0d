"""Hostile input to the image service: a request works or is refused, and nothing leaks."""

import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from openstack.connection import Connection
from sqlalchemy import select

from skywright.db.jobs import Job

HOSTILE = [
    "{{ lookup('pipe', 'touch /tmp/pwned-by-image') }}",
    "$(touch /tmp/pwned-by-image)",
    "`touch /tmp/pwned-by-image`",
    '"><script>',
    "-rf",
    "../../etc/passwd",
    "'; DROP TABLE image; --",
    "%s%n%00",
    "line\nbreak\r\nX-Injected: 1",
    "\u202e\U0001f4a9" * 60,
    "x" * 255,
]
OCTETS = {"Content-Type": "application/octet-stream"}
V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def new(connection: Connection, **attributes: Any) -> str:
    body = {"name": "x", "disk_format": "raw", "container_format": "bare", **attributes}
    return str(connection.image.post("/images", json=body).json()["id"])


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_stored_unchanged(demo: Connection, text: str) -> None:
    answer = demo.image.post("/images", json={"name": text, "tags": [text], text: text})
    assert answer.status_code == 201
    image = demo.image.get(f"/images/{answer.json()['id']}").json()
    assert (image["name"], image["tags"], image[text]) == (text, [text], text)
    found = demo.image.get("/images", params={"name": text}).json()["images"]
    assert image["id"] in {item["id"] for item in found} or ":" in text
    assert demo.image.get("/images", params={text: text}).status_code == 200
    assert not Path("/tmp/pwned-by-image").exists()


@pytest.mark.parametrize("image_id", ["../../skywright.db", "..%2f..%2fkeys%2furls.key", "x%00y", "{{ 7*7 }}", "ü"])
def test_paths_as_ids_are_not_found(demo: Connection, image_id: str) -> None:
    for path in (f"/images/{image_id}", f"/images/{image_id}/file", f"/images/{image_id}/members"):
        assert demo.image.get(path).status_code == 404
    assert demo.image.put(f"/images/{image_id}/file", data=b"x", headers=OCTETS).status_code == 404
    assert demo.image.post("/images", json={"id": image_id}).status_code == 400
    assert demo.image.post("/images", json={"id": f"{uuid.uuid4()}\n"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"a\\u0000": "b"}',
        b'{"": "b"}',
        b'{"min_ram": 1e400}',
        b'{"min_ram": 99999999999999999999}',
        b'{"name": {"a": 1}}',
        b'{"tags": [null]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_invalid_bodies(demo: Connection, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert demo.image.post("/images", data=body, headers=headers).status_code == 400
    image_id = new(demo)
    assert demo.image.request(f"/images/{image_id}", "PATCH", data=body, headers=V21).status_code in (200, 400)
    assert demo.image.post(f"/images/{image_id}/members", data=body, headers=headers).status_code == 400
    assert demo.image.post(f"/images/{image_id}/import", data=body, headers=headers).status_code == 400


def test_private_images_are_not_found_for_others(demo: Connection, alt: Connection) -> None:
    image_id = new(demo, visibility="private")
    nothing = str(uuid.uuid4())
    demo.image.put(f"/images/{image_id}/file", data=b"secret", headers=OCTETS)
    for method, path, options in (
        ("GET", "", {}),
        ("DELETE", "", {}),
        ("PATCH", "", {"json": [], "headers": V21}),
        ("GET", "/file", {}),
        ("PUT", "/file", {"data": b"x", "headers": OCTETS}),
        ("PUT", "/stage", {"data": b"x", "headers": OCTETS}),
        ("POST", "/import", {"json": {"method": {"name": "glance-direct"}}}),
        ("POST", "/actions/deactivate", {}),
        ("PUT", "/tags/x", {}),
        ("GET", "/tasks", {}),
        ("GET", "/members", {}),
        ("POST", "/members", {"json": {"member": alt.current_project_id}}),
        ("PUT", f"/members/{alt.current_project_id}", {"json": {"status": "accepted"}}),
    ):
        real = alt.image.request(f"/images/{image_id}{path}", method, **options)
        absent = alt.image.request(f"/images/{nothing}{path}", method, **options)
        assert real.status_code == 404, (method, path)
        assert real.text.replace(image_id, nothing) == absent.text
    assert alt.image.get(f"/images?marker={image_id}").status_code == 400
    for query in ("", "visibility=all", "member_status=all", f"owner={demo.current_project_id}", f"id={image_id}"):
        listed = alt.image.get(f"/images?{query}").json()["images"]
        assert image_id not in {image["id"] for image in listed}


def test_an_existing_id_does_not_show_its_owner(demo: Connection, alt: Connection) -> None:
    """An id of another project is refused like an own one."""
    mine, theirs = new(alt), new(demo, visibility="private")
    answers = [alt.image.post("/images", json={"id": image_id}) for image_id in (mine, theirs)]
    assert {answer.status_code for answer in answers} == {409}
    assert len({answer.text.replace(mine, "").replace(theirs, "") for answer in answers}) == 1


def test_members_see_images_but_cannot_change_them(demo: Connection, alt: Connection, admin: Connection) -> None:
    image_id = new(demo)
    member = alt.current_project_id
    for project in (member, "another-project"):
        demo.image.post(f"/images/{image_id}/members", json={"member": project})
    alt.image.put(f"/images/{image_id}/members/{member}", json={"status": "accepted"})
    assert "another-project" not in alt.image.get(f"/images/{image_id}/members").text
    assert alt.image.get(f"/images/{image_id}/members/another-project").status_code == 404
    for path, method, options in (
        ("", "DELETE", {}),
        ("", "PATCH", {"json": [], "headers": V21}),
        ("/file", "PUT", {"data": b"x", "headers": OCTETS}),
        ("/members", "POST", {"json": {"member": "third"}}),
        ("/tags/x", "PUT", {}),
        ("/actions/deactivate", "POST", {}),
    ):
        assert alt.image.request(f"/images/{image_id}{path}", method, **options).status_code == 403


def test_tokens_are_needed(api: Any, demo: Connection) -> None:
    image_id, base = new(demo, visibility="community"), f"{api.url}/image/v2"
    for headers in ({}, {"X-Auth-Token": "forged"}, {"X-Auth-Token": "gAAAA" + "x" * 10_000}):
        for path in ("/images", f"/images/{image_id}", f"/images/{image_id}/file", "/info/import", "/schemas/image"):
            answer = requests.get(base + path, headers=headers, timeout=5)
            assert answer.status_code == 401, path
            assert "Keystone uri=" in answer.headers["WWW-Authenticate"]
        answer = requests.put(f"{base}/images/{image_id}/file", data=b"x", headers={**headers, **OCTETS}, timeout=5)
        assert answer.status_code == 401


def test_a_user_without_a_project_owns_nothing(api: Any, demo: Connection) -> None:
    auth = {"identity": {"methods": ["token"], "token": {"id": demo.auth_token}}, "scope": "unscoped"}
    answer = requests.post(f"{api.url}/identity/v3/auth/tokens", json={"auth": auth}, timeout=5)
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    for method, path, status in (
        ("GET", "/images", 403),
        ("POST", "/images", 403),
        ("GET", f"/images/{new(demo)}", 404),
    ):
        answer = requests.request(method, f"{api.url}/image/v2{path}", headers=headers, json={}, timeout=5)
        assert answer.status_code == status


def test_refused_requests_queue_no_jobs(api: Any, demo: Connection, alt: Connection) -> None:
    image_id = new(demo, visibility="private")
    demo.image.put(f"/images/{image_id}/file", data=b"x", headers=OCTETS)
    alt.image.delete(f"/images/{image_id}")
    with api.cloud.database.read() as session:
        assert not [job for job in session.scalars(select(Job)) if job.playbook == "image"]
    demo.image.delete(f"/images/{image_id}")
    with api.cloud.database.read() as session:
        (job,) = [job for job in session.scalars(select(Job)) if job.playbook == "image"]
        assert [resource.resource_id for resource in job.resources] == [image_id]
