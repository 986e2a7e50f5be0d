"""`skywright up` and `skywright down`: create the lab's cloud with two servers, and remove it."""

import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openstack.connection import Connection
from rich.console import Console
from rich.markup import escape

from skywright.cli.cloud import demo
from skywright.cli.cloud.accounts import bootstrap_accounts, write_clouds_yaml
from skywright.cli.cloud.checkout import Checkout
from skywright.cli.cloud.daemon import Daemon
from skywright.cli.cloud.steps import Steps
from skywright.settings import load


def up(console: Console) -> None:
    """Create hosts, a cloud and two servers, or what is missing of them. Raises StepFailed with the problem."""
    checkout = Checkout.here()
    address = checkout.lab()["management_address"].split("/")[0]
    with Steps(console) as steps:
        # The guest image needs no host, so it is built in parallel.
        with ThreadPoolExecutor(1) as side:
            image_built = side.submit(_playbook, steps, checkout, "Build the guest image", "guest_image")
            _playbook(steps, checkout, "Make the lab's hosts", "lab")
            _playbook(steps, checkout, "Make the hosts a cloud", "site")
            image_built.result()
        daemon = Daemon(checkout, address)
        with steps.step("Start the API and its worker"):
            _start(checkout, daemon, address)
        cloud = demo.connect(checkout)
        hosts = checkout.inventory()
        with steps.step("Register the hosts") as report:
            demo.register_hosts(cloud, hosts, report)
        with steps.step("Upload the guest image"):
            image = demo.upload_image(cloud, checkout)
        with steps.step("Make flavors, key and network"):
            flavor, network = demo.make_flavors(cloud), demo.make_network(cloud)
            demo.import_key(cloud, checkout)
        computes = sorted(name for name, host in hosts.items() if "computes" in host["groups"])
        with steps.step("Boot a server on each host") as report:
            servers = demo.boot_servers(cloud, computes[:2], report, image=image, flavor=flavor, network=network)
        with steps.step("One server reaches the other over TCP") as report:
            answer = demo.prove_reach(checkout, network, servers, report)
    console.print(f"{servers[0].name} fetched http://{demo.address(servers[-1])}/ : [bold]{escape(answer)}[/]")
    _summary(console, checkout, cloud, network, servers)


def down(console: Console) -> None:
    """Remove the cloud, its hosts and its files."""
    checkout = Checkout.here()
    address = checkout.lab()["management_address"].split("/")[0]
    with Steps(console) as steps:
        with steps.step("Stop the API and its worker"):
            Daemon(checkout, address).stop()
        _playbook(steps, checkout, "Remove the lab's hosts", "lab_absent")
        if (checkout.state / "ha").exists():
            _playbook(steps, checkout, "Remove the overcloud's hosts", "lab_absent", "-i", "inventories/ha")
        with steps.step("Remove the files"):
            checkout.clouds_yaml.unlink(missing_ok=True)
            shutil.rmtree(checkout.state, ignore_errors=True)


def _playbook(steps: Steps, checkout: Checkout, title: str, name: str, *arguments: str) -> None:
    with steps.step(title) as report:
        checkout.playbook(name, report, *arguments)


def _start(checkout: Checkout, daemon: Daemon, address: str) -> None:
    if daemon.pid() and not daemon.outdated() and daemon.ready():
        return
    daemon.stop()
    daemon.write_settings()
    settings = load()
    bootstrap_accounts(settings, write_clouds_yaml(checkout, address, settings.region))
    daemon.start()


def _summary(console: Console, checkout: Checkout, cloud: Connection, network: Any, servers: list[Any]) -> None:
    command = ["openstack", "--os-cloud", "skywright", "server", "list"]
    console.print(f"[dim]$ {shlex.join(command)}[/]")
    subprocess.run(command, cwd=checkout.root, env=checkout.environment, check=False)
    log = cloud.compute.get_server_console_output(servers[-1], length=8)["output"]
    console.print("[dim]The end of its console:[/]", escape(log), sep="\n")
    console.print("[bold]Try next:[/]")
    for proposal in (
        ".venv/bin/openstack --os-cloud skywright server list",
        ".venv/bin/skywright jobs list",
        shlex.join(demo.guest_command(checkout, network, servers[0])),
    ):
        console.print(f"  {escape(proposal)}", soft_wrap=True, highlight=False)
