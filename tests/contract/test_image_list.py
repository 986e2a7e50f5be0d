"""Lists of images: filters, order, pages."""

from typing import Any
from urllib.parse import quote

import pytest
from openstack.connection import Connection


@pytest.fixture(scope="module")
def rows(api: Any) -> dict[str, dict[str, Any]]:
    """Three images with data of different sizes, and a hidden one."""
    found = {}
    with api.connect("demo", "demo") as demo:
        for name, size, more in (
            ("a", 30, {"color": "red", "tags": ["t", "u"]}),
            ("b,c", 10, {"color": "blue", "tags": ["t"], "protected": True}),
            ("d", 20, {"container_format": "ovf"}),
            ("hidden", 5, {"os_hidden": True}),
        ):
            body = {"disk_format": "raw", "container_format": "bare", "name": name, **more}
            image = demo.image.post("/images", json=body).json()
            headers = {"Content-Type": "application/octet-stream"}
            demo.image.put(f"/images/{image['id']}/file", data=b"x" * size, headers=headers)
            found[name] = demo.image.get(f"/images/{image['id']}").json()
    return found


def names(connection: Connection, query: str) -> list[str]:
    answer = connection.image.get(f"/images?{query}")
    assert answer.status_code == 200, answer.text
    return [image["name"] for image in answer.json()["images"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"a", "b,c", "d"}),
        ("name=a", {"a"}),
        ("name=in:a,d", {"a", "d"}),
        ("name=" + quote('in:"b,c",d'), {"b,c", "d"}),
        ("status=active", {"a", "b,c", "d"}),
        ("status=in:queued,saving", set()),
        ("visibility=shared", {"a", "b,c", "d"}),
        ("visibility=private", set()),
        ("size_min=20", {"a", "d"}),
        ("size_min=11&size_max=20", {"d"}),
        ("size=10", {"b,c"}),
        ("tag=t", {"a", "b,c"}),
        ("tag=t&tag=u", {"a"}),
        ("color=red", {"a"}),
        ("color=green", set()),
        ("nothing=x", set()),
        ("container_format=ovf", {"d"}),
        ("protected=true", {"b,c"}),
        ("os_hidden=true", {"hidden"}),
        ("owner=0", set()),
        ("created_at=gt:2020-01-01T00:00:00Z", {"a", "b,c", "d"}),
        ("updated_at=lte:2020-01-01T00:00:00Z", set()),
        (quote('x"y') + "=1", set()),
    ],
)
def test_filters(demo: Connection, rows: dict[str, Any], query: str, expected: set[str]) -> None:
    assert set(names(demo, query)) == expected


def test_several_ids(demo: Connection, rows: dict[str, Any]) -> None:
    wanted = ",".join([rows["a"]["id"], rows["d"]["id"]])
    assert set(names(demo, f"id=in:{wanted}")) == {"a", "d"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["d", "b,c", "a"]),
        ("sort=size:asc", ["b,c", "d", "a"]),
        ("sort=size", ["a", "d", "b,c"]),
        ("sort=container_format:desc,size:asc", ["d", "b,c", "a"]),
        ("sort_key=size&sort_dir=asc", ["b,c", "d", "a"]),
        ("sort_key=container_format&sort_dir=asc&sort_key=size&sort_dir=desc", ["a", "b,c", "d"]),
        ("sort_key=name&sort_dir=desc", ["d", "b,c", "a"]),
    ],
)
def test_order(demo: Connection, rows: dict[str, Any], query: str, expected: list[str]) -> None:
    assert names(demo, query) == expected
    assert [name for page in pages(demo, query) for name in page] == expected


def pages(connection: Connection, query: str) -> list[list[str]]:
    """Return the pages of one image each, by following their links."""
    found, link = [], f"/v2/images?limit=1&{query}"
    while link:
        answer = connection.image.get(link.removeprefix("/v2")).json()
        assert answer["first"].startswith("/v2/images?limit=1")
        found.append([image["name"] for image in answer["images"]])
        link = answer.get("next")
    return found


@pytest.mark.parametrize(
    "query",
    [
        "limit=x",
        "limit=-1",
        "marker=nothing",
        "sort=nothing",
        "sort=name:up",
        "sort=name&sort_key=name",
        "sort_key=name&sort_dir=asc&sort_dir=desc",
        "visibility=secret",
        "member_status=perhaps",
        "size_min=x",
        "size_max=99999999999999999999",
        "created_at=gt:yesterday",
        "protected=perhaps",
        "os_hidden=2",
        "name=gt:a",
        "id=in:" + quote('"a'),
    ],
)
def test_bad_queries(demo: Connection, query: str) -> None:
    assert demo.image.get(f"/images?{query}").status_code == 400


def test_a_limit_of_0(demo: Connection, rows: dict[str, Any]) -> None:
    assert names(demo, "limit=0") == []
