"""A hundred jobs of one host, submitted together, next to a hundred runs of ansible-runner that do the same work.

The host is a null host, so that no guest's boot hides the engine: a job defines and starts a domain. The runs are what
one writes without an engine, a call of ansible_runner.run() for each server: one after another, and several at a time.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ansible_runner

from bench.client import ApiError
from bench.measures import Context
from bench.measures.overhead import for_ansible
from bench.stats import Row, Target, ratios

JOBS = 100
ALONE = 10  # so many of the runs one after another tell how long all would take
AT_ONCE = 2 * (os.cpu_count() or 1)  # what is fastest: the runs wait little, and compute much


def measure(context: Context) -> Iterator[Row]:
    cloud, rounds = context.cloud, max(1, context.rounds // 5)
    together, serial, parallel = [], [], []
    with cloud.null_host() as null:
        variables = cloud.hosts()[null]["variables"]
        cloud.active(cloud.create_many(1, null))  # brings both sides' connection up
        for _ in range(rounds):
            servers = cloud.create_many(JOBS, null)
            together.append(cloud.active(servers))
            items = _items(context.root, null, {server.id for server in servers})
            cloud.delete_all()
            runs = [(context.root, null, variables, item) for item in items]
            serial.append(_seconds(runs[:ALONE], 1) * JOBS / ALONE)
            parallel.append(_seconds(runs, AT_ONCE))
    best = [min(pair) for pair in zip(serial, parallel, strict=True)]
    yield Row(f"{JOBS} jobs of one host together", "s", together)
    yield Row(f"{JOBS} runs of ansible-runner, one after another", "s", serial, detail={"measured": ALONE})
    yield Row(f"{JOBS} runs of ansible-runner, {AT_ONCE} at a time", "s", parallel)
    yield Row(f"{JOBS} jobs to {JOBS} runs one after another, ratio", "x", ratios(together, serial))
    yield Row(f"{JOBS} jobs to the faster {JOBS} runs, ratio", "x", ratios(together, best), Target(0.15))


def _items(root: Path, host: str, ids: set[str]) -> list[dict[str, Any]]:
    """What the jobs' runs told *host* of the servers *ids*, from their records; a null host reads no config drive."""
    found = {}
    for record in (root / "var" / "runs").glob("*/record.json"):
        for item in json.loads(record.read_text())["items"].get(host, {}).get("servers", []):
            if item["id"] in ids:
                found[item["id"]] = {**item, "config_drive": None}
    if missing := ids - found.keys():
        raise ApiError(f"{len(missing)} servers are in no run's record")
    return list(found.values())


def _seconds(runs: Sequence[tuple[Path, str, dict[str, Any], dict[str, Any]]], at_once: int) -> float:
    started = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda run: _run(*run), runs))
    return time.monotonic() - started


def _run(root: Path, host: str, variables: dict[str, Any], item: dict[str, Any]) -> None:
    with TemporaryDirectory(prefix="bench-") as directory:
        result = ansible_runner.run(
            private_data_dir=directory,
            project_dir=str(root),
            playbook="playbooks/cloud/items.yml",
            inventory={"all": {"hosts": {host: variables}}},
            extravars={"skywright_items": {host: {"servers": [item]}}},
            envvars=for_ansible(root),
            quiet=True,
        )
        if result.status != "successful" or not result.stats["changed"]:
            raise ApiError(f"ansible-runner: {result.status}: {result.stdout.read()[-2000:]}")
