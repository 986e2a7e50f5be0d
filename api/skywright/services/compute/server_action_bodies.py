"""Arguments of server actions: `{"reboot": {"type": "SOFT"}}`."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, TypeAdapter

from skywright.http.bodies import Omittable, Strict, checked
from skywright.services.compute.errors import explain
from skywright.services.compute.validation import Integer, IpAddress, Reason

Model = TypeVar("Model", bound=BaseModel)


class Reboot(Strict):
    type: Literal["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


class Lock(Strict):
    locked_reason: Omittable[Reason] = None


class ResetState(Strict):
    state: Literal["active", "error"]


class ConsoleOutput(Strict):
    """The number of lines; -1 and null: all."""

    length: Annotated[Integer, Field(ge=-1)] | None = None


class VncConsole(Strict):
    type: Literal["novnc", "xvpvnc"]


class AddFloatingIp(Strict):
    address: IpAddress
    fixed_address: Omittable[IpAddress] = None


class RemoveFloatingIp(Strict):
    address: IpAddress


LOCK: TypeAdapter[Lock | None] = TypeAdapter(Lock | None)


def argument(schema: type[Model], name: str, value: Any) -> Model:
    """Return the *value* of the action *name*, validated by *schema*; raise BadRequest if it is not valid."""
    return checked(schema.model_validate, value, explain, name)


def lock_argument(value: Any) -> Lock:
    """Return the argument of `lock`. Since 2.73 it may have a reason."""
    return checked(LOCK.validate_python, value, explain, "lock") or Lock()
