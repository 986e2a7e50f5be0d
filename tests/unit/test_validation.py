"""Messages of invalid documents, in the format of the library `jsonschema`."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from skywright.http.bodies import EmptyIfNull, Omittable, misfit, only_empty
from skywright.validation import ARRAY, BOOLEAN, INTEGER, JSON_SCHEMA, NUMBER, OBJECT, TEXT, mistakes, mistakes_in

PYDANTIC = ("Input should", "String should", "validation error", "Extra inputs", "Field required", "should have")


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: Annotated[str, Field(pattern="^[a-z]+$")]
    count: Omittable[int] = None


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(min_length=1, max_length=5)]
    size: Omittable[Annotated[int, Field(ge=1, le=9)]] = None
    ratio: Omittable[Annotated[float, Field(gt=0, lt=1)]] = None
    on: bool = False
    kind: Omittable[Literal["a", "b"]] = None
    parts: Omittable[list[Part] | Literal["auto", "none"]] = None
    items: EmptyIfNull[Annotated[list[str], Field(max_length=2)]] = []
    labels: dict[Annotated[str, Field(pattern="^x")], str] = {}
    password: Omittable[str] = None
    groups: Annotated[list[Any], only_empty("This cloud has no groups yet.")] = []
    either: Omittable[str | bool] = None


def found(body: Any) -> list[tuple[tuple[Any, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(body)
    return [(mistake.path, mistake.message()) for mistake in mistakes_in(caught.value, body)]


@pytest.mark.parametrize(
    ("field", "path", "message"),
    [
        ({"name": 5}, ("name",), "5 is not of type 'string'"),
        ({"name": None}, ("name",), "None is not of type 'string'"),
        ({"name": ""}, ("name",), "'' is too short"),
        ({"name": "abcdef"}, ("name",), "'abcdef' is too long"),
        ({"size": "5"}, ("size",), "'5' is not of type 'integer'"),
        ({"size": None}, ("size",), "None is not of type 'integer'"),
        ({"size": 0}, ("size",), "0 is less than the minimum of 1"),
        ({"size": 10}, ("size",), "10 is greater than the maximum of 9"),
        ({"ratio": "x"}, ("ratio",), "'x' is not of type 'number'"),
        ({"ratio": 0}, ("ratio",), "0 is less than or equal to the minimum of 0.0"),
        ({"ratio": 1}, ("ratio",), "1 is greater than or equal to the maximum of 1.0"),
        ({"on": "yes"}, ("on",), "'yes' is not of type 'boolean'"),
        ({"kind": "c"}, ("kind",), "'c' is not one of ['a', 'b']"),
        ({"kind": None}, ("kind",), "None is not one of ['a', 'b']"),
        ({"parts": 5}, ("parts",), "5 is not valid under any of the given schemas"),
        ({"parts": None}, ("parts",), "None is not valid under any of the given schemas"),
        ({"parts": [{}]}, ("parts", 0), "'code' is a required property"),
        ({"parts": [{"code": "1"}]}, ("parts", 0, "code"), "'1' does not match '^[a-z]+$'"),
        ({"parts": [{"code": "a"}, 5]}, ("parts", 1), "5 is not of type 'object'"),
        ({"parts": [{"code": "a", "more": 1}]}, ("parts", 0),
         "Additional properties are not allowed ('more' was unexpected)"),
        ({"items": ["a", "b", "c"]}, ("items",), "['a', 'b', 'c'] is too long"),
        ({"items": ["a", 5]}, ("items", 1), "5 is not of type 'string'"),
        ({"items": "a"}, ("items",), "'a' is not of type 'array'"),
        ({"labels": {"y": "1"}}, ("labels",), "'y' does not match '^x'"),
        ({"labels": {"x": 1}}, ("labels", "x"), "1 is not of type 'string'"),
        ({"labels": []}, ("labels",), "[] is not of type 'object'"),
        ({"password": 12345}, ("password",), "'***' is not of type 'string'"),
        ({"groups": ["g"]}, ("groups",), "This cloud has no groups yet."),
        ({"groups": None}, ("groups",), "None is not of type 'array'"),
        ({"either": 5}, ("either",), "5 is not valid under any of the given schemas"),
        ({"more": 1}, (), "Additional properties are not allowed ('more' was unexpected)"),
    ],
)  # fmt: skip
def test_messages(field: dict[str, Any], path: tuple[Any, ...], message: str) -> None:
    assert found({"name": "n"} | field) == [(path, message)]


def test_null_can_be_an_empty_list() -> None:
    assert Whole.model_validate({"name": "n", "items": None}).items == []


def test_documents_that_are_no_objects_or_incomplete() -> None:
    assert found([]) == [((), "[] is not of type 'object'")]
    assert found({}) == [((), "'name' is a required property")]
    assert found({"more": 1}) == [
        ((), "'name' is a required property"),
        ((), "Additional properties are not allowed ('more' was unexpected)"),
    ]


def test_values_are_shortened_and_secrets_hidden() -> None:
    ((_, message),) = found({"name": "x" * 10_000})
    assert len(message) < 150
    nested: Any = "secret"
    for _ in range(400):
        nested = {"password": "hidden", "deep": [nested]}
    ((_, message),) = found({"name": nested})
    assert len(message) < 500
    assert "hidden" not in message
    ((_, message),) = found({"name": "n", "y" * 500: 1})
    assert len(message) < 300


def test_only_a_few_names_are_listed() -> None:
    assert len(found({"name": "n"} | {f"more{number}": 1 for number in range(100)})) == 5


def test_messages_of_formats() -> None:
    with pytest.raises(ValidationError) as caught:
        _model_of(misfit("uuid")).model_validate({"value": "x"})
    assert [each.message() for each in mistakes_in(caught.value, {"value": "x"})] == ["'x' is not a 'uuid'"]


def _model_of(error: Exception) -> type[BaseModel]:
    def fail(value: str) -> str:
        raise error

    return create_model("Model", value=(Annotated[str, AfterValidator(fail)], ...))


def test_every_error_of_pydantic_has_a_message() -> None:
    unknown = {"loc": ("body", "a"), "type": "brand_new", "msg": "Input should be nice", "input": 1}
    (mistake,) = mistakes([unknown], {"body": {"a": 1}})
    assert mistake.message() == "1 is not valid"


@pytest.mark.parametrize("text", [JSON_SCHEMA[kind] for kind in (*TEXT, *INTEGER, *NUMBER, *BOOLEAN, *ARRAY, *OBJECT)])
def test_no_message_is_pydantics(text: str) -> None:
    assert not any(words in text for words in PYDANTIC)
