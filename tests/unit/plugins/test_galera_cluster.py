"""galera_cluster and galera_info against a scripted host."""

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import galera_node
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.galera import state_text
from ansible_collections.skywright.cloud.plugins.modules import galera_cluster, galera_info

UUID = "17a20324-e500-11f1-86c9-62cb1e676fd3"
SYNCED = {
    "wsrep_cluster_status": "Primary",
    "wsrep_ready": "ON",
    "wsrep_local_state": "4",
    "wsrep_cluster_state_uuid": UUID,
}
ALONE = {**SYNCED, "wsrep_cluster_status": "non-Primary", "wsrep_ready": "OFF", "wsrep_local_state": "0"}


class Host:
    """A host whose server joins whenever it is started and there is a cluster."""

    def __init__(self, root):
        self.data, self.snapshots = root / "mysql", root / "snapshots"
        (self.data / "mysql").mkdir(parents=True)
        self.configuration, self.started_with = root / "configuration", root / "started_with"
        self.configuration.write_text("a")
        self.unit, self.status, self.restarts = "inactive", {}, 0
        self.cluster, self.frozen, self.position = True, False, f"{UUID}:7"
        self.sent = []

    def runs(self, status=SYNCED):
        self.unit, self.status = "active", status
        self.started_with.write_text(self.configuration.read_text())

    def systemctl(self, argv):
        verb = argv[1]
        if verb == "show":
            return f"{self.restarts}\n" if "--property=NRestarts" in argv else f"{self.unit}\n"
        self.sent.append(verb)
        if verb == "start" and self.cluster:
            self.runs()
        elif verb == "start":
            self.unit, self.restarts = "activating", 9
        elif verb == "stop":
            self.unit, self.status = "inactive", {}
        elif verb == "kill":
            self.unit, self.frozen = "activating", False
        return ""

    def galera_new_cluster(self, _argv):
        self.sent.append("bootstrap")
        self.runs()

    def install(self, _argv):
        self.sent.append("install")

    def galera_recovery(self, _argv):
        if self.position is None:
            raise ItemError("galera_recovery failed (1): the log is corrupt")
        return f"--wsrep_start_position={self.position}\n"

    def cp(self, argv):
        self.sent.append("cp")

    def ask(self):
        if self.frozen:
            raise OSError("timed out")
        return self.status


@pytest.fixture
def host(tmp_path, programs, monkeypatch):
    there = Host(tmp_path)
    names = ("systemctl", "galera_new_cluster", "galera_recovery", "cp")
    programs.update({name: getattr(there, name) for name in names})
    programs["mariadb-install-db"] = there.install

    class Answers:
        def __enter__(self):
            self.rows = there.ask().items()
            return self

        def __exit__(self, *_error):
            return None

        def execute(self, _statement):
            return None

        def fetchall(self):
            return self.rows

    monkeypatch.setattr(galera_node, "administrator", Answers)
    monkeypatch.setattr(galera_node.Node.__init__, "__defaults__", (str(there.data), str(there.snapshots)))
    monkeypatch.setattr(galera_node.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(galera_node.shutil, "chown", lambda *_arguments: None)
    monkeypatch.setattr(galera_cluster, "REJOIN_SECONDS", 0)
    return there


@pytest.fixture
def bring(run_module, host):
    def run(state, check=False, **more):
        files = {"configuration": str(host.configuration), "started_with": str(host.started_with)}
        arguments = {"name": "controller1", "state": state, "timeout": 1, **files, **more}
        return run_module(galera_cluster.main, arguments, check=check)

    return run


def test_a_node_that_is_down_joins(bring, host):
    assert bring("joined")["changed"]
    assert host.sent == ["reset-failed", "start"]
    assert not bring("joined")["changed"]


def test_check_mode_predicts_and_touches_nothing(bring, host):
    (host.data / "skywright").mkdir()
    for state in ("joined", "bootstrapped", "stopped"):
        assert bring(state, check=True)["changed"]
    assert host.sent == []
    host.runs()
    assert [bring(state, check=True)["changed"] for state in ("joined", "bootstrapped", "stopped")] == [False] * 3


def test_a_node_with_an_empty_disk_joins(bring, host):
    (host.data / "mysql").rmdir()
    node = bring("stopped")["node"]
    assert (node["position"], node["partial"], node["error"]) == (None, False, None)
    assert bring("joined")["changed"]
    assert host.sent == ["install", "reset-failed", "start"]


def test_databases_without_the_servers_own_are_not_whole(bring, host):
    (host.data / "mysql").rename(host.data / "skywright")
    assert bring("stopped")["node"]["partial"]


def test_a_frozen_server_is_killed_and_joins(bring, host):
    host.runs()
    host.frozen = True
    assert bring("joined")["changed"]
    assert host.sent == ["kill", "reset-failed", "start"]


@pytest.mark.parametrize("status", [ALONE, {**SYNCED, "wsrep_ready": "OFF", "wsrep_local_state": "2"}])
def test_a_server_that_stays_cut_off_is_started_anew(bring, host, status):
    host.runs(status)
    assert bring("joined")["node"]["synced"]
    assert host.sent == ["stop", "reset-failed", "start"]


def test_a_node_that_gives_its_data_is_waited_for(bring, host):
    host.runs({**SYNCED, "wsrep_local_state": "2"})
    assert bring("joined")["changed"]
    assert "stop" not in host.sent


def test_a_node_that_finds_no_cluster_fails(bring, host):
    host.cluster = False
    answer = bring("joined")
    assert answer["failed"]
    assert "9 restarts" in answer["msg"]


def test_a_node_that_lives_is_never_stopped_for_recovery(bring, host):
    host.runs()
    answer = bring("stopped")
    assert (answer["changed"], answer["node"]["primary"], host.sent) == (False, True, [])


def test_a_stopped_node_tells_its_position_and_has_its_databases_saved(bring, host):
    (host.data / "skywright").mkdir()
    (host.data / "grastate.dat").write_text(state_text(UUID))
    host.runs(ALONE)
    answer = bring("stopped")
    assert answer["node"]["position"] == {"uuid": UUID, "seqno": 7}
    assert answer["node"]["databases"] == ["skywright"]
    assert answer["snapshot"].startswith(str(host.snapshots))
    assert host.sent == ["stop", "cp"]


def test_a_node_without_databases_needs_no_snapshot(bring, host):
    host.position = "00000000-0000-0000-0000-000000000000:-1"
    answer = bring("stopped")
    assert answer["node"]["position"] is None
    assert answer["snapshot"] == "none, because there are no databases"


def test_the_position_of_a_node_that_left_well_is_taken_from_its_state(bring, host):
    (host.data / "grastate.dat").write_text(state_text(UUID).replace("seqno:   -1", "seqno:   70"))
    assert bring("stopped")["node"]["position"] == {"uuid": UUID, "seqno": 70}


def test_the_position_is_found_without_marks(bring, host):
    node = bring("stopped")["node"]
    assert (node["position"], node["sound"]) == ({"uuid": UUID, "seqno": 7}, True)


def test_a_node_that_the_provider_gave_up_is_not_vouched_for(bring, host):
    (host.data / "grastate.dat").write_text(state_text("00000000-0000-0000-0000-000000000000"))
    node = bring("stopped")["node"]
    assert (node["position"], node["sound"]) == ({"uuid": UUID, "seqno": 7}, False)


def test_data_that_cannot_be_read_is_an_unknown_position(bring, host):
    host.position = None
    assert bring("stopped")["node"]["error"] == (
        "its data cannot be read: galera_recovery failed (1): the log is corrupt"
    )


def test_half_copied_data_has_no_position(bring, host):
    (host.data / "sst_in_progress").touch()
    node = bring("stopped")["node"]
    assert (node["partial"], node["position"]) == (True, None)


def test_the_last_snapshots_are_kept_and_the_disk_is_not_filled(bring, host, monkeypatch):
    (host.data / "skywright").mkdir()
    for name in ("20260101T000000Z", "20260102T000000Z", "20260103T000000Z"):
        (host.snapshots / name).mkdir(parents=True)
    bring("stopped")
    kept = sorted(path.name for path in host.snapshots.iterdir())
    assert (len(kept), kept[0]) == (2, "20260103T000000Z")
    usage = galera_node.shutil.disk_usage(host.snapshots)
    (host.data / "ibdata1").write_bytes(b"x" * 100)
    monkeypatch.setattr(galera_node.shutil, "disk_usage", lambda _path: usage._replace(free=199))
    assert bring("stopped")["snapshot"].startswith("none, because the disk needs")


def test_beginning_writes_the_position_down_where_its_mark_was_lost(bring, host):
    assert bring("bootstrapped", position={"uuid": UUID, "seqno": 7})["node"]["primary"]
    assert (host.data / "grastate.dat").read_text() == state_text(UUID)
    assert host.sent == ["reset-failed", "bootstrap"]
    assert not bring("bootstrapped", position={"uuid": UUID, "seqno": 7})["changed"]


def test_a_new_configuration_restarts_the_node_once(bring, host, monkeypatch):
    host.runs()
    assert not bring("current", peers=["10.0.0.2"])["changed"]
    host.configuration.write_text("b")
    assert bring("joined")["stale"]
    monkeypatch.setattr(galera_cluster, "answers", lambda peer: True)
    answer = bring("current", peers=["10.0.0.2"])
    assert (answer["changed"], answer["stale"]) == (True, False)
    assert host.sent == ["stop", "reset-failed", "start"]


def test_no_node_is_restarted_while_another_is_away(bring, host, monkeypatch):
    host.runs()
    host.configuration.write_text("b")
    monkeypatch.setattr(galera_cluster, "answers", lambda peer: peer != "10.0.0.3")
    answer = bring("current", peers=["10.0.0.2", "10.0.0.3"])
    assert answer["failed"]
    assert "not synced: 10.0.0.3" in answer["msg"]
    assert host.sent == []


def test_the_only_node_is_restarted_as_the_beginning_of_its_cluster(bring, host):
    host.runs()
    host.configuration.write_text("b")
    assert bring("current")["changed"]
    assert host.sent == ["stop", "reset-failed", "bootstrap"]


def test_info_touches_nothing(run_module, host):
    host.runs()
    (host.data / "skywright").mkdir()
    answer = run_module(galera_info.main, {"name": "controller1"})
    assert not answer["changed"]
    node = answer["node"]
    assert (node["primary"], node["synced"], node["uuid"], node["databases"]) == (True, True, UUID, ["skywright"])
    assert host.sent == []


def test_info_of_a_frozen_server_says_so(run_module, host):
    host.runs()
    host.frozen = True
    node = run_module(galera_info.main, {"name": "controller1"})["node"]
    assert (node["primary"], node["error"]) == (False, "its server runs but does not answer: timed out")
