"""`skywright overcloud ...`: plans, their hosts, and jobs."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.hosts.enrol import Ask, KnownHosts, Target, look
from skywright.cli.jobs.show import Api
from skywright.cli.overcloud.overcloud_board import follow
from skywright.cli.overcloud.overcloud_view import show_changes
from skywright.jobs.runs.connection import known_hosts
from skywright.services.operations.overcloud.plan import ROLES, BadPlan, Plan, read
from skywright.settings import load as load_settings

EXAMINATIONS = 8  # number of hosts that are examined in parallel


@dataclass(frozen=True)
class Enrolment:
    """How the keys of new hosts are verified: by *fingerprints* HOST=SHA256:..., else by confirmation."""

    ask: Ask
    fingerprints: Sequence[str]

    def of(self, host: str) -> str | None:
        found = dict(text.partition("=")[::2] for text in self.fingerprints)
        return found.get(host)


class _Loader(yaml.SafeLoader):
    """YAML in which duplicate keys are errors."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str) or key in found:
            problem = f"the key {key!r} is a duplicate" if isinstance(key, str) else f"the key {key!r} is not a text"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(path: Path) -> Plan:
    """Return the plan in the file *path*; raise StepFailed with all errors. Paths of keys may begin with `~`."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise StepFailed(f"{path} cannot be read: {error}", "A plan is a YAML file; see docs/overcloud.md.") from error
    return _checked(_with_absolute_keys(document), str(path))


def _checked(document: Any, where: str) -> Plan:
    try:
        return read(document)
    except BadPlan as error:
        lines = [f"{where} is not a valid plan:", *(f"  - {problem}" for problem in error.problems)]
        raise StepFailed("\n".join(lines), "Fix these errors; docs/overcloud.md has an example.") from error


def _with_absolute_keys(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    hosts = document.get("hosts")
    if isinstance(hosts, dict):
        document = {**document, "hosts": {name: _with_absolute_keys(host) for name, host in hosts.items()}}
    key = document.get("key")
    return {**document, "key": str(Path(key).expanduser().absolute())} if isinstance(key, str) else document


def plan(console: Console, wanted: Plan, enrolment: Enrolment) -> int:
    """Show what a deployment would do."""
    api = Api()
    _record_keys(console, api, wanted, enrolment)
    job = api.request("POST", f"{_path(wanted.name)}/plan", json={"plan": wanted.model_dump()})["job"]
    follow(console, api, job["id"])
    return show_changes(console, api.request("GET", f"/jobs/{job['id']}")["job"])


def deploy(console: Console, wanted: Plan, enrolment: Enrolment) -> int:
    """Deploy the plan, and print the cloud's URL."""
    api = Api()
    _record_keys(console, api, wanted, enrolment)
    answer = api.request("PUT", _path(wanted.name), json={"plan": wanted.model_dump()})
    if not follow(console, api, answer["job"]["id"]):
        return 1
    _show_where(console, answer["overcloud"])
    return 0


def scaled(name: str, added: Sequence[str], role: str, path: Path | None) -> Plan:
    """Return the plan of the overcloud *name* with the hosts *added*, NAME=ADDRESS[,DATA_ADDRESS], or the plan in
    *path*.
    """
    if (path is None) == (not added):
        raise StepFailed("No change is given", "Give --add NAME=ADDRESS, or --plan FILE.")
    if path is not None:
        found = load(path)
        if found.name != name:
            raise StepFailed(f"{path} is the plan of {found.name}", f"Deploy that one, or use the plan of {name}.")
        return found
    if role not in ROLES:
        raise StepFailed(f"{role!r} is not a role", f"The roles are {', '.join(ROLES)}.")
    document = Api().request("GET", _path(name))["overcloud"]["plan"]
    for text in added:
        host, addresses = _addition(text)
        document["hosts"][host] = {**document["hosts"].get(host, {}), **addresses}
        if not any(host in document["roles"][one] for one in ROLES):
            document["roles"][role].append(host)
    return _checked(document, f"The changed plan of {name}")


def _addition(text: str) -> tuple[str, dict[str, str]]:
    name, _, rest = text.partition("=")
    address, _, data = rest.partition(",")
    if not (name and address):
        raise StepFailed(f"{text!r} is not a host", "Example: compute3=10.0.0.23,172.20.1.23/24.")
    return name, {"address": address, **({"data_address": data} if data else {})}


def recover(console: Console, name: str, without: list[str]) -> int:
    """Restart the overcloud."""
    api = Api()
    answer = api.request("POST", f"{_path(name)}/recover", json={"without": without})
    return 0 if follow(console, api, answer["job"]["id"]) else 1


def maintain(console: Console, name: str, host: str, *, end: bool) -> int:
    """Take a controller out of service, or put it back."""
    api = Api()
    answer = api.request("POST", f"{_path(name)}/maintenance", json={"host": host, "end": end})
    return 0 if follow(console, api, answer["job"]["id"]) else 1


def delete(console: Console, name: str, *, forget: bool) -> int:
    """Remove the overcloud, or only its records."""
    api = Api()
    answer = api.request("DELETE", _path(name), params={"forget_only": "true"} if forget else {})
    if forget:
        console.print(f"The records of {name} are deleted; nothing on its hosts was changed.")
        return 0
    return 0 if follow(console, api, answer["job"]["id"]) else 1


def _path(name: str) -> str:
    return f"/overclouds/{quote(name, safe='')}"


def _record_keys(console: Console, api: Api, wanted: Plan, enrolment: Enrolment) -> None:
    """Log in to the hosts without a recorded key, and record it; raise StepFailed with all problems."""
    there = {host["variables"].get("ansible_host") for host in api.request("GET", "/hosts")["hosts"]}
    known = KnownHosts(known_hosts(load_settings()))
    lines = known.path.read_text().splitlines() if known.path.exists() else []
    recorded = {line.partition(" ")[0] for line in lines}
    targets = {name: _target(wanted, name) for name in wanted.hosts}
    new = [name for name, to in targets.items() if to.address not in there or to.entry not in recorded]
    if not new:
        return
    one_at_a_time = Lock()

    def ask(text: str) -> bool:
        with one_at_a_time:
            return enrolment.ask(text)

    def meet(name: str) -> list[str] | StepFailed:
        try:
            return look(targets[name], known, "", enrolment.of(name), ask).problems
        except StepFailed as failure:
            return failure

    console.print(f"Meeting {', '.join(new)}", highlight=False)
    with ThreadPoolExecutor(EXAMINATIONS) as pool:
        found = list(pool.map(meet, new))
    problems = [text for name, findings in zip(new, found, strict=True) for text in _told(name, findings)]
    if problems:
        raise StepFailed("\n".join(["These hosts cannot be used:", *problems]), "Fix these problems and try again.")


def _target(wanted: Plan, name: str) -> Target:
    host = wanted.hosts[name]
    return Target(host.address, host.user or wanted.user or "root", Path(host.key or wanted.key or ""), host.port)


def _told(name: str, found: list[str] | StepFailed) -> Iterator[str]:
    if isinstance(found, StepFailed):
        yield f"  - {name}: {found.what} ({found.advice})"
    else:
        yield from (f"  - {name}: {text}" for text in found)


def _show_where(console: Console, overcloud: dict[str, Any]) -> None:
    facts = Table.grid(padding=(0, 2))
    for name, url in overcloud["endpoints"].items():
        facts.add_row(f"[dim]{name}[/]", escape(url))
    files = overcloud["files"]
    facts.add_row("[dim]clouds.yaml[/]", escape(files["clouds_yaml"]))
    view = f"ansible-vault view --vault-password-file {files['vault_password']} {files['secrets']}"
    facts.add_row("[dim]passwords[/]", escape(view))
    console.print(facts, soft_wrap=True)
