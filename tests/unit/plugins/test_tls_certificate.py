"""tls_certificate with the real openssl, in a directory of its own."""

import json
import ssl
import subprocess

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.skywright.cloud.plugins.filter.certificates import host_certificates
from ansible_collections.skywright.cloud.plugins.module_utils import x509
from ansible_collections.skywright.cloud.plugins.modules import tls_certificate

from .conftest import predicted

HOST = {"id": "host1", "names": ["host1"], "addresses": ["10.0.0.11", "fd00::b"]}


@pytest.fixture
def pki(tmp_path):
    return tmp_path / "pki"


@pytest.fixture
def run(run_module, pki):
    def run(*certificates, check=False, **options):
        args = {"directory": str(pki), "certificates": certificates or [HOST], **options}
        answer = run_module(tls_certificate.main, args, check=check)
        assert "PRIVATE KEY" not in json.dumps(answer)
        return answer

    return run


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.glob("*") if path.suffix in (".pem", ".key")}


def verified(pki, *more):
    argv = ["openssl", "verify", "-x509_strict", "-CAfile", pki / "ca.pem", *more, pki / "host1.pem"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def authorities(pki):
    return (pki / "ca.pem").read_text().count("BEGIN CERTIFICATE")


def days_pass(monkeypatch, days):
    now = x509.time.time
    monkeypatch.setattr(x509.time, "time", lambda: now() + days * x509.DAY)


def test_a_new_directory_gets_an_authority_and_what_it_signs(run, pki):
    answer = run()
    assert [(r["id"], r["action"]) for r in answer["results"]] == [("ca", "create"), ("host1", "create")]
    assert verified(pki, "-verify_hostname", "host1", "-verify_ip", "10.0.0.11")
    assert verified(pki, "-verify_ip", "fd00::b")
    assert not verified(pki, "-verify_hostname", "host2")
    assert pki.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in pki.glob("*.key")} == {0o600}
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pki / "host1.pem", pki / "host1.key")


def test_a_second_run_changes_nothing(run, pki):
    run()
    before = contents(pki)
    answer = run()
    assert (answer["changed"], answer["commands"]) == (False, [])
    assert contents(pki) == before


def test_check_mode_predicts_and_writes_nothing(run, pki):
    foretold = run(check=True)
    assert not pki.exists()
    assert predicted(foretold) == predicted(run())


def test_a_certificate_that_ends_soon_is_renewed_with_a_new_key(run, pki, monkeypatch):
    run()
    before = contents(pki)
    days_pass(monkeypatch, 304)
    assert not run()["changed"]
    days_pass(monkeypatch, 2)
    foretold = run(check=True)
    assert contents(pki) == before
    answer = run()
    assert predicted(foretold) == predicted(answer)
    assert answer["commands"] == [["write", "host1.key"], ["write", "host1.pem"]]
    assert contents(pki)["host1.key"] != before["host1.key"]
    assert contents(pki)["ca.pem"] == before["ca.pem"]
    assert verified(pki)


@pytest.mark.parametrize("change", [{"names": ["host1", "web"]}, {"addresses": ["10.0.0.12"]}, {"combined": True}])
def test_what_it_is_for_decides(run, pki, change):
    run()
    assert run({**HOST, **change})["by_id"]["host1"]["action"] == "update"
    assert not run({**HOST, **change})["changed"]
    assert ("PRIVATE KEY" in (pki / "host1.pem").read_text()) == ("combined" in change)


@pytest.mark.parametrize("damaged", ["host1.key", "host1.pem"])
@pytest.mark.parametrize("how", ["lost", "garbage", "another's"])
def test_a_damaged_pair_is_made_anew(run, pki, damaged, how):
    other = {**HOST, "id": "host2"}
    run(HOST, other)
    if how == "lost":
        (pki / damaged).unlink()
    else:
        (pki / damaged).write_bytes((pki / damaged.replace("1", "2")).read_bytes() if how == "another's" else b"x")
    answer = run(HOST, other)
    assert [r["id"] for r in answer["results"] if r["changed"]] == ["host1"]
    assert verified(pki)
    assert not run(HOST, other)["changed"]


def test_absent(run, pki):
    run()
    answer = run({"id": "host1", "state": "absent"})
    assert answer["commands"] == [["remove", "host1.pem"], ["remove", "host1.key"]]
    assert sorted(contents(pki)) == ["ca.key", "ca.pem"]
    assert not run({"id": "host1", "state": "absent"})["changed"]


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "../host1", "names": ["a"]},
        {"id": "a", "names": ["b,DNS:c"]},
        {"id": "a", "names": ["b\n[x]"]},
        {"id": "a", "addresses": ["10.0.0"]},
        {"id": "a"},
    ],
)
def test_one_bad_item_never_stops_the_others(run, pki, bad):
    answer = run(bad, HOST)
    assert answer["failed"]
    assert verified(pki)
    assert sorted(contents(pki)) == ["ca.key", "ca.pem", "host1.key", "host1.pem"]


@pytest.mark.parametrize("ids", [["ca"], ["ca-next"], ["a", "a"]])
def test_a_file_has_one_owner(run, pki, ids):
    assert run(*({**HOST, "id": name} for name in ids))["failed"]
    assert not pki.exists()


def test_an_authority_is_rotated_while_everything_stays_trusted(run, pki, tmp_path):
    run()
    former = tmp_path / "former.pem"
    former.write_bytes((pki / "host1.pem").read_bytes())

    def trusts_former():
        argv = ["openssl", "verify", "-CAfile", pki / "ca.pem", former]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    assert [r["id"] for r in run(authority_step="introduce")["results"] if r["changed"]] == ["ca"]
    introduced = (pki / "ca.pem").read_bytes()
    assert (pki / "host1.pem").read_bytes() == former.read_bytes()
    assert [r["id"] for r in run(authority_step="adopt")["results"] if r["changed"]] == ["ca", "host1"]
    assert (pki / "ca.pem").read_bytes() == introduced
    assert verified(pki)
    assert trusts_former()
    assert [r["id"] for r in run(authority_step="retire")["results"] if r["changed"]] == ["ca"]
    assert verified(pki)
    assert not trusts_former()
    assert not (pki / "ca-next.key").exists()


@pytest.mark.parametrize("steps", [["introduce"], ["introduce", "adopt"], ["introduce", "adopt", "retire"]])
def test_steps_of_a_rotation_may_be_repeated_and_foretold(run, pki, steps):
    run()
    for step in steps:
        foretold = run(authority_step=step, check=True)
        assert predicted(foretold) == predicted(run(authority_step=step))
    assert not run(authority_step=steps[-1])["changed"]
    assert not run()["changed"]


def test_an_authority_is_rotated_by_itself_before_it_ends(run, pki, monkeypatch):
    short = {"authority_days": 1000, "valid_days": 300}
    run(**short)
    days_pass(monkeypatch, 390)
    run(**short)
    assert authorities(pki) == 1
    days_pass(monkeypatch, 20)
    assert run(**{**short, "authority_days": 5000})["by_id"]["ca"]["changed"]
    assert authorities(pki) == 2
    days_pass(monkeypatch, 280)
    assert not run(**short)["by_id"]["ca"]["changed"]
    days_pass(monkeypatch, 20)
    assert run(**short)["by_id"]["host1"]["changed"]
    assert authorities(pki) == 2
    days_pass(monkeypatch, 300)
    run(**short)
    assert authorities(pki) == 1


def test_an_introduction_that_was_cut_short_is_done_again(run, pki):
    run()
    (pki / "ca-next.key").write_bytes((pki / "host1.key").read_bytes())
    run(authority_step="introduce")
    assert authorities(pki) == 2
    assert run(authority_step="adopt")["by_id"]["ca"]["changed"]
    assert verified(pki)


def test_nothing_is_signed_without_the_authoritys_key(run, pki):
    run()
    (pki / "ca.key").write_bytes((pki / "host1.key").read_bytes())
    answer = run({**HOST, "id": "host2"})
    assert "ca.key is not the key" in answer["by_id"]["ca"]["error"]
    assert answer["by_id"]["host2"]["error"] == "there is no CA to sign the certificate"
    assert not (pki / "host2.pem").exists()


def test_a_key_never_reaches_a_message(run, programs):
    def openssl(argv, stdin=""):
        raise tls_certificate.ItemError(
            "it said -----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\nand died"
        )

    programs["openssl"] = openssl
    assert "it said and died" in run()["by_id"]["ca"]["error"]


def test_hosts_are_known_by_their_name_and_all_their_addresses():
    hostvars = {
        "host1": {"ansible_host": "10.0.0.11", "certificates_aliases": ["web.example", "10.1.0.11"]},
        "host2": {"ansible_host": "host2.example"},
    }
    first, second, service = host_certificates(["host1", "host2"], hostvars, ["cloud", "10.0.0.9"])
    expected = {"id": "host1", "names": ["host1", "web.example"], "addresses": ["10.0.0.11", "10.1.0.11"]}
    assert first == {**expected, "combined": False}
    assert second["names"] == ["host2", "host2.example"]
    assert service == {"id": "service", "names": ["cloud"], "addresses": ["10.0.0.9"], "combined": True}
    controller, _ = host_certificates(["host1"], {"host1": {"group_names": ["controllers"]}}, ["10.0.0.9"])
    assert (controller["names"], controller["addresses"]) == (["host1"], ["10.0.0.9"])
    with pytest.raises(AnsibleFilterError):
        host_certificates(["service"], {"service": {}})
