"""The address of a host, which is the one that the worker's SSH connection has."""

import os
import signal
import subprocess

from ansible_collections.skywright.cloud.plugins.module_utils import host_info


def test_the_address_of_a_host_is_the_one_that_ssh_connected_to(monkeypatch):
    """A child of sudo lacks the variable, which its ancestors have."""
    script = ["sh", "-c", "env -i sh -c 'echo $$; exec sleep 717'; true"]
    environment = {**os.environ, "SSH_CONNECTION": "192.0.2.1 40000 192.0.2.7 22"}
    with subprocess.Popen(script, stdout=subprocess.PIPE, env=environment) as shell:
        child = int(shell.stdout.readline())
        monkeypatch.setattr(host_info.os, "getpid", lambda: child)
        try:
            assert host_info.address() == {"address": "192.0.2.7"}
        finally:
            os.kill(child, signal.SIGKILL)


def test_without_ssh_the_address_of_a_host_is_the_loopback_address(monkeypatch):
    monkeypatch.setattr(host_info.processes, "variable", lambda _pid, _name: None)
    assert host_info.address() == {"address": "127.0.0.1"}
