# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node of a Galera cluster: its service, the status from its server, and its data."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing, contextmanager

from ansible.module_utils.urls import open_url
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, remove, write_text
from ansible_collections.skywright.cloud.plugins.module_utils.galera import (
    NO_UUID,
    is_primary,
    is_synced,
    parse_state,
    recovered,
    state_text,
)

DATA = "/var/lib/mysql"
SNAPSHOTS = "/var/lib/mysql-snapshots"
SOCKET = "/run/mysqld/mysqld.sock"
UNIT = "mariadb.service"
CHECK_PORT = 9200
# Databases of the server itself, and other directories.
NOT_DATABASES = {"mysql", "performance_schema", "sys", "lost+found"}
# The provider's cache can be as large as the data and is useless in a snapshot.
NOT_IN_SNAPSHOT = {"galera.cache"}
KEPT_SNAPSHOTS = 2
STATUS = "SHOW GLOBAL STATUS LIKE 'wsrep%'"
# A server that does not answer within this time counts as frozen.
SILENCE_SECONDS = 5
STOP_SECONDS = 120
# A server that finds no cluster exits after 30 s, and systemd restarts it.
MANY_RESTARTS = 4


@contextmanager
def administrator(seconds=SILENCE_SECONDS):
    """Yield a cursor of the local administrator; raise OSError with the error of the connection or of a statement."""
    import pymysql  # noqa: PLC0415 - a package of the host, which may be missing in check mode

    limits = {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}
    try:
        with closing(pymysql.connect(unix_socket=SOCKET, user="root", **limits)) as server, server.cursor() as cursor:
            yield cursor
    except pymysql.MySQLError as error:
        raise OSError(str(error)) from error


def answers(address):
    """Return whether the health check at this address reports a synced node."""
    host = f"[{address}]" if ":" in address else address
    try:
        with open_url(f"http://{host}:{CHECK_PORT}/", timeout=3, use_proxy=False) as answer:
            return answer.status == 200
    except OSError:
        return False


class Node:
    """The node on this host."""

    def __init__(self, name, data=DATA, snapshots=SNAPSHOTS):
        self.name = name
        self.data = data
        self.snapshots = snapshots
        self.runner = Runner()

    def unit(self):
        """Return the state of the service: active, activating, failed, inactive..."""
        return self.runner.read(["systemctl", "show", "--property=ActiveState", "--value", UNIT]).strip()

    def status(self):
        """Return (state of the service, wsrep status, error of a running server that does not answer)."""
        unit = self.unit()
        if unit != "active":
            return unit, {}, None
        try:
            with administrator() as cursor:
                cursor.execute(STATUS)
                return unit, dict(cursor.fetchall()), None
        except OSError as error:
            return unit, {}, f"its server runs but does not answer: {error}"

    def synced(self):
        """Return whether the node is synced."""
        return is_synced(self.status()[1])

    def facts(self):
        """Return the facts of the node; the position is exact only after a clean stop of the server."""
        unit, status, error = self.status()
        text = read_text(os.path.join(self.data, "grastate.dat"))
        state = parse_state(text or "")
        known = state["uuid"] != NO_UUID
        return {
            "name": self.name,
            "error": error,
            "unit": unit,
            "primary": is_primary(status),
            "synced": is_synced(status),
            "uuid": status.get("wsrep_cluster_state_uuid") or state["uuid"],
            "position": {"uuid": state["uuid"], "seqno": state["seqno"]} if known else None,
            "exact": known and state["seqno"] >= 0,
            "sound": known or text is None,
            "safe": state["safe"],
            "partial": os.path.exists(os.path.join(self.data, "sst_in_progress")),
            "databases": self.databases(),
        }

    def databases(self):
        """Return the names of the databases, without those of the server."""
        if not os.path.isdir(self.data):
            return []
        with os.scandir(self.data) as entries:
            names = {entry.name for entry in entries if entry.is_dir() and entry.name[0] not in ".#"}
        return sorted(names - NOT_DATABASES)

    def halt(self):
        """Stop the server. A frozen server is killed, which loses no committed transaction."""
        if self.status()[2]:
            self.kill()
        self.runner.write(["systemctl", "stop", UNIT], timeout=STOP_SECONDS)

    def kill(self):
        """Kill a frozen server; systemd restarts it."""
        self.runner.write(["systemctl", "kill", "--signal=KILL", UNIT])

    def place(self, facts):
        """Return the facts of a stopped node with its exact position."""
        if facts["exact"]:
            return facts
        facts = {**facts, "exact": True}
        if facts["partial"] or self._is_empty():
            return {**facts, "partial": facts["partial"] or bool(facts["databases"]), "position": None}
        try:
            return {**facts, "position": recovered(self.runner.read(["galera_recovery"], timeout=600))}
        except (ItemError, ValueError) as error:
            return {**facts, "error": f"its data cannot be read: {error}"}

    def snapshot(self):
        """Copy the data of a stopped server; return the directory of the copy, or the reason why there is none."""
        paths = [os.path.join(self.data, name) for name in sorted(os.listdir(self.data)) if name not in NOT_IN_SNAPSHOT]
        size = sum(map(_size, paths))
        os.makedirs(self.snapshots, mode=0o700, exist_ok=True)
        for old in sorted(os.listdir(self.snapshots))[: 1 - KEPT_SNAPSHOTS]:
            remove(os.path.join(self.snapshots, old))
        if shutil.disk_usage(self.snapshots).free < 2 * size:
            return f"none, because the disk needs twice its {size >> 20} MiB"
        place = os.path.join(self.snapshots, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
        os.makedirs(place, mode=0o700, exist_ok=True)
        self.runner.write(["cp", "--archive", "--reflink=auto", f"--target-directory={place}", *paths], timeout=1800)
        return place

    def _is_empty(self):
        return not os.path.isdir(os.path.join(self.data, "mysql"))

    def _prepare(self):
        """Create missing system tables and reset the failure counter of the service."""
        if self._is_empty():
            self.runner.write(["mariadb-install-db", "--user=mysql", "--auth-root-authentication-method=socket"], 120)
        self.runner.write(["systemctl", "reset-failed", UNIT])

    def bootstrap(self, position, seconds):
        """Bootstrap a cluster with the data of this node."""
        if position:
            path = os.path.join(self.data, "grastate.dat")
            write_text(path, state_text(position["uuid"]), mode=0o660)
            shutil.chown(path, "mysql", "mysql")
        self._prepare()
        self.runner.write(["galera_new_cluster"], timeout=seconds)
        self.wait_synced(seconds)

    def start(self, seconds):
        """Start the server, which joins the cluster, and wait until the node is synced."""
        self._prepare()
        self.runner.write(["systemctl", "start", "--no-block", UNIT])
        self.wait_synced(seconds)

    def wait_synced(self, seconds):
        """Wait until the node is synced; give up after several restarts of the service."""
        if wait(lambda: self.synced() or self._restarts() >= MANY_RESTARTS, seconds) and self.synced():
            return
        unit, status, error = self.status()
        state = error or status.get("wsrep_local_state_comment") or f"the service is {unit}"
        raise ItemError(
            f"the node does not become synced: {state}, {self._restarts()} restarts; see journalctl -u mariadb"
        )

    def _restarts(self):
        return int(self.runner.read(["systemctl", "show", "--property=NRestarts", "--value", UNIT]).strip() or 0)


def wait(reached, seconds):
    """Wait until C(reached()) is true; return False on a timeout."""
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() >= until:
            return False
        time.sleep(0.5)
    return True


def _size(path):
    if not os.path.isdir(path):
        return os.lstat(path).st_size
    return sum(_size(entry.path) for entry in os.scandir(path))
