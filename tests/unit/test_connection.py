"""Connections to hosts: Ansible's variables and the arguments of ssh."""

from pathlib import Path

from skywright.jobs.runs.connection import connection, ssh_command


def test_ssh_uses_the_same_connection_as_ansible() -> None:
    variables = connection("192.0.2.7", 2222, "operator", Path("/keys/a key"), Path("/state/known hosts"))
    argv = ssh_command("node7", variables, ["virsh", "domdisplay", "a b"])
    assert argv[-3:] == ["--", "192.0.2.7", "virsh domdisplay 'a b'"]
    assert argv[argv.index("-p") + 1 :][:5] == ["2222", "-l", "operator", "-i", "/keys/a key"]
    assert {"UserKnownHostsFile=/state/known hosts", "StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(argv)
    assert ssh_command("node7", variables | {"ansible_become": True}, ["id"])[-1] == "sudo -n id"


def test_a_host_without_variables_is_reached_by_its_name() -> None:
    assert ssh_command("node7", {}, ["id"])[-3:] == ["--", "node7", "id"]
