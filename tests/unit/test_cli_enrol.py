"""Enrolling hosts, with a fake SSH server in this process."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.hosts.enrol import Findings, KnownHosts, Target, look

GOOD = {"hostname": "node7.example", "uid": "0", "root": "", "python": "3.11", "clock": "NOW", "disk": "99999999"}
GOOD |= {"system": "debian 12", "kvm": "yes", "interface": "yes"}


class Host(paramiko.ServerInterface):
    """The server side of one connection."""

    def __init__(self, host: "FakeHost") -> None:
        self._host = host

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "root" and key == self._host.login
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._answer, args=[channel], daemon=True).start()
        return True

    def _answer(self, channel: paramiko.Channel) -> None:
        while data := channel.recv(4096):
            self._host.script += data
        facts = {key: value.replace("NOW", str(time.time())) for key, value in self._host.facts.items()}
        channel.sendall("".join(f"{key}={value}\n" for key, value in facts.items()).encode())
        channel.send_exit_status(0)
        channel.close()


class FakeHost:
    """Listens on a port of this machine; `facts` are its answers, `key` is its host key."""

    def __init__(self, login: paramiko.PKey) -> None:
        self.login, self.facts, self.script = login, dict(GOOD), b""
        self.key: paramiko.PKey = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            try:
                transport.start_server(server=Host(self))
            except (paramiko.SSHException, EOFError, OSError):  # the client refused our key
                continue

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    paramiko.ECDSAKey.generate().write_private_key_file(str(path))
    return path


@pytest.fixture
def host(key: Path) -> Iterator[FakeHost]:
    host = FakeHost(paramiko.ECDSAKey.from_private_key_file(str(key)))
    yield host
    host.close()


@pytest.fixture
def known(tmp_path: Path) -> KnownHosts:
    return KnownHosts(tmp_path / "state" / "known_hosts")


def yes(_text: str) -> bool:
    return True


def no(_text: str) -> bool:
    return False


def never(text: str) -> bool:
    pytest.fail(f"asked: {text}")


def meet(host: FakeHost, key: Path, known: KnownHosts, fingerprint: str | None = None, ask=yes) -> Findings:  # type: ignore[no-untyped-def]
    return look(Target("127.0.0.1", "root", key, host.port), known, "data0", fingerprint, ask)


def test_the_key_is_shown_and_recorded_once(host: FakeHost, key: Path, known: KnownHosts) -> None:
    shown: list[str] = []
    findings = meet(host, key, known, ask=lambda text: not shown.append(text))  # type: ignore[func-returns-value]
    assert (findings.problems, findings.hostname, findings.has_kvm) == ([], "node7", True)
    assert len(shown) == 1 and host.key.fingerprint in shown[0]
    line = f"[127.0.0.1]:{host.port} {host.key.get_name()} {host.key.get_base64()}\n"
    assert known.path.read_text() == line
    meet(host, key, known, ask=never)
    assert known.path.read_text() == line


def test_only_the_key_with_the_given_fingerprint_is_accepted(host: FakeHost, key: Path, known: KnownHosts) -> None:
    with pytest.raises(StepFailed, match="has another key"):
        meet(host, key, known, "SHA256:other", never)
    assert not known.path.exists()
    meet(host, key, known, host.key.fingerprint, never)
    assert known.path.exists()


def test_a_key_that_is_not_accepted_is_not_recorded(host: FakeHost, key: Path, known: KnownHosts) -> None:
    with pytest.raises(StepFailed, match="not accepted"):
        meet(host, key, known, ask=no)
    assert not known.path.exists() and host.script == b""


@pytest.mark.parametrize("other", [paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048)])
def test_a_changed_key_is_refused(host: FakeHost, key: Path, known: KnownHosts, other: paramiko.PKey) -> None:
    meet(host, key, known)
    before, host.key, host.script = known.path.read_text(), other, b""
    for fingerprint in (None, other.fingerprint):
        with pytest.raises(StepFailed, match=r"THE KEY OF .* HAS CHANGED"):
            meet(host, key, known, fingerprint, yes)
    assert known.path.read_text() == before and host.script == b""


def test_all_problems_are_reported_at_once(host: FakeHost, key: Path, known: KnownHosts) -> None:
    host.facts = {"hostname": "n", "uid": "1000", "root": "", "python": "3.8", "clock": "100.5", "disk": "1048576"}
    host.facts |= {"system": "ubuntu 24.04", "kvm": "", "interface": ""}
    findings = meet(host, key, known)
    expected = ["ubuntu 24.04", "sudo", "Python 3.9", "clock is off", "1.0 GiB are free", "no network interface data0"]
    assert len(findings.problems) == len(expected)
    assert all(word in problem for word, problem in zip(expected, findings.problems, strict=True))
    host.facts = {}
    assert len(meet(host, key, known).problems) == len(expected)


def test_sudo_is_as_good_as_root(host: FakeHost, key: Path, known: KnownHosts) -> None:
    host.facts |= {"uid": "1000", "root": "0"}
    findings = meet(host, key, known)
    assert (findings.problems, findings.is_root) == ([], False)


def test_control_characters_of_a_host_do_not_reach_the_terminal(host: FakeHost, key: Path, known: KnownHosts) -> None:
    host.facts["system"] = "\x1b]0;pwned\x07evil\x9b2J"
    (problem,) = meet(host, key, known).problems
    assert problem.isprintable() and "evil" in problem


@pytest.mark.parametrize("clock", ["nan", "inf", "1e309", "-1", "9" * 5000])
def test_an_invalid_clock_is_a_problem(host: FakeHost, key: Path, known: KnownHosts, clock: str) -> None:
    host.facts["clock"] = clock
    assert len(meet(host, key, known).problems) == 1


def test_a_refused_login_is_reported(host: FakeHost, key: Path, known: KnownHosts) -> None:
    host.login = paramiko.ECDSAKey.generate()
    with pytest.raises(StepFailed, match="does not let root in"):
        meet(host, key, known)


def test_unusable_private_keys_are_reported(host: FakeHost, key: Path, known: KnownHosts) -> None:
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(StepFailed, match="is not a private key"):
        meet(host, key, known)
    key.unlink()
    subprocess.run(["ssh-keygen", "-q", "-N", "secret", "-t", "ed25519", "-f", key], check=True)
    with pytest.raises(StepFailed, match="has a passphrase"):
        meet(host, key, known)


def test_an_unreachable_host_is_reported(host: FakeHost, key: Path, known: KnownHosts) -> None:
    host.close()
    with pytest.raises(StepFailed, match="cannot be reached"):
        meet(host, key, known)


def test_removing_a_key_keeps_the_others(host: FakeHost, key: Path, known: KnownHosts) -> None:
    known.record("other", host.key)
    meet(host, key, known)
    known.forget(f"[127.0.0.1]:{host.port}")
    assert known.path.read_text() == f"other {host.key.get_name()} {host.key.get_base64()}\n"
