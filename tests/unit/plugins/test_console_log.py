import pytest
from ansible_collections.skywright.cloud.plugins.modules import console_log

SERVER = "0a0b0c0d-0000-4000-8000-000000000004"


@pytest.fixture
def log(tmp_path):
    (tmp_path / SERVER).mkdir()
    path = tmp_path / SERVER / "console.log"
    path.write_bytes(b"one\r\ntwo\nthree\xff\nlogin: ")
    return path


@pytest.mark.parametrize(
    ("length", "output"),
    [
        (None, "one\r\ntwo\nthree\ufffd\nlogin: "),
        (2, "three\ufffd\nlogin: "),
        (99, "one\r\ntwo\nthree\ufffd\nlogin: "),
        (0, ""),
    ],
)
def test_gives_the_last_lines(run_module, log, tmp_path, length, output):
    args = {"servers": [{"id": SERVER, "length": length}], "directory": str(tmp_path)}
    answer = run_module(console_log.main, args)
    assert answer["by_id"][SERVER] == {"id": SERVER, "changed": False, "output": output}


def test_reads_a_bounded_end(run_module, log, tmp_path):
    args = {"servers": [{"id": SERVER}], "directory": str(tmp_path), "max_bytes": 7}
    assert run_module(console_log.main, args)["by_id"][SERVER]["output"] == "login: "


def test_missing_logs_and_strange_ids_are_empty(run_module, log, tmp_path):
    other = "0a0b0c0d-0000-4000-8000-000000000005"
    strange = f"{SERVER}/../{SERVER}"
    args = {"servers": [{"id": other}, {"id": strange}], "directory": str(tmp_path)}
    answer = run_module(console_log.main, args)
    assert [result["output"] for result in answer["results"]] == ["", ""]
