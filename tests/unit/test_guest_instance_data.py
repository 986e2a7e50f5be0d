"""The guest reads meta_data.json with awk alone: any text that users may write must come out as data."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

READER = Path(__file__).parents[2] / "roles/guest_image/files/root/usr/lib/skywright/instance.awk"
AWKS = [["awk"], *([["busybox", "awk"]] if shutil.which("busybox") else [])]
HOSTILE = [
    "$(reboot)",
    "`reboot`; reboot",
    "{{ lookup('pipe','touch /tmp/pwned') }}",
    '"><x>',
    '\\", "hostname": "other',
    "-rf",
    "back\\slash\\\\",
    'ends with a quote"',
    "ends with a backslash\\",
    "brackets }]{[ and : , colons",
    "ünï cödé 東京 😀",
    "é" * 255,
    "",
    "%s %n",
    "/slash",
]


def read(text: str, awk: list[str]) -> list[tuple[str, str]]:
    done = subprocess.run(
        [*awk, "-f", READER], input=text.encode(), capture_output=True, check=True, env={"LC_ALL": "C"}
    )
    assert done.stderr == b""
    return [tuple(line.split(" ", 1)) for line in done.stdout.decode().splitlines()]  # type: ignore[misc]


def document(value: str) -> dict[str, object]:
    return {
        "uuid": "5f4c",
        "meta": {"hostname": value, value: "x", "public_keys": {"k": value}},
        "hostname": value,
        "keys": [{"name": value, "data": value}],
        "public_keys": {value: value, "second" + value: "ssh-ed25519 AAAA"},
        "launch_index": 0,
        "admin_pass": value,
        "devices": [],
        "nothing": None,
    }


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("value", HOSTILE)
def test_reads_what_json_says(value: str, indent: int | None, ascii_only: bool, awk: list[str]) -> None:
    assert read(json.dumps(document(value), indent=indent, ensure_ascii=ascii_only), awk) == [
        ("uuid", "5f4c"),
        ("hostname", value),
        ("key", value),
        ("key", "ssh-ed25519 AAAA"),
        ("password", value),
    ]


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize("value", ["one\ntwo", "one\rtwo", "one\u0000two", "one\u007ftwo", "one\u001btwo"])
def test_no_value_becomes_a_second_line(value: str, awk: list[str]) -> None:
    fields = read(json.dumps({"hostname": value, "public_keys": {"k": value}}), awk)
    assert fields == [("hostname", "onetwo"), ("key", "onetwo")]


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
def test_agrees_with_json_on_random_text(awk: list[str]) -> None:
    dice = random.Random(7)
    alphabet = "\"\\/{}[]:, u0ab'$`é東😀"
    for _ in range(150):
        value = "".join(dice.choices(alphabet, k=dice.randrange(1, 40)))
        fields = read(json.dumps(document(value), ensure_ascii=dice.random() < 0.5), awk)
        assert fields[1] == ("hostname", value)
        assert len(fields) == 5


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize("text", ["", "[]", '["hostname"]', '"hostname"', "not json", '{"hostname": 7}', '{"hostname'])
def test_other_documents_have_no_fields(text: str, awk: list[str]) -> None:
    assert read(text, awk) == []
