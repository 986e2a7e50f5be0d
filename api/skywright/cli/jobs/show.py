"""`skywright status` and `skywright jobs ...`: the operations API on a terminal."""

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests
from keystoneauth1.exceptions import ClientException
from openstack.config import OpenStackConfig
from openstack.exceptions import SDKException
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skywright.cli.cloud.steps import StepFailed
from skywright.db.jobs import UNFINISHED

COLORS = {"successful": "green", "ok": "green", "running": "cyan", "queued": "yellow"}
UUID_LENGTH = 36
PAGE = 1000
SILENCE_SECONDS = 60  # the API sends a sign of life every 15 s
RECONNECTS = 30


class Api:
    """The operations API, with the credentials of OS_CLOUD, of OS_*, or of the checkout's clouds.yaml."""

    def __init__(self) -> None:
        try:
            region = _region()
            self._session = region.get_session()
            self._url = self._session.get_endpoint(service_type="operations", interface="public")
        except (SDKException, ClientException, OSError) as error:
            raise StepFailed(f"The cloud cannot be reached: {error}", "Is it up? Try `skywright up`.") from error

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Return the response's JSON; raise StepFailed with the API's message."""
        response = self._answer(method, path, **options)
        return response.json() if response.content else None

    def lines(self, path: str, parameters: dict[str, str]) -> Iterator[str]:
        """Yield the JSON lines of a long response."""
        headers = {"Accept": "application/x-ndjson"}
        for line in self._answer("GET", path, params=parameters, headers=headers, stream=True).iter_lines():
            yield line.decode()

    def _answer(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._session.request(self._url + path, method, raise_exc=False, authenticated=True, **options)
        except ClientException as error:
            raise StepFailed(f"The API does not answer: {error}", "Is it up? See `skywright status`.") from error
        if not response.ok:
            raise StepFailed(_message(response), "See `skywright jobs list`.")
        return response

    def job_id(self, start: str) -> str:
        """Return the id of the only job whose id begins with *start*."""
        if len(start) == UUID_LENGTH:
            return start
        jobs = self.request("GET", "/jobs", params={"limit": PAGE})["jobs"]
        found = [job["id"] for job in jobs if job["id"].startswith(start)]
        if len(found) != 1:
            raise StepFailed(f"{len(found)} jobs begin with {start}", "See `skywright jobs list`.")
        return str(found[0])

    def project_id(self, name: str) -> str:
        """Return the id of the project with this name or id."""
        identity = {"service_type": "identity", "interface": "public"}
        for path in ("/v3/auth/projects", f"/v3/projects?name={quote(name, safe='')}"):
            answer = self._session.get(path, endpoint_filter=identity, raise_exc=False)
            for project in answer.json()["projects"] if answer.ok else ():
                if project["name"] == name:
                    return str(project["id"])
        return name

    def stream(self, path: str, parameters: dict[str, str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (kind, data) of a stream until it ends; resume it when the connection breaks."""
        last, broken = "", 0
        while True:
            headers = {"X-Auth-Token": self._session.get_token(), **({"Last-Event-ID": last} if last else {})}
            try:
                with requests.get(
                    self._url + path, params=parameters, headers=headers, stream=True, timeout=SILENCE_SECONDS
                ) as answer:
                    if answer.status_code < 500 and not answer.ok:
                        raise StepFailed(_message(answer), "See `skywright jobs list`.")
                    answer.raise_for_status()
                    for message in _messages(answer.iter_lines(chunk_size=1)):
                        last, broken = message.get("id", last), 0
                        yield message["event"], json.loads(message["data"])
                return
            except (requests.RequestException, ClientException) as error:
                broken += 1
                if broken > RECONNECTS:
                    raise StepFailed(f"The stream broke: {error}", "Is the API up? See `skywright status`.") from error
                time.sleep(1)


def _region() -> Any:
    config = OpenStackConfig()
    names = config.get_cloud_names()
    named = "OS_CLOUD" in os.environ or "OS_AUTH_URL" in os.environ
    return config.get_one() if named or "skywright" not in names else config.get_one("skywright")


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason}"


def _messages(lines: Iterator[bytes]) -> Iterator[dict[str, str]]:
    message: dict[str, str] = {}
    for raw in lines:
        line = raw.decode()
        name, colon, value = line.partition(": ")
        if not line and message:
            yield message
            message = {}
        elif colon and name:
            message[name] = value


def show_status() -> None:
    """Print hosts, and unfinished jobs."""
    api, console = Api(), Console()
    hosts = Table("Host", "State", "Groups", "vCPUs", "Memory MiB", "Disk GiB", "Seen")
    for host in api.request("GET", "/hosts")["hosts"]:
        state = host["state"] if host["state"] != "enabled" else ("[green]up[/]" if host["up"] else "[red]down[/]")
        sizes = [str(host[key]) for key in ("vcpus", "memory_mib", "disk_gib")]
        hosts.add_row(host["name"], state, ", ".join(host["groups"]), *sizes, (host["observed_at"] or "never")[:19])
    console.print(hosts)
    show_jobs(list(UNFINISHED), None, 20)


def show_jobs(states: list[str], resource: str | None, limit: int) -> None:
    """Print a table of jobs."""
    parameters = {"state": states, "resource": resource, "limit": limit}
    jobs = Api().request("GET", "/jobs", params={key: value for key, value in parameters.items() if value})["jobs"]
    table = Table("Job", "What", "On", "State", "Submitted", "Took", "Why")
    for job in jobs:
        table.add_row(
            job["id"][:8],
            f"{job['playbook']} {job['action']}",
            escape(", ".join(f"{row['type']} {row['id'][:8]}" for row in job["resources"])),
            colored(job["state"]),
            job["created_at"][:19].replace("T", " "),
            _duration(job),
            escape(job["error"] or (f"waits: {job['waiting_for']}" if job["waiting_for"] else "")),
        )
    Console().print(table)


def show_job(start: str) -> None:
    """Print one job with its steps."""
    api, console = Api(), Console()
    job = api.request("GET", f"/jobs/{api.job_id(start)}")["job"]
    facts = Table.grid(padding=(0, 2))
    for key, value in job.items():
        if key not in ("steps", "events", "results") and value not in (None, [], ""):
            text = ", ".join(f"{row['type']} {row['id']}" for row in value) if key == "resources" else str(value)
            facts.add_row(f"[dim]{key}[/]", escape(text))
    console.print(facts)
    steps = Table("Step", "State", "Began", "Took")
    for step in job["steps"]:
        steps.add_row(escape(step["name"]), colored(step["state"]), step["started_at"][11:23], _duration(step))
    console.print(steps)
    results = Table("Item", "Host", "Module", "Action", "Why")
    for result in job["results"]:
        action = result.get("action") or ("changed" if result.get("changed") else "none")
        what = (result["id"], result.get("host", ""), result.get("module", ""), action, result.get("error") or "")
        results.add_row(*(escape(str(text)) for text in what))
    console.print(results)


def force(start: str) -> None:
    """Let a job run although its host is in maintenance or unreachable."""
    api = Api()
    job = api.request("POST", f"/jobs/{api.job_id(start)}/force")["job"]
    Console().print(f"{job['id']} {colored(job['state'])}, it does not wait for its host any more")


def prioritize(start: str, priority: int) -> None:
    """Set the priority of a job."""
    api = Api()
    job = api.request("PATCH", f"/jobs/{api.job_id(start)}", json={"job": {"priority": priority}})["job"]
    Console().print(f"{job['id']} {colored(job['state'])}, priority {job['priority']}")


def cancel(start: str) -> None:
    """Cancel a job."""
    api = Api()
    job = api.request("POST", f"/jobs/{api.job_id(start)}/cancel")["job"]
    Console().print(f"{job['id']} {colored(job['state'])}, its cancellation was requested")


def colored(state: str) -> str:
    """Return *state* as it is printed."""
    return f"[{COLORS.get(state, 'red')}]{state}[/]"


def _duration(job: dict[str, Any]) -> str:
    if not (job["started_at"] and job["finished_at"]):
        return ""
    return f"{(_seconds(job['finished_at']) - _seconds(job['started_at'])):.1f} s"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
