"""Prometheus metrics of the components of a controller, collected at each scrape.

They do not need the cloud's database, which may be the component that fails.
"""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cryptography import x509
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from sqlalchemy import make_url

from skywright.settings import Settings

SECONDS = 2
UNITS = (
    "chrony",
    "haproxy",
    "keepalived",
    "mariadb",
    "memcached",
    "rabbitmq-server",
    "skywright-api",
    "skywright-worker",
)
TLS = Path("/etc/skywright/tls")
# Directories on one file system are reported once, under the first name.
DIRECTORIES = (Path("/"), Path("/var/lib/mysql"), Path("/var/lib/rabbitmq"))
MEMCACHED_PORT = 11211
SYNCED = "4"
# Columns of `chronyc -c tracking` (chronyc(1)).
STRATUM, OFFSET, LEAP = 2, 4, -1


class ControllerMetrics:
    """Collects metrics of the components of this controller."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._address = settings.listen_addresses[0]
        self._collectors: dict[str, Callable[[], list[Metric]]] = {
            "certificates": _certificates,
            "clock": _clock,
            "database": self._database,
            "filesystems": self._filesystems,
            "memcached": self._memcached,
            "units": _units,
            "virtual_address": self._virtual_address,
        }
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format, after at most a few seconds."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        return ()  # no component is asked at registration

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("skywright_component_up", "Whether a component answered.", labels=["component"])
        with ThreadPoolExecutor(len(self._collectors)) as pool:
            answers = zip(self._collectors, pool.map(_collect, self._collectors.values()), strict=True)
        for component, families in answers:
            up.add_metric([component], families is not None)
            yield from families or ()
        yield up

    def _virtual_address(self) -> list[Metric]:
        links = json.loads(_read("ip", "-json", "-4", "address", "show"))
        local = [info["local"] for link in links for info in link.get("addr_info", ())]
        held = self._settings.virtual_address in local
        return [_gauge("skywright_virtual_address_held", "Whether the host has the virtual address.", held)]

    def _database(self) -> list[Metric]:
        """Connect to the database node of this controller, not through the virtual address."""
        import pymysql  # noqa: PLC0415 - not loaded with SQLite

        url = make_url(self._settings.database)
        authority = url.query.get("ssl_ca")
        try:
            server = pymysql.connect(
                host=self._address,
                user=url.username,
                password=url.password or "",
                ssl={"ca": authority} if authority else None,
                connect_timeout=SECONDS,
                read_timeout=SECONDS,
                write_timeout=SECONDS,
                # Without it, a node outside of the primary component does not answer.
                init_command="SET SESSION wsrep_sync_wait = 0",
            )
            with server, server.cursor() as cursor:
                cursor.execute("SHOW GLOBAL STATUS LIKE 'wsrep%'")
                status = dict(cursor.fetchall())
        except pymysql.MySQLError as error:
            raise OSError(str(error)) from error
        return list(_galera(status))

    def _memcached(self) -> list[Metric]:
        with socket.create_connection((self._address, MEMCACHED_PORT), SECONDS) as server:
            server.sendall(b"stats\r\nquit\r\n")
            lines = server.makefile("r").read().splitlines()
        stats = {name: value for _, name, value in (line.split(" ", 2) for line in lines if line.startswith("STAT "))}
        return [
            _gauge("skywright_memcached_bytes", "Bytes in use.", stats["bytes"]),
            _gauge("skywright_memcached_limit_bytes", "Bytes that may be in use.", stats["limit_maxbytes"]),
            _gauge("skywright_memcached_connections", "Open connections.", stats["curr_connections"]),
            _counter("skywright_memcached_evictions", "Items removed to make room for others.", stats["evictions"]),
        ]

    def _filesystems(self) -> list[Metric]:
        size = GaugeMetricFamily("skywright_filesystem_size_bytes", "Size of a file system.", labels=["path"])
        free = GaugeMetricFamily("skywright_filesystem_available_bytes", "Available bytes of it.", labels=["path"])
        there = [path for path in (*DIRECTORIES, self._settings.root) if path.exists()]
        for path in sorted({path.stat().st_dev: path for path in reversed(there)}.values()):
            found = os.statvfs(path)
            size.add_metric([str(path)], found.f_blocks * found.f_frsize)
            free.add_metric([str(path)], found.f_bavail * found.f_frsize)
        return [size, free]


def _collect(collector: Callable[[], list[Metric]]) -> list[Metric] | None:
    """Return the metrics of *collector*, or None if it failed or did not answer in time."""
    try:
        return collector()
    except (OSError, ValueError, LookupError, subprocess.SubprocessError):
        return None


def _galera(status: dict[str, str]) -> Iterator[Metric]:
    primary, synced = status["wsrep_cluster_status"] == "Primary", status["wsrep_local_state"] == SYNCED
    paused = int(status["wsrep_flow_control_paused_ns"]) / 1e9
    yield _gauge("skywright_database_primary", "Whether the node is in the primary component.", primary)
    yield _gauge("skywright_database_synced", "Whether the node is synced.", synced)
    yield _gauge("skywright_database_cluster_size", "Nodes of the component.", status["wsrep_cluster_size"])
    yield _gauge("skywright_database_receive_queue", "Write sets not applied yet.", status["wsrep_local_recv_queue"])
    yield _counter("skywright_database_flow_control_paused_seconds", "Time that flow control paused the node.", paused)


def _certificates() -> list[Metric]:
    ends = GaugeMetricFamily(
        "skywright_certificate_expires_timestamp_seconds",
        "When the first certificate of a file expires.",
        labels=["file"],
    )
    for path in sorted(TLS.glob("*.pem")):
        found = x509.load_pem_x509_certificates(path.read_bytes())
        ends.add_metric([path.name], min(certificate.not_valid_after_utc.timestamp() for certificate in found))
    return [ends]


def _clock() -> list[Metric]:
    row = _read("chronyc", "-c", "tracking").strip().split(",")
    synchronized = row[LEAP] != "Not synchronised"
    return [
        _gauge("skywright_clock_offset_seconds", "Offset of the clock from the reference time.", row[OFFSET]),
        _gauge("skywright_clock_stratum", "Stratum of the clock.", row[STRATUM]),
        _gauge("skywright_clock_synchronized", "Whether the clock is synchronized.", synchronized),
    ]


def _units() -> list[Metric]:
    active = GaugeMetricFamily("skywright_unit_active", "Whether a systemd unit is active.", labels=["unit"])
    states = _read("systemctl", "show", "--property=ActiveState", "--value", *UNITS)
    for unit, state in zip(UNITS, states.split(), strict=True):
        active.add_metric([unit], state == "active")
    return [active]


def _read(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=SECONDS).stdout


def _gauge(name: str, documentation: str, value: Any) -> Metric:
    return GaugeMetricFamily(name, documentation, value=float(value))


def _counter(name: str, documentation: str, value: Any) -> Metric:
    return CounterMetricFamily(name, documentation, value=float(value))
