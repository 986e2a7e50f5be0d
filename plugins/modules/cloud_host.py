#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_host
short_description: Register hosts with a cloud
description:
  - Registers hosts by the API, as C(skywright hosts add) does, and waits until a worker has observed new and changed
    hosts.
  - The module does not change whether a host is disabled or in maintenance.
  - In check mode, a cloud that cannot be reached counts as a cloud without hosts, because it may not exist yet.
extends_documentation_fragment: skywright.cloud.converge
options:
  auth_url:
    description: The URL of the identity service, such as C(https://10.0.0.9:8000/identity/v3).
    type: str
    required: true
  username:
    description: A user that may register hosts.
    type: str
    default: admin
  password:
    description: The user's password.
    type: str
    required: true
  project_name:
    description: The project that the token is for.
    type: str
    default: admin
  ca:
    description:
      - The file of the CA certificates that verify the API's certificate. The default is the system's CA certificates.
    type: path
  timeout:
    description: Seconds that the observation of a host may take.
    type: int
    default: 120
  hosts:
    description: The hosts.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: The host's name.
        type: str
        required: true
      state:
        description: Whether the host is registered. A host with servers cannot be removed.
        type: str
        choices: [present, absent]
        default: present
      groups:
        description: The groups that the host is in.
        type: list
        elements: str
        default: []
      variables:
        description: The host's variables, among them how workers reach it.
        type: dict
        default: {}
"""

EXAMPLES = r"""
- name: Register a compute host
  skywright.cloud.cloud_host:
    auth_url: https://10.0.0.9:8000/identity/v3
    password: secret
    hosts:
      - id: compute1
        groups: [computes, networks]
        variables: {ansible_host: 10.0.0.21}
"""

RETURN = r"""
results:
  description: One entry per host.
  returned: always
  type: list
  elements: dict
  sample: [{id: compute1, changed: true, action: create, status: present}]
commands:
  description: The requests that changed something.
  returned: always
  type: list
  elements: list
  sample: [[PUT, /hosts/compute1]]
"""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge, each

ARGUMENT_SPEC = {
    "auth_url": {"type": "str", "required": True},
    "username": {"type": "str", "default": "admin"},
    "password": {"type": "str", "required": True, "no_log": True},
    "project_name": {"type": "str", "default": "admin"},
    "ca": {"type": "path"},
    "timeout": {"type": "int", "default": 120},
    "hosts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "id": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "groups": {"type": "list", "elements": "str", "default": []},
            "variables": {"type": "dict", "default": {}},
        },
    },
}
REQUEST_SECONDS = 30
# The virtual address may be moving to another controller. All requests are safe to repeat.
TRIES = 5
PAUSE_SECONDS = 2.0
BUSY = (502, 503, 504)


class Unreachable(ItemError):
    """The API does not answer."""


class Api:
    """The native API, as one user."""

    def __init__(self, params):
        self._open = None
        self._params = params
        self._url = self._token = None
        self.commands = []

    def call(self, method, path, body=None):
        """Send a request and return the answer's body."""
        if self._url is None:
            self._log_in()
        if method != "GET":
            self.commands.append([method, path])
        return self._send(method, self._url + path, body)[1]

    def _log_in(self):
        params, domain = self._params, {"id": "default"}
        self._open = _opener(params)
        user = {"name": params["username"], "password": params["password"], "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": params["project_name"], "domain": domain}}
        body = {"auth": {"identity": identity, "scope": scope}}
        headers, answer = self._send("POST", params["auth_url"].rstrip("/") + "/auth/tokens", body)
        self._token = headers["X-Subject-Token"]
        for service in answer["token"]["catalog"]:
            if service["type"] == "operations":
                self._url = next(e["url"] for e in service["endpoints"] if e["interface"] == "public")
                return
        raise ItemError(f"{params['auth_url']} is no Skywright cloud: its catalog has no operations service")

    def _send(self, method, url, body):
        for attempt in range(1, TRIES + 1):
            try:
                return self._try(method, url, body)
            except urllib.error.HTTPError as error:
                if error.code not in BUSY or attempt == TRIES:
                    kind = Unreachable if error.code in BUSY else ItemError
                    raise kind(f"{method} {url}: {error.code} {error.read(500).decode(errors='replace')}") from error
            except (OSError, http.client.HTTPException) as error:
                if attempt == TRIES:
                    raise Unreachable(f"{method} {url}: {error}") from error
            time.sleep(PAUSE_SECONDS)
        raise AssertionError

    def _try(self, method, url, body):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["X-Auth-Token"] = self._token
        request = urllib.request.Request(url, data, headers, method=method)
        with self._open(request, timeout=REQUEST_SECONDS) as answer:
            text = answer.read()
            return answer.headers, json.loads(text) if text else None


class Hosts:
    """The hosts of a cloud."""

    def __init__(self, api, module):
        self._api = api
        self._module = module
        self._timeout = module.params["timeout"]

    def read(self, items):
        """Return the registered hosts."""
        wanted = {item["id"] for item in items}
        try:
            known = {host["name"]: host for host in self._api.call("GET", "/hosts")["hosts"]}
        except Unreachable as error:
            if not self._module.check_mode:
                raise
            self._module.warn(f"The cloud cannot be reached, so it counts as one without hosts: {error}")
            known = {}
        return {name: _described(host) for name, host in known.items() if name in wanted}

    @staticmethod
    def want(item, have):
        """Return the groups and variables that are wanted."""
        return None if item["state"] == "absent" else _described(item)

    def put(self, step):
        """Register the host and wait until a worker has observed it."""
        answer = self._api.call("PUT", _path(step.id), {"host": step.want})
        deadline = time.monotonic() + self._timeout
        while True:
            job = self._api.call("GET", f"/jobs/{answer['job']['id']}")["job"]
            if job["state"] == "successful":
                return
            if job["state"] not in ("queued", "running"):
                raise ItemError(f"the cloud cannot observe the host: {job['error'] or job['state']}")
            if time.monotonic() > deadline:
                waits = job["waiting_for"] or "a worker"
                raise ItemError(
                    f"the cloud did not observe the host within {self._timeout} seconds: its job waits for {waits}"
                )
            time.sleep(0.5)

    def delete(self, step):
        """Remove the host."""
        self._api.call("DELETE", _path(step.id))


def _described(host):
    return {"groups": sorted(host["groups"]), "variables": host["variables"]}


def _opener(params):
    context = None
    if params["auth_url"].startswith("https:"):
        try:
            context = ssl.create_default_context(cafile=params["ca"])
        except OSError as error:
            raise Unreachable(f"{params['ca']}: {error.strerror}") from error
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    ).open


def _path(name):
    return "/hosts/" + urllib.parse.quote(name, safe="")


def main():
    """Converge the hosts."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    api = Api(module.params)
    hosts = Hosts(api, module)
    converge(
        module,
        items=module.params["hosts"],
        read=hosts.read,
        want=hosts.want,
        apply=each({"create": hosts.put, "update": hosts.put, "delete": hosts.delete}, threads=8),
        status=lambda want: "present",
        commands=api.commands,
    )


if __name__ == "__main__":
    main()
