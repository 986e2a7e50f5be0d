"""Deliveries of webhooks: creation, retries, signatures, and forbidden addresses."""

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jobs_fake
import orjson
import pytest

from skywright.cloud import Cloud
from skywright.core import Outcome
from skywright.db import utcnow
from skywright.db.identity import Domain, Project
from skywright.db.jobs import Job
from skywright.db.webhooks import Delivery, Webhook
from skywright.jobs.engine.settle import settle
from skywright.jobs.upkeep.retention import sweep
from skywright.jobs.webhooks import announce
from skywright.jobs.webhooks.addresses import permitted
from skywright.jobs.webhooks.announce import Attempt

KEY = b"k" * 32
NOW = datetime(2030, 1, 1)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = jobs_fake.make_cloud(tmp_path)
    yield cloud
    cloud.database.engine.dispose()


def subscribe(cloud: Cloud, project: str | None = "p", **fields: Any) -> str:
    states = fields.pop("states", ["successful", "failed"])
    with cloud.database.write() as session:
        row = Webhook(project_id=project, user_id="u", url="http://r/", states=states, **fields)
        row.sealed_secret = cloud.secrets.seal(KEY)
        session.add(row)
        session.flush()
        return row.id


def end(cloud: Cloud, project: str | None = "p", ok: bool = True, **fields: Any) -> str:
    with cloud.database.write() as session:
        job = Job(playbook="fake", action="write", project_id=project, **{"user_id": "u", **fields})
        session.add(job)
        session.flush()
        settle(session, cloud, job, Outcome(ok=ok, error=None if ok else "no disk"))
        return job.id


def owed(cloud: Cloud) -> list[tuple[str, str]]:
    with cloud.database.read() as session:
        return [(row.webhook_id, row.job_id) for row in session.query(Delivery)]


def take(cloud: Cloud, now: datetime, most: int = 10, busy: tuple[str, ...] = ()) -> list[Attempt]:
    with cloud.database.write() as session:
        return announce.take(session, cloud.secrets, most, busy, now)


def note(cloud: Cloud, attempt: Attempt, reason: str | None, now: datetime, status: int | None = None) -> None:
    with cloud.database.write() as session:
        announce.record_outcome(session, attempt, status, reason, now)


def delivery(cloud: Cloud) -> Delivery:
    with cloud.database.read() as session:
        return session.query(Delivery).one()


def test_the_end_of_a_job_creates_deliveries_for_matching_webhooks(cloud: Cloud) -> None:
    mine, all_projects = subscribe(cloud), subscribe(cloud, None)
    subscribe(cloud, "another")
    failures = subscribe(cloud, states=["failed"])
    looks = subscribe(cloud, None, playbooks=["fake"])
    subscribe(cloud, playbooks=["server"])
    good, bad = end(cloud), end(cloud, ok=False)
    assert set(owed(cloud)) == {
        *((webhook, job) for webhook in (mine, all_projects, looks) for job in (good, bad)),
        (failures, bad),
    }
    unasked = end(cloud, None, user_id=None)
    assert [webhook for webhook, job in owed(cloud) if job == unasked] == [looks]


def test_a_rolled_back_end_of_a_job_creates_no_delivery(cloud: Cloud) -> None:
    subscribe(cloud)
    with pytest.raises(RuntimeError), cloud.database.write() as session:
        job = Job(playbook="fake", action="write", project_id="p", user_id="u")
        session.add(job)
        session.flush()
        settle(session, cloud, job, Outcome(ok=True))
        session.flush()
        raise RuntimeError
    assert owed(cloud) == []


def test_an_attempt_without_a_result_is_repeated_and_only_the_last_one_counts(cloud: Cloud) -> None:
    subscribe(cloud)
    end(cloud)
    (first,) = take(cloud, NOW)
    assert take(cloud, NOW) == []
    (second,) = take(cloud, NOW + announce.LEASE)
    assert (second.delivery_id, second.number, second.body) == (first.delivery_id, 2, first.body)
    note(cloud, first, None, NOW + announce.LEASE, 200)
    assert delivery(cloud).state == "pending"
    note(cloud, second, None, NOW + announce.LEASE, 204)
    assert (delivery(cloud).state, delivery(cloud).status, delivery(cloud).attempts) == ("delivered", 204, 2)
    assert take(cloud, NOW + timedelta(days=2)) == []


def test_failures_are_repeated_with_growing_pauses_for_a_day(cloud: Cloud) -> None:
    subscribe(cloud)
    end(cloud)
    now = delivery(cloud).created_at
    began, pauses = now, []
    while delivery(cloud).state == "pending":
        now = delivery(cloud).next_at
        (attempt,) = take(cloud, now)
        note(cloud, attempt, "refused" * 100, now)
        pauses.append((delivery(cloud).next_at - now).total_seconds())
    assert pauses[:4] == [10, 20, 40, 80]
    assert max(pauses) == 3600
    assert timedelta(hours=22) < now - began < timedelta(hours=24)
    assert (delivery(cloud).state, delivery(cloud).reason) == ("failed", ("refused" * 100)[:255])


def test_deliveries_are_removed_by_retention_and_with_their_project(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        session.add(Domain(id="default", name="Default", name_key="default"))
        session.flush()
        session.add(Project(id="p", domain_id="default", name="p", name_key="p"))
    mine, _orphan, everyones = subscribe(cloud), subscribe(cloud, "gone"), subscribe(cloud, None)
    end(cloud)
    (sent, pending) = take(cloud, NOW)
    note(cloud, sent, None, NOW, 200)
    sweep(cloud, utcnow() + timedelta(days=13))
    assert len(owed(cloud)) == 2
    sweep(cloud, utcnow() + timedelta(days=15))
    assert [webhook for webhook, _ in owed(cloud)] == [pending.webhook_id]
    with cloud.database.read() as session:
        assert {row.id for row in session.query(Webhook)} == {mine, everyones}


def test_webhooks_take_turns_and_get_one_message_at_a_time(cloud: Cloud) -> None:
    many, one = subscribe(cloud, "many"), subscribe(cloud, "one")
    for _ in range(5):
        end(cloud, "many")
    end(cloud, "one")
    now = utcnow() + timedelta(seconds=1)
    assert {attempt.webhook_id for attempt in take(cloud, now)} == {many, one}
    end(cloud, "one")
    assert [attempt.webhook_id for attempt in take(cloud, now + timedelta(seconds=9), busy=(many,))] == [one]
    assert [attempt.webhook_id for attempt in take(cloud, now + timedelta(seconds=10), most=1)] == [many]


def test_signatures_follow_the_standard(cloud: Cloud) -> None:
    subscribe(cloud)
    job_id = end(cloud, ok=False)
    (attempt,) = take(cloud, NOW)
    assert "kkk" not in repr(attempt)
    headers = announce.headers(attempt, NOW)
    assert headers["webhook-timestamp"] == "1893456000"
    content = f"{headers['webhook-id']}.1893456000.{attempt.body}".encode()
    expected = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    body = orjson.loads(attempt.body)
    assert (body["type"], body["data"]["job"]["id"]) == ("job.ended", job_id)
    assert (body["data"]["job"]["state"], body["data"]["job"]["error"]) == ("failed", "no disk")


def test_secrets() -> None:
    made = announce.new_secret()
    assert len(announce.secret_bytes(made) or b"") == 32
    assert made != announce.new_secret()
    short = "whsec_" + base64.b64encode(b"k" * 23).decode()
    for bad in ("", "secret", "whsec_", "whsec_%%%%", "whsec_é", short, made + "=", made[6:]):
        assert announce.secret_bytes(bad) is None, bad


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fd00::1",
        "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::7f00:1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "2001::1", "fd00:ec2::254", "2001:db8::1",
    ],
)  # fmt: skip
def test_nothing_is_sent_to_addresses_that_are_not_public(address: str) -> None:
    assert not permitted(address)


def test_public_addresses_and_configured_networks_are_permitted() -> None:
    assert permitted("8.8.8.8")
    assert permitted("2606:4700::1111")
    inside = [ipaddress.ip_network("10.1.0.0/16")]
    assert permitted("10.1.2.3", inside)
    assert permitted("::ffff:10.1.2.3", inside)
    assert not permitted("10.2.0.1", inside)
