"""virt_probe with a scripted QEMU."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.skywright.cloud.plugins.modules import virt_probe


@pytest.fixture
def args(tmp_path):
    return {"fact": str(tmp_path / "facts.d/skywright.fact"), "seconds": 1}


@pytest.fixture
def qemu(monkeypatch, tmp_path):
    """What QEMU does when it is started: a return code, or an exception."""
    boots = SimpleNamespace(outcome=33, count=0)

    def run(argv, **kwargs):
        boots.count += 1
        if isinstance(boots.outcome, Exception):
            raise boots.outcome
        return SimpleNamespace(returncode=boots.outcome)

    monkeypatch.setattr(virt_probe.subprocess, "run", run)
    monkeypatch.setattr(virt_probe, "KVM", str(tmp_path))
    return boots


@pytest.mark.parametrize(
    ("outcome", "virt_type"),
    [
        (33, "kvm"),
        (1, "qemu"),
        (subprocess.TimeoutExpired("qemu", 1), "qemu"),
        (FileNotFoundError(), "qemu"),
    ],
)
def test_only_a_machine_that_ends_as_it_should_proves_kvm(run_module, args, qemu, outcome, virt_type):
    qemu.outcome = outcome
    answer = run_module(virt_probe.main, args)
    assert answer["changed"]
    assert answer["results"][0]["status"] == virt_type
    assert json.loads(Path(args["fact"]).read_text()) == {"hypervisor_virt_type": virt_type}


def test_without_the_device_nothing_is_booted(run_module, args, qemu, monkeypatch):
    monkeypatch.setattr(virt_probe, "KVM", "/nowhere")
    assert run_module(virt_probe.main, args)["results"][0]["status"] == "qemu"
    assert qemu.count == 0


def test_a_second_run_asks_nobody(run_module, args, qemu):
    run_module(virt_probe.main, args)
    answer = run_module(virt_probe.main, args)
    assert not answer["changed"]
    assert answer["results"][0]["status"] == "kvm"
    assert qemu.count == 1


def test_what_is_said_counts_more_than_what_was_found(run_module, args, qemu):
    run_module(virt_probe.main, args)
    answer = run_module(virt_probe.main, args | {"virt_type": "qemu"})
    assert answer["changed"]
    assert answer["results"][0]["status"] == "qemu"


def test_other_facts_of_the_file_stay(run_module, args, qemu, tmp_path):
    (tmp_path / "facts.d").mkdir()
    (tmp_path / "facts.d/skywright.fact").write_text('{"other": 1}')
    run_module(virt_probe.main, args)
    assert json.loads(Path(args["fact"]).read_text()) == {"other": 1, "hypervisor_virt_type": "kvm"}


def test_check_mode_writes_nothing(run_module, args, qemu, tmp_path):
    assert run_module(virt_probe.main, args, check=True)["changed"]
    assert not (tmp_path / "facts.d").exists()


def test_the_sector_is_bootable():
    assert len(virt_probe.SECTOR) == 512
    assert virt_probe.SECTOR[510:] == b"\x55\xaa"
