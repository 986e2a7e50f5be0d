# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One node of a Galera cluster: its service, its server's own account of itself, and its data."""

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
# Databases of the server itself, and directories that are none.
NOT_DATABASES = {"mysql", "performance_schema", "sys", "lost+found"}
# The provider's cache is as large as the data of a small cloud, and worth nothing to a reader of the snapshot.
NOT_IN_SNAPSHOT = {"galera.cache"}
KEPT_SNAPSHOTS = 2
STATUS = "SHOW GLOBAL STATUS LIKE 'wsrep%'"
# A server that says nothing for so long is frozen or hardly better.
SILENCE_SECONDS = 5
STOP_SECONDS = 120
# A server that finds no cluster gives up after 30 s, and is started again.
MANY_RESTARTS = 4


@contextmanager
def administrator(seconds=SILENCE_SECONDS):
    """Give a cursor of the local administrator; OSError says why there is none, or what the server refused."""
    import pymysql  # noqa: PLC0415 - a package of the host, which in check mode may still be missing

    limits = {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}
    try:
        with closing(pymysql.connect(unix_socket=SOCKET, user="root", **limits)) as server, server.cursor() as cursor:
            yield cursor
    except pymysql.MySQLError as error:
        raise OSError(str(error)) from error


def answers(address):
    """Whether the health check of the node at this address says that it is synced."""
    host = f"[{address}]" if ":" in address else address
    try:
        with open_url(f"http://{host}:{CHECK_PORT}/", timeout=3, use_proxy=False) as answer:
            return answer.status == 200
    except OSError:
        return False


class Node:
    """The node that this host is."""

    def __init__(self, name, data=DATA, snapshots=SNAPSHOTS):
        self.name = name
        self.data = data
        self.snapshots = snapshots
        self.runner = Runner()

    def unit(self):
        """Give the state of the service: active, activating, failed, inactive..."""
        return self.runner.read(["systemctl", "show", "--property=ActiveState", "--value", UNIT]).strip()

    def status(self):
        """Give what the server says of the cluster, and why it says nothing though it runs."""
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
        """Whether the node is up to date."""
        return is_synced(self.status()[1])

    def facts(self):
        """Tell what can be seen without touching anything; the position is right only if the server has left well."""
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
        """Name the databases that are somebody's."""
        if not os.path.isdir(self.data):
            return []
        with os.scandir(self.data) as entries:
            names = {entry.name for entry in entries if entry.is_dir() and entry.name[0] not in ".#"}
        return sorted(names - NOT_DATABASES)

    def halt(self):
        """Stop the server; one that does not listen is killed, which loses nothing that it acknowledged."""
        if self.status()[2]:
            self.kill()
        self.runner.write(["systemctl", "stop", UNIT], timeout=STOP_SECONDS)

    def kill(self):
        """End a server that does not listen; the service starts it again."""
        self.runner.write(["systemctl", "kill", "--signal=KILL", UNIT])

    def place(self, facts):
        """Add to the facts of a node that is stopped how far its data really is."""
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
        """Copy the data, which must be at rest, beside itself; tell where, or why not."""
        paths = [os.path.join(self.data, name) for name in sorted(os.listdir(self.data)) if name not in NOT_IN_SNAPSHOT]
        size = sum(map(_size, paths))
        os.makedirs(self.snapshots, mode=0o700, exist_ok=True)
        for old in sorted(os.listdir(self.snapshots))[: 1 - KEPT_SNAPSHOTS]:
            remove(os.path.join(self.snapshots, old))
        if shutil.disk_usage(self.snapshots).free < 2 * size:
            return f"none, for it would need {size >> 20} MiB, and as much has to stay free"
        place = os.path.join(self.snapshots, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
        os.makedirs(place, mode=0o700, exist_ok=True)
        self.runner.write(["cp", "--archive", "--reflink=auto", f"--target-directory={place}", *paths], timeout=1800)
        return place

    def _is_empty(self):
        return not os.path.isdir(os.path.join(self.data, "mysql"))

    def _prepare(self):
        """Give the service a beginning: what it needs to start at all, and all attempts that it has."""
        if self._is_empty():
            self.runner.write(["mariadb-install-db", "--user=mysql", "--auth-root-authentication-method=socket"], 120)
        self.runner.write(["systemctl", "reset-failed", UNIT])

    def bootstrap(self, position, seconds):
        """Begin a cluster with the data of this node."""
        if position:
            path = os.path.join(self.data, "grastate.dat")
            write_text(path, state_text(position["uuid"]), mode=0o660)
            shutil.chown(path, "mysql", "mysql")
        self._prepare()
        self.runner.write(["galera_new_cluster"], timeout=seconds)
        self.wait_synced(seconds)

    def start(self, seconds):
        """Start the server, which joins the cluster that it finds, and wait until it is up to date."""
        self._prepare()
        self.runner.write(["systemctl", "start", "--no-block", UNIT])
        self.wait_synced(seconds)

    def wait_synced(self, seconds):
        """Wait until the node is up to date, but not through more failures than chance explains."""
        if wait(lambda: self.synced() or self._restarts() >= MANY_RESTARTS, seconds) and self.synced():
            return
        unit, status, error = self.status()
        said = error or status.get("wsrep_local_state_comment") or f"the service is {unit}"
        raise ItemError(f"the node does not get synced: {said}, {self._restarts()} restarts; see journalctl -u mariadb")

    def _restarts(self):
        return int(self.runner.read(["systemctl", "show", "--property=NRestarts", "--value", UNIT]).strip() or 0)


def wait(reached, seconds):
    """Wait until something is so; tell whether it came to be."""
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
