"""The guest reads JSON with awk alone: any text that users may write must come out as data."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.guest_programs import AWKS, PROGRAMS, json_lines, shell

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
    "12 -7",
    "true",
]


def read(text: str, awk: list[str]) -> list[tuple[str, str]]:
    return [tuple(line.split(" ", 1)) for line in json_lines(text, awk).splitlines()]  # type: ignore[misc]


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The lines that json.awk is to print: [(path, value)]."""
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            step = re.sub(rb"[^A-Za-z0-9_-]", b"?", str(key).encode()).decode()
            yield from flat(entry, f"{path}.{step}" if path else step)
    elif isinstance(value, str):
        yield path, f'"{value}'
    elif value is not None and not isinstance(value, bool):
        yield path, str(value)


def document(value: str) -> dict[str, Any]:
    return {
        "uuid": "5f4c",
        "meta": {"hostname": value, value: "x", "public_keys": {"k": value}},
        "hostname": value,
        "keys": [{"name": value, "data": value}, [], {}, [value, [1, -2.5e3], None, value]],
        "public_keys": {value: value, "second" + value: "ssh-ed25519 AAAA"},
        "launch_index": 0,
        "admin_pass": value,
        "devices": [],
        "nothing": None,
        "true": True,
        "last": 1500,
    }


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("value", HOSTILE)
def test_reads_what_json_says(value: str, indent: int | None, ascii_only: bool, awk: list[str]) -> None:
    wanted = document(value)
    assert read(json.dumps(wanted, indent=indent, ensure_ascii=ascii_only), awk) == list(flat(wanted))


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize("value", ["one\ntwo", "one\rtwo", "one\u0000two", "one\u007ftwo", "one\u001btwo"])
def test_no_value_becomes_a_second_line(value: str, awk: list[str]) -> None:
    fields = read(json.dumps({"hostname": value, "public_keys": {"k": value}}), awk)
    assert fields == [("hostname", '"onetwo'), ("public_keys.k", '"onetwo')]


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
def test_no_key_becomes_another_path(awk: list[str]) -> None:
    fields = read(json.dumps({"meta.x": "a", "a b": {"c.d": "e"}, 'uuid "f': "g"}), awk)
    assert fields == [("meta?x", '"a'), ("a?b.c?d", '"e'), ("uuid??f", '"g')]


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
def test_agrees_with_json_on_random_text(awk: list[str]) -> None:
    dice = random.Random(7)
    alphabet = "\"\\/{}[]:, u0ab'$`é東😀"
    for _ in range(150):
        wanted = document("".join(dice.choices(alphabet, k=dice.randrange(1, 40))))
        assert read(json.dumps(wanted, ensure_ascii=dice.random() < 0.5), awk) == list(flat(wanted))


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize("text", ["", "[]", '"hostname"', "not json 7", "7", "]]}}", '{"hostname', "{]}[7"])
def test_other_documents_have_no_fields(text: str, awk: list[str]) -> None:
    assert read(text, awk) == []


@pytest.mark.parametrize("value", HOSTILE)
def test_the_guest_takes_the_fields_of_its_instance(value: str, tmp_path: Path) -> None:
    fields = tmp_path / "fields"
    fields.write_text(json_lines(json.dumps(document(value)), AWKS[-1]))
    for path, found in (
        ("uuid", ["5f4c"]),
        ("hostname", [value]),
        ("admin_pass", [value]),
        (r"public_keys\.[^. ]*", [value, "ssh-ed25519 AAAA"]),
        ("launch_index", []),
    ):
        script = f". {PROGRAMS}/instance.sh; fields={fields}; field '{path}'"
        assert shell(script).splitlines() == found
