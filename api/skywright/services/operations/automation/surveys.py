"""Operator playbooks and their surveys, which define the variables of a playbook and their types.

A survey `NAME.survey.yml` beside `NAME.yml` has the format of a role's argument_specs, with the additions `min`, `max`
(of a number, or of a text's length) and `pattern`; `no_log` marks a secret.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from skywright.validation import mistakes_in

NAME = r"^[a-z0-9][a-z0-9_-]{0,49}$"
SURVEY = ".survey.yml"
TEXT_LIMIT = 4096
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_TYPES: dict[str, tuple[type, str]] = {
    "str": (str, "a text"),
    "int": (int, "a whole number"),
    "bool": (bool, "true or false"),
}


def _refuse_reserved(name: str) -> str:
    """Refuse Ansible's own variables, which define how hosts are reached."""
    if name.startswith(("ansible_", "skywright_")):
        raise ValueError(f"{name} is reserved")
    return name


VariableName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,63}$"), AfterValidator(_refuse_reserved)]


class NoPlaybook(LookupError):
    """There is no operator playbook with that name."""


class BadSurvey(ValueError):
    """The survey is not valid."""


class BadValue(ValueError):
    """The variables do not match the survey."""


class Option(BaseModel):
    """A variable."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["str", "int", "bool"] = "str"
    description: str | list[str] = ""
    required: bool = False
    default: str | int | bool | None = None
    choices: list[str] | list[int] | None = None
    no_log: bool = False
    min: int | None = None
    max: int | None = None
    pattern: str | None = None

    @model_validator(mode="after")
    def _check_option(self) -> "Option":
        if self.pattern is not None:
            import re2  # noqa: PLC0415 - few surveys need it

            try:
                re2.compile(self.pattern)
            except re2.error as error:
                raise ValueError(f"{self.pattern!r} is not a regular expression") from error
        for value in (*(self.choices or ()), *(() if self.default is None else (self.default,))):
            problem = self.problem(value)
            if problem:
                raise ValueError(f"{value!r}: it must be {problem}")
        return self

    def problem(self, value: Any) -> str | None:
        """Return what *value* must be, or None if it is valid."""
        kind, name = _TYPES[self.type]
        return name if type(value) is not kind else self._requirement(value)  # a boolean is not a number

    def _requirement(self, value: Any) -> str | None:
        if self.choices is not None and value not in self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if isinstance(value, str) and (len(value) > TEXT_LIMIT or _CONTROL.search(value)):
            return f"at most {TEXT_LIMIT} characters, none of them a control character"
        size: int = len(value) if isinstance(value, str) else value
        if (self.min is not None and size < self.min) or (self.max is not None and size > self.max):
            return f"{'of length ' if isinstance(value, str) else ''}{self._range()}"
        return None if self.pattern is None else self._mismatch(self.pattern, str(value))

    @staticmethod
    def _mismatch(pattern: str, text: str) -> str | None:
        import re2  # noqa: PLC0415 - few surveys need it

        return None if re2.fullmatch(pattern, text) else f"like {pattern}"

    def _range(self) -> str:
        return " and ".join(
            text
            for text in (
                self.min is not None and f"at least {self.min}",
                self.max is not None and f"at most {self.max}",
            )
            if text
        )


class Survey(BaseModel):
    """The purpose of a playbook, and its variables."""

    model_config = ConfigDict(extra="forbid", strict=True)
    short_description: str = ""
    description: str | list[str] = ""
    options: dict[VariableName, Option] = Field({}, max_length=100)

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset(name for name, option in self.options.items() if option.no_log)

    def values(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return *given* with the defaults. Raises BadValue with all errors, without the given values."""
        mistakes = [f"{name} is not a variable of this playbook" for name in sorted(given.keys() - self.options.keys())]
        values = {}
        for name, option in self.options.items():
            value = given.get(name, option.default)
            if value is None:
                mistakes += [f"{name} is required"] if option.required else []
                continue
            problem = option.problem(value)
            mistakes += [f"{name} must be {problem}"] if problem else []
            values[name] = value
        if mistakes:
            raise BadValue("; ".join(mistakes))
        return values


def names(directory: Path) -> list[str]:
    """Return the names of all operator playbooks."""
    found = (path.name.removesuffix(".yml") for path in directory.glob("*.yml") if not path.name.endswith(SURVEY))
    return sorted(name for name in found if re.fullmatch(NAME, name))


def load(directory: Path, name: str) -> Survey:
    """Return the survey of the playbook *name*; an empty one if it has none."""
    if not re.fullmatch(NAME, name) or not (directory / f"{name}.yml").is_file():
        raise NoPlaybook(name)
    try:
        content = yaml.safe_load((directory / f"{name}{SURVEY}").read_text(encoding="utf-8"))
        return Survey.model_validate(content["argument_specs"]["main"])
    except FileNotFoundError:
        return Survey()
    except (OSError, UnicodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BadSurvey(f"{name}{SURVEY}: {type(error).__name__}: {error}") from error
    except ValidationError as error:
        found = mistakes_in(error, content["argument_specs"]["main"])
        where = "; ".join(f"{'.'.join(map(str, mistake.path))}: {mistake.message()}" for mistake in found)
        raise BadSurvey(f"{name}{SURVEY}: {where}") from error
