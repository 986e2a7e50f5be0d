"""Hostile input to webhooks."""

from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.conftest import Api
from skywright.db.operations import Audit
from skywright.db.webhooks import Webhook

SECRET = "whsec_" + "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5"  # canary, canary


def post(api: Api, connection: Connection, **webhook: Any) -> requests.Response:
    return connection.session.post(f"{api.url}/v1/webhooks", json={"webhook": webhook}, raise_exc=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost.:80@127.0.0.1/", "http://[::1]/", "http://[::ffff:169.254.169.254]/x",
        "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://0.0.0.0:8000/", "ftp://example.org/",
        "file:///etc/passwd", "http://user:pw@example.org/", "http:///x", "http://example.org:99999/", "http://[::1/",
        "//example.org", "example.org", "http://example.org/#x", "http://exa mple.org/", "http://example.org/\r\nX: y",
        "http://\u212aexample.org/", "http://example.org/" + "x" * 2048, "", "javascript:alert(1)", "http://example.org:0/",
    ],
)  # fmt: skip
def test_forbidden_urls_are_refused(api: Api, demo: Connection, url: str) -> None:
    answer = post(api, demo, url=url)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"states": []}, {"states": ["queued"]}, {"states": "failed"}, {"playbooks": ["../x y"]}, {"secret": "short"},
        {"secret": 7}, {"description": "x" * 256}, {"description": "a\x00b"}, {"project_id": "other"}, {"id": "mine"},
        {"playbooks": ["a"] * 21}, {"secret": "whsec_" + "A" * 5000},
    ],
)  # fmt: skip
def test_invalid_fields_are_refused(api: Api, demo: Connection, fields: dict[str, Any]) -> None:
    assert post(api, demo, url="https://example.org/", **fields).status_code == 400


def test_only_administrators_get_all_projects(api: Api, demo: Connection) -> None:
    assert post(api, demo, url="https://example.org/", all_projects=True).status_code == 403
    assert requests.get(f"{api.url}/v1/webhooks", timeout=5).status_code == 401


def test_the_number_of_webhooks_is_limited(api: Api, alt: Connection) -> None:
    answers = [post(api, alt, url="https://example.org/") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [201] * 10 + [403]


def test_the_secret_is_not_readable(api: Api, demo: Connection) -> None:
    created = post(api, demo, url="https://example.org/?token=url-canary", secret=SECRET, description="{{ 7 * 7 }}")
    webhook = created.json()["webhook"]
    assert (webhook["secret"], webhook["description"]) == (SECRET, "{{ 7 * 7 }}")
    for path in ("", f"/{webhook['id']}"):
        assert "secret" not in demo.session.get(f"{api.url}/v1/webhooks{path}").text
    with api.cloud.database.read() as session:
        row = session.get_one(Webhook, webhook["id"])
        assert SECRET.removeprefix("whsec_") not in row.sealed_secret
        records = session.query(Audit).filter(Audit.path == "/webhooks").all()
    recorded = "".join(str(record.body) for record in records)
    assert records
    assert "canary" not in recorded
    assert SECRET.removeprefix("whsec_") not in recorded
