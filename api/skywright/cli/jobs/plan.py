"""`skywright plan -- openstack ...`: what a command would change, without changing it."""

import copy
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import yaml
from keystoneauth1.exceptions import ClientException
from openstack.config import OpenStackConfig
from openstack.exceptions import SDKException
from rich.console import Console

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.plan_view import show
from skywright.cli.jobs.planning_proxy import Outcome, PlanningProxy, origin

NOTHING, FAILED, CHANGES = 0, 1, 2
DEFAULT_CLOUD = "skywright"
LOOK_SECONDS = 0.05


def plan(command: Sequence[str], console: Console) -> int:
    """Run *command* against a planning proxy and show its plan; return the exit code."""
    target = _Target(list(command))
    with (
        tempfile.TemporaryDirectory(prefix="skywright-plan-") as directory,
        PlanningProxy(target.auth_url, *target.verify) as proxy,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        code = _run(target.command(proxy), target.environment(proxy, Path(directory)), proxy, output, errors)
        if proxy.outcome is not None:
            return _show(proxy.outcome, console)
        # The command ended without a plan: its output is the answer, or the reason of its failure.
        for stream, text in ((sys.stdout, output), (sys.stderr, errors)):
            text.seek(0)
            stream.write(text.read().decode(errors="replace"))
        if code == 0:
            Console(stderr=True).print("[green]Nothing would change.[/]")
    return FAILED if code else NOTHING


def _run(
    command: list[str], environment: dict[str, str], proxy: PlanningProxy, output: IO[bytes], errors: IO[bytes]
) -> int:
    """Return the exit code of *command*, which is stopped as soon as there is a plan."""
    try:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
    except OSError as error:
        raise StepFailed(f"{command[0]}: {error.strerror}", "Name an OpenStack command after `--`.") from error
    try:
        while process.poll() is None and not proxy.planned.wait(LOOK_SECONDS):
            pass
    finally:
        if process.poll() is None:
            process.kill()
        code = process.wait()
    return code


def _show(outcome: Outcome, console: Console) -> int:
    if outcome.plan is None:
        raise StepFailed(f"{outcome.method} {outcome.service} {outcome.path}: {outcome.error}", "Nothing was changed.")
    show(outcome, console)
    if not outcome.plan["complete"]:
        return FAILED
    return CHANGES if outcome.plan["changed"] or outcome.plan["recorded"] else NOTHING


class _Target:
    """Return the cloud that the command uses: from its options, from OS_CLOUD or OS_*, or from the checkout's
    clouds.yaml.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        try:
            config = OpenStackConfig()
            named = _option(command, "--os-cloud") or os.environ.get("OS_CLOUD")
            if not named and "OS_AUTH_URL" not in os.environ and DEFAULT_CLOUD in config.get_cloud_names():
                named = DEFAULT_CLOUD
            region = config.get_one(named)
            auth_url = _option(command, "--os-auth-url") or region.config["auth"]["auth_url"]
        except (SDKException, ClientException, KeyError) as error:
            raise StepFailed(f"The cloud is not known: {error}", "Name it with OS_CLOUD or --os-cloud.") from error
        self.name, self.auth_url = named, str(auth_url)
        self.verify = region.get_requests_verify_args()
        self._clouds: dict[str, Any] = config.cloud_config

    def command(self, proxy: PlanningProxy) -> list[str]:
        """Return the command with the proxy's URL in place of one on its command line."""
        given = _option(self._command, "--os-auth-url")
        if given is None:
            return self._command
        return [argument.replace(given, proxy.local(given)) for argument in self._command]

    def environment(self, proxy: PlanningProxy, directory: Path) -> dict[str, str]:
        """Return an environment in which the command uses the proxy as the cloud."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        environment = {**os.environ, "PATH": path, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        if "OS_AUTH_URL" in environment:
            environment["OS_AUTH_URL"] = proxy.local(environment["OS_AUTH_URL"])
        if self.name:
            environment["OS_CLOUD"] = self.name
            environment["OS_CLIENT_CONFIG_FILE"] = str(self._write_clouds(proxy, directory / "clouds.yaml"))
        return environment

    def _write_clouds(self, proxy: PlanningProxy, path: Path) -> Path:
        """Make a temporary private clouds.yaml: the same clouds, behind the proxy."""
        clouds = copy.deepcopy(self._clouds)
        clouds.pop("cache", None)
        cloud = clouds["clouds"][self.name]
        cloud.setdefault("auth", {})["auth_url"] = proxy.local(self.auth_url)
        ours = origin(self.auth_url)
        for key, value in cloud.items():
            if key.endswith(("_endpoint_override", "_endpoint")) and str(value).startswith(ours):
                cloud[key] = proxy.local(value)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            yaml.safe_dump(clouds, file)
        return path


def _option(command: Sequence[str], name: str) -> str | None:
    """Return the value of the option *name*, given as `--name value` or `--name=value`."""
    for index, argument in enumerate(command):
        if argument == name and index + 1 < len(command):
            return command[index + 1]
        if argument.startswith(f"{name}="):
            return argument.partition("=")[2]
    return None
