#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_status
short_description: Status of the services of a cloud's host
description:
  - Returns the states of the host's units, and the status of its services and their clusters.
  - A service that does not answer in time is reported with an C(error). The module never fails and changes nothing.
options:
  units:
    description: The units to read.
    type: list
    elements: str
    default: []
  certificates:
    description: Certificate files.
    type: list
    elements: path
    default: []
  virtual_address:
    description: The virtual address, without prefix length.
    type: str
  controller:
    description: Whether the host has a database, a message broker, HAProxy and an API.
    type: bool
    default: false
  api:
    description: The readiness URL of the host's API.
    type: str
  haproxy_socket:
    description: HAProxy's administration socket.
    type: path
    default: /run/haproxy/admin.sock
attributes:
  check_mode:
    description: It only reads.
    support: full
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: Read the status of the services
  skywright.cloud.service_status:
    units: [chrony.service, haproxy.service, mariadb.service]
    certificates: [/etc/skywright/tls/host.pem]
    virtual_address: 10.0.0.9
    controller: true
    api: http://10.0.0.11:8000/readyz
"""

RETURN = r"""
host:
  description: The host.
  returned: always
  type: dict
  sample:
    units: {mariadb.service: {state: active, detail: running}}
    virtual_address: false
    certificates: {/etc/skywright/tls/host.pem: 365}
    galera: {state: Synced, cluster: Primary, size: 3, ready: true}
    rabbitmq: {running: [rabbit@controller1], known: [rabbit@controller1], alarms: [], partitions: []}
    haproxy: {servers: [{backend: api, server: controller1, status: UP}]}
    api: {ready: true, detail: 200}
"""

import calendar
import csv
import json
import os
import socket
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError

SPEC = {
    "units": {"type": "list", "elements": "str", "default": []},
    "certificates": {"type": "list", "elements": "path", "default": []},
    "virtual_address": {"type": "str"},
    "controller": {"type": "bool", "default": False},
    "api": {"type": "str"},
    "haproxy_socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
}
SECONDS = 10
DAY = 86400
MARIADB_SOCKET = "/run/mysqld/mysqld.sock"
# Rows that summarize a frontend or a backend.
SUMMARIES = ("FRONTEND", "BACKEND")


def units(params):
    """Return the states of the units: active, failed, inactive..., missing."""
    if not params["units"]:
        return {}
    names = "--property=Id,LoadState,ActiveState,SubState"
    text = Runner().read(["systemctl", "show", names, *params["units"]], SECONDS)
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return {name: _unit(properties) for name, properties in zip(params["units"], blocks)}


def _unit(properties):
    state = "missing" if properties["LoadState"] == "not-found" else properties["ActiveState"]
    return {"state": state, "detail": properties["SubState"]}


def virtual_address(params):
    """Return whether the host has the virtual address."""
    links = json.loads(Runner().read(["ip", "-json", "address", "show"], SECONDS))
    return any(info["local"] == params["virtual_address"] for link in links for info in link["addr_info"])


def certificates(params):
    """Return the days until each certificate expires."""
    return {path: _days(path) for path in params["certificates"]}


def _days(path):
    if not os.path.exists(path):
        return None
    text = Runner().read(["openssl", "x509", "-enddate", "-noout", "-in", path], SECONDS)
    end = calendar.timegm(time.strptime(text.strip(), "notAfter=%b %d %H:%M:%S %Y GMT"))
    return int((end - time.time()) // DAY)


def galera(_params):
    """Return the database's status of its cluster."""
    import pymysql  # noqa: PLC0415 - a package of the host, which is missing before the deployment

    limits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), SECONDS)
    try:
        server = pymysql.connect(unix_socket=MARIADB_SOCKET, user="root", **limits)
        with server, server.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'wsrep%'")
            status = dict(cursor.fetchall())
    except pymysql.MySQLError as error:
        raise ItemError(f"the database does not answer: {error}") from error
    return {
        "state": status.get("wsrep_local_state_comment"),
        "cluster": status.get("wsrep_cluster_status"),
        "size": int(status.get("wsrep_cluster_size") or 0),
        "ready": status.get("wsrep_ready") == "ON",
    }


def rabbitmq(_params):
    """Return the broker's status of its cluster."""
    argv = ["rabbitmqctl", "--timeout", str(SECONDS), "cluster_status", "--formatter", "json"]
    status = json.loads(Runner().read(argv, 2 * SECONDS))
    return {
        "running": sorted(status["running_nodes"]),
        "known": sorted(status["disk_nodes"] + status.get("ram_nodes", [])),
        "alarms": sorted(_kind(alarm) for alarm in status["alarms"]),
        "partitions": sorted(status["partitions"]),
    }


def _kind(alarm):
    return str(alarm.get("type", alarm) if isinstance(alarm, dict) else alarm)


def haproxy(params):
    """Return the servers of HAProxy with their status."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(SECONDS)
        admin.connect(params["haproxy_socket"])
        admin.sendall(b"show stat\n")
        text = b"".join(iter(lambda: admin.recv(1 << 16), b"")).decode()
    rows = csv.DictReader(text.lstrip("# ").splitlines())
    servers = [row for row in rows if row["svname"] not in SUMMARIES]
    return {
        "servers": [
            {"backend": row["pxname"], "server": row["svname"], "status": row["status"]}
            for row in sorted(servers, key=lambda row: (row["pxname"], row["svname"]))
        ]
    }


def api(params):
    """Return whether the API is ready."""
    try:
        with open_url(params["api"], timeout=SECONDS, use_proxy=False) as answer:
            return {"ready": answer.status == 200, "detail": str(answer.status)}
    except urllib.error.HTTPError as error:
        return {"ready": False, "detail": str(error.code)}


def look(part, params):
    """Return the status of the part, or the reason why it has none."""
    try:
        return part(params)
    except (ItemError, OSError, ValueError, KeyError, ImportError) as error:
        return {"error": str(error)}


def main():
    """Read all parts in parallel."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    parts = [units, certificates]
    if params["virtual_address"]:
        parts.append(virtual_address)
    if params["controller"]:
        parts += [galera, rabbitmq, haproxy]
    if params["api"]:
        parts.append(api)
    with ThreadPoolExecutor(len(parts)) as pool:
        answers = list(pool.map(lambda part: look(part, params), parts))
    module.exit_json(changed=False, host={part.__name__: answer for part, answer in zip(parts, answers)})


if __name__ == "__main__":
    main()
