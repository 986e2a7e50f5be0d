"""Secrets of users are in no log, event, job, run, audit record, run directory or process list.

The same is tested on real hosts in tests/lab/test_secrets.py.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection
from sqlalchemy.exc import IntegrityError

from contract.compute_helpers import add_image
from contract.conftest import PASSWORD, Api
from skywright.db import Base
from skywright.db.identity import RevokedToken
from skywright.jobs.worker import Worker
from skywright.log import JsonFormatter
from skywright.redact import is_secret, selected

CANARY = "canary-5be901"
# Tables that operators and auditors read. Other tables contain users' secrets, because a config drive needs them.
TABLES = ("audit", "event", "job", "job_resource", "run", "heartbeat", "tally")
NULL_HOST = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "hypervisor_libvirt_uri": "test:///default",
    "ansible_become_password": f"{CANARY}-host",
}


class Watch(logging.Handler):
    """Collects all formatted log records, and all command lines that contain a canary."""

    def __init__(self, secrets: set[str]) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.secrets, self.lines, self.processes = secrets, [], []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def __enter__(self) -> "Watch":
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.INFO)
        root.addHandler(self)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        logging.getLogger().removeHandler(self)
        logging.getLogger().setLevel(self._level)

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        text = (process / name).read_bytes().decode(errors="replace")
                    except OSError:
                        continue
                    found = [secret for secret in self.secrets if secret in text]
                    if found and int(process.name) != os.getpid():
                        self.processes.append(f"{name} of {process.name}: {found}")


def rows(api: Api) -> Iterator[tuple[str, str]]:
    """Yield each row of `TABLES` as text."""
    with api.cloud.database.engine.connect() as connection:
        for table in TABLES:
            for row in connection.execute(Base.metadata.tables[table].select()):
                yield table, str(row)


def files(api: Api) -> Iterator[tuple[str, str]]:
    """Yield the files of the state directory, without the database, the keys and the data of images."""
    root = api.cloud.settings.root
    for path in root.rglob("*"):
        if path.is_file() and path.relative_to(root).parts[0] not in ("keys", "images") and ".db" not in path.name:
            yield str(path.relative_to(root)), path.read_text(errors="replace")


def plant(api: Api, admin: Connection, demo: Connection) -> set[str]:
    """Send secrets in all requests that have some. Return those that the API generated."""
    secrets = {CANARY, PASSWORD, demo.auth_token, admin.auth_token}
    identity, compute = f"{api.url}/identity/v3", f"{api.url}/compute/v2.1"

    def post(url: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
        answer = admin.session.request(url, method, json=body, raise_exc=False)
        return answer.json() if answer.content else {}

    user = post(f"{identity}/users", {"user": {"name": "canary", "password": f"{CANARY}-1", "secret_note": CANARY}})
    mine = f"{identity}/users/{user['user']['id']}"
    post(f"{mine}/password", {"user": {"original_password": f"{CANARY}-1", "password": f"{CANARY}-2"}})
    post(mine, {"user": {"password": f"{CANARY}-3"}}, "PATCH")
    wrong = {"user": {"id": user["user"]["id"], "password": f"{CANARY}-wrong"}}
    post(f"{identity}/auth/tokens", {"auth": {"identity": {"methods": ["password"], "password": wrong}}})
    post(f"{identity}/auth/tokens", {"auth": {"identity": {"methods": ["token"], "token": {"id": CANARY}}}})
    post(f"{identity}/credentials", {"credential": {"type": "totp", "blob": CANARY, "user_id": user["user"]["id"]}})
    own = f"{identity}/users/{admin.current_user_id}/application_credentials"
    credential = post(own, {"application_credential": {"name": "one", "secret": f"{CANARY}-app"}})
    generated = post(own, {"application_credential": {"name": "two"}})
    secrets.add(generated["application_credential"]["secret"])
    by_secret = {"id": credential["application_credential"]["id"], "secret": f"{CANARY}-app"}
    login = {"methods": ["application_credential"], "application_credential": by_secret}
    post(f"{identity}/auth/tokens", {"auth": {"identity": login}})
    pair = demo.session.post(f"{compute}/os-keypairs", json={"keypair": {"name": "canary"}}).json()
    if "private_key" in pair["keypair"]:
        secrets |= set(pair["keypair"]["private_key"].strip().splitlines()[1:-1])
    admin.session.put(f"{api.url}/v1/hosts/null", json={"host": {"groups": ["computes"], "variables": NULL_HOST}})
    plan = {"service": "identity", "method": "PATCH", "path": "/v3/users/x", "body": {"user": {"password": CANARY}}}
    post(f"{api.url}/v1/plan", plan)
    return secrets


def boot(api: Api, admin: Connection, demo: Connection) -> set[str]:
    """Boot servers with secrets. Return the password that the API generated for one of them."""
    limit = time.monotonic() + 60
    while not admin.session.get(f"{api.url}/v1/hosts/null").json()["host"]["vcpus"]:
        assert time.monotonic() < limit, "the host was never looked at"
        time.sleep(0.1)
    flavor = admin.compute.create_flavor(name="canary", vcpus=1, ram=64, disk=1)
    server = {
        "name": "one",
        "imageRef": add_image(api.cloud),
        "flavorRef": flavor.id,
        "networks": "none",
        "user_data": CANARY.encode().hex().ljust(32, "0"),
        "adminPass": f"{CANARY}-admin",
        "metadata": {"db_password": CANARY, "plain": f"{CANARY}-meta"},
        "config_drive": True,
    }
    headers, generated = {"OpenStack-API-Version": "compute 2.37"}, set()
    for body in (server, {name: value for name, value in server.items() if name != "adminPass"}):
        answer = demo.session.post(f"{api.url}/compute/v2.1/servers", json={"server": body}, headers=headers)
        created = answer.json()["server"]
        demo.compute.wait_for_server(demo.compute.get_server(created["id"]), wait=60)
        generated.add(created["adminPass"])
    return generated - {f"{CANARY}-admin"}


def test_secrets_are_only_where_they_are_necessary(api: Api, admin: Connection, demo: Connection) -> None:
    secrets = {CANARY, CANARY.encode().hex()}
    worker = Worker(api.cloud)
    thread = threading.Thread(target=worker.run)
    with Watch(secrets.copy()) as watch:
        thread.start()
        secrets |= plant(api, admin, demo)
        # Clients of tests that run at the same time have the same password.
        watch.secrets |= secrets - {PASSWORD}
        try:
            generated = boot(api, admin, demo)
        finally:
            worker.stop()
            thread.join()
        api.app.audit_writer.flush()
    assert len(generated) == 1
    secrets |= generated
    found = dict.fromkeys(TABLES, 0)
    for table, text in rows(api):
        found[table] += 1
        assert not [secret for secret in secrets if secret in text], (table, text)
    assert found["audit"] > 10
    assert found["event"] > 5
    kept = dict(files(api))
    assert any(name.endswith("record.json") for name in kept)
    for name, text in [*kept.items(), *enumerate(watch.lines)]:
        assert not [secret for secret in secrets if secret in text], (name, text[:2000])
    assert any("job" in json.loads(line) for line in watch.lines)
    assert watch.processes == []


def test_errors_of_the_database_do_not_show_values(api: Api) -> None:
    with pytest.raises(IntegrityError) as caught, api.cloud.database.write() as session:
        session.add(RevokedToken(audit_id=CANARY, expires_at=None))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("ansible_password", True),
        ("ansible_become_pass", True),
        ("adminPass", True),
        ("OS-EXT:user_data", True),
        ("client_secret", True),
        ("api_token", True),
        ("private_key", True),
        ("ansible_ssh_private_key_file", False),
        ("key_name", False),
        ("flavorRef", False),
    ],
)
def test_secrets_are_recognized_by_their_names(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_the_audit_trail_keeps_only_fields_without_secrets() -> None:
    body = {
        "server": {"name": "a", "flavorRef": "1", "min_count": 2, "adminPass": "x", "metadata": {"k": "x"}},
        "os-x": None,
        "list": [{"op": "replace", "path": "/y", "value": "x"}],
        "token": {"id": "x"},
        "password": {"user": {"name": "b", "password": "x"}},
        "passcode": 12,
        "surprise": "x",
    }
    assert selected(body) == {
        "server": {"name": "a", "flavorRef": "1", "min_count": 2, "adminPass": "***", "metadata": {"k": "***"}},
        "os-x": None,
        "list": [{"op": "replace", "path": "/y", "value": "***"}],
        "token": {"id": "***"},
        "password": {"user": {"name": "b", "password": "***"}},
        "passcode": "***",
        "surprise": "***",
    }
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"name": deep}
    assert "x" not in json.dumps(selected(deep))
