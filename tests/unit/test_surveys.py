"""Surveys: their format, and values that match them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from skywright.services.operations.automation import surveys
from skywright.services.operations.automation.surveys import BadSurvey, BadValue, NoPlaybook, Survey

OPTIONS = {
    "url": {"required": True, "pattern": "https://[a-z.]+/.*", "max": 40},
    "size": {"type": "int", "min": 1, "max": 9, "default": 3},
    "force": {"type": "bool"},
    "kind": {"choices": ["small", "large"], "default": "small"},
    "password": {"no_log": True, "min": 8},
}


def write(directory: Path, options: Any, name: str = "refresh") -> None:
    (directory / f"{name}.yml").write_text("---\n")
    specs = {"argument_specs": {"main": {"short_description": "Do it.", "options": options}}}
    (directory / f"{name}.survey.yml").write_text(yaml.safe_dump(specs))


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    write(tmp_path, OPTIONS)
    return surveys.load(tmp_path, "refresh")


def test_values_are_checked_and_completed(survey: Survey) -> None:
    given = {"url": "https://example.org/x", "force": True, "password": "{{ secret }}"}
    assert survey.values(given) == {**given, "size": 3, "kind": "small"}
    assert survey.secrets == {"password"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": None}, "url is required"),
        ({"url": 7}, "url must be a text"),
        ({"url": "http://example.org/"}, "url must be like https"),
        ({"url": "https://example.org/\nX"}, "url must be like https"),
        ({"url": "https://example.org/" + "x" * 40}, "url must be of length at most 40"),
        ({"url": "https://example.org/\x00"}, "none of them a control character"),
        ({"url": "x" * 5000}, "at most 4096 characters"),
        ({"size": True}, "size must be a whole number"),
        ({"size": "3"}, "size must be a whole number"),
        ({"size": 3.0}, "size must be a whole number"),
        ({"size": 10}, "size must be at least 1 and at most 9"),
        ({"force": "yes"}, "force must be true or false"),
        ({"kind": "huge"}, "kind must be one of small, large"),
        ({"kind": ["small"]}, "kind must be a text"),
        ({"password": "short"}, "password must be of length at least 8"),
        ({"ansible_connection": "local"}, "ansible_connection is not a variable of this playbook"),
        ({"{{ x }}": 1}, "is not a variable of this playbook"),
    ],
)
def test_values_that_do_not_match_are_refused_with_the_reason(
    survey: Survey, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadValue) as raised:
        survey.values({"url": "https://example.org/", **given})
    assert message in str(raised.value)
    assert "short" not in str(raised.value)


def test_all_problems_are_reported_at_once(survey: Survey) -> None:
    with pytest.raises(BadValue, match=r"extra is not a variable.*size must be.*url is required"):
        survey.values({"extra": 1, "size": 0})


@pytest.mark.parametrize(
    "options",
    [
        {"a": {"type": "list"}},
        {"a": {"type": "int", "default": "1"}},
        {"a": {"default": "x", "choices": ["y"]}},
        {"a": {"pattern": "("}},
        {"a": {"surprise": 1}},
        {"ansible_host": {}},
        {"skywright_items": {}},
        {"A b": {}},
        ["a"],
    ],
)
def test_invalid_surveys_are_refused(tmp_path: Path, options: Any) -> None:
    write(tmp_path, options)
    with pytest.raises(BadSurvey, match=r"^refresh.survey.yml: "):
        surveys.load(tmp_path, "refresh")


@pytest.mark.parametrize("content", ["", "[", "argument_specs: 1", "!!python/object/apply:os.system [id]", "a: b"])
def test_invalid_survey_files_are_refused(tmp_path: Path, content: str) -> None:
    write(tmp_path, {})
    (tmp_path / "refresh.survey.yml").write_text(content)
    with pytest.raises(BadSurvey):
        surveys.load(tmp_path, "refresh")


@pytest.mark.parametrize(
    "name", ["none", "../refresh", "refresh.yml", "", ".", "refresh\n", "refresh.survey", "x" * 51]
)
def test_names_are_no_paths(tmp_path: Path, name: str) -> None:
    write(tmp_path / "..", {}, "outside")
    write(tmp_path, {})
    with pytest.raises(NoPlaybook):
        surveys.load(tmp_path, name)
    (tmp_path / "Bad Name.yml").touch()
    assert surveys.names(tmp_path) == ["refresh"]


def test_a_playbook_without_a_survey_takes_no_variables(tmp_path: Path) -> None:
    (tmp_path / "plain.yml").write_text("---\n")
    assert surveys.load(tmp_path, "plain").values({}) == {}
    with pytest.raises(BadValue):
        surveys.load(tmp_path, "plain").values({"x": 1})


def test_the_included_surveys_are_valid() -> None:
    directory = Path("playbooks/operator")
    assert surveys.names(directory)
    for name in surveys.names(directory):
        assert surveys.load(directory, name).options
