"""Prometheus metrics of a controller's services, and the metrics that the alert rules use."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client.parser import text_string_to_metric_families

from databases import make_tables
from skywright import controller_metrics
from skywright.app import create_app
from skywright.controller_metrics import ControllerMetrics
from skywright.settings import Settings

ROOT = Path(__file__).parents[2]
RULES, CONFIGURATION = ROOT / "docs/prometheus/alerts.yml", ROOT / "docs/prometheus/prometheus.yml"
GALERA = {
    "wsrep_cluster_status": "Primary",
    "wsrep_local_state": "4",
    "wsrep_flow_control_paused_ns": "2500000000",
    "wsrep_cluster_size": "3",
    "wsrep_local_recv_queue": "7",
}
STATS = b"STAT bytes 10\r\nSTAT limit_maxbytes 100\r\nSTAT curr_connections 2\r\nSTAT evictions 1\r\nEND\r\n"
# Names in expressions that are no metrics: functions, keywords, and labels in `by (...)` and similar clauses.
WORDS = re.compile(r"\b(?:by|on|group_left|without|ignoring)\s*\([^)]*\)|\{[^}]*\}|\[[^]]*\]")
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w|\s*\()")
OPERATORS = {"and", "or", "unless", "bool"}


class Cursor:
    """A cursor that returns the node's status."""

    def __init__(self, status: dict[str, str]) -> None:
        self.status = status

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def cursor(self) -> "Cursor":
        return self

    def execute(self, _statement: str) -> None:
        pass

    def fetchall(self) -> list[tuple[str, str]]:
        return list(self.status.items())


def certificate(days: int) -> bytes:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=days))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A controller with fake programs and servers."""
    tools, tls = tmp_path / "bin", tmp_path / "tls"
    tools.mkdir()
    tls.mkdir()
    (tls / "ca.pem").write_bytes(certificate(40) + certificate(20))
    (tls / "host.pem").write_bytes(certificate(90))
    tracking = "7F7F0101,,10,1795204618.1,-0.25,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,Normal"
    addresses = '[{"addr_info": [{"local": "10.0.0.11"}, {"local": "10.0.0.9"}]}, {"ifname": "data0"}]'
    for name, says in (("chronyc", tracking), ("systemctl", "active\n\n" * 7 + "failed"), ("ip", addresses)):
        (tools / name).write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr(controller_metrics, "TLS", tls)
    said = SimpleNamespace(tools=tools, galera=dict(GALERA), connected={})

    def connect(**arguments: Any) -> Cursor:
        said.connected = arguments
        if not said.galera:
            raise pymysql.OperationalError(2003, "refused")
        return Cursor(said.galera)

    monkeypatch.setattr(pymysql, "connect", connect)
    with socket.create_server(("127.0.0.1", 0)) as memcached:
        monkeypatch.setattr(controller_metrics, "MEMCACHED_PORT", memcached.getsockname()[1])
        threading.Thread(target=_serve, args=(memcached,), daemon=True).start()
        said.settings = Settings(
            state_dir=tmp_path,
            listen="127.0.0.1",
            virtual_address="10.0.0.9",
            database="mariadb://user:secret@10.0.0.9/skywright?ssl_ca=/ca.pem",
        )
        yield said


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(100)
            connection.sendall(STATS)


def samples(settings: Settings) -> dict[tuple[str, ...], float]:
    """Return {(name, label values): value}."""
    families = text_string_to_metric_families(ControllerMetrics(settings).text().decode())
    return {(row.name, *row.labels.values()): row.value for family in families for row in family.samples}


def test_every_component_has_metrics(host: SimpleNamespace) -> None:
    found = samples(host.settings)
    assert {value for (name, *_), value in found.items() if name == "skywright_component_up"} == {1}
    assert found["skywright_database_primary",] == found["skywright_database_synced",] == 1
    assert found["skywright_database_cluster_size",] == 3
    assert found["skywright_database_receive_queue",] == 7
    assert found["skywright_database_flow_control_paused_seconds_total",] == 2.5
    assert found["skywright_memcached_bytes",] == 10
    assert found["skywright_memcached_evictions_total",] == 1
    assert found["skywright_clock_offset_seconds",] == -0.25
    assert found["skywright_clock_synchronized",] == 1
    assert found["skywright_unit_active", "chrony"] == 1
    assert found["skywright_unit_active", "skywright-worker"] == 0
    first = datetime.fromtimestamp(found["skywright_certificate_expires_timestamp_seconds", "ca.pem"], UTC)
    assert timedelta(days=19) < first - datetime.now(UTC) < timedelta(days=21)
    assert 0 < found["skywright_filesystem_available_bytes", "/"] < found["skywright_filesystem_size_bytes", "/"]


def test_the_metrics_are_of_the_local_database_node(host: SimpleNamespace) -> None:
    samples(host.settings)
    assert (host.connected["host"], host.connected["user"]) == ("127.0.0.1", "user")
    assert host.connected["ssl"] == {"ca": "/ca.pem"}


@pytest.mark.parametrize(("address", "held"), [("10.0.0.9", 1), ("10.0.0.99", 0)])
def test_only_the_holder_has_the_virtual_address(host: SimpleNamespace, address: str, held: int) -> None:
    host.settings.virtual_address = address
    assert samples(host.settings)["skywright_virtual_address_held",] == held


def test_a_silent_component_does_not_affect_others(host: SimpleNamespace) -> None:
    host.galera = {}
    (host.tools / "chronyc").write_text("#!/bin/sh\nexit 1\n")
    (host.tools / "systemctl").write_text("#!/bin/sh\nexec sleep 60\n")
    found = samples(host.settings)
    silent = {labels[0] for (name, *labels), value in found.items() if name == "skywright_component_up" and not value}
    assert silent == {"clock", "database", "units"}
    assert ("skywright_database_primary",) not in found
    assert found["skywright_memcached_bytes",] == 10


def test_a_node_without_a_cluster_is_not_primary(host: SimpleNamespace) -> None:
    host.galera |= {"wsrep_cluster_status": "Disconnected", "wsrep_local_state": "0", "wsrep_cluster_size": "0"}
    found = samples(host.settings)
    assert found["skywright_database_primary",] == found["skywright_database_synced",] == 0


def expressions() -> dict[str, str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def metrics_of(expression: str) -> set[str]:
    return set(NAME.findall(WORDS.sub(" ", expression))) - OPERATORS


def test_names_are_found_in_expressions() -> None:
    text = 'sum by (cloud) (rate(a_total{job="b"}[5m])) * 2 <= on (c) group_left () 0 * d:e and f == bool 3'
    assert metrics_of(text) == {"a_total", "d:e", "f"}


def test_rules_use_only_exported_metrics(host: SimpleNamespace) -> None:
    """The names of HAProxy and RabbitMQ were recorded on Debian 12."""
    recorded = [name for path in (ROOT / "tests/unit/expositions").glob("*.txt") for name in path.read_text().split()]
    app = create_app(Settings(state_dir=host.settings.state_dir))
    make_tables(app.cloud.database)
    families = text_string_to_metric_families(app.metrics.text().decode())
    exported = {"up", *recorded, *(name for name, *_ in samples(host.settings))}
    # Families without samples are gauges without objects.
    exported |= {family.name for family in families}
    asked = {name for expression in expressions().values() for name in metrics_of(expression)}
    assert len(asked) > 20
    assert asked <= exported


def test_every_component_has_a_rule_and_a_scrape_job() -> None:
    scraped = {job["job_name"] for job in yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"]}
    named = set(re.findall(r'job="([^"]+)"', "".join(expressions().values())))
    assert named == scraped == {"skywright", "skywright-controller", "haproxy", "rabbitmq"}


def test_the_rules_fire_only_for_faults() -> None:
    promtool = Path(sys.executable).with_name("promtool")
    subprocess.run([promtool, "test", "rules", ROOT / "tests/prometheus/alerts_test.yml"], check=True)
