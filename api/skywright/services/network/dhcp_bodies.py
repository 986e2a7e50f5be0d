"""Extra DHCP options in request bodies."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from skywright.errors import lacking
from skywright.http.bodies import Strict
from skywright.services.network import dhcp_options


def _option_name(name: str) -> str:
    if dhcp_options.code_of(name) is None:
        raise ValueError(f"'{name}' is no DHCP option that a port may have.")
    return name


def _option_value(value: str) -> str:
    # A configuration file has it: no line breaks, nothing that is syntax there.
    if not dhcp_options.VALUE.fullmatch(value):
        raise ValueError(f"{value!r} is no line of printable ASCII without quotation marks.")
    return value


def _ip_version(version: int) -> int:
    if version not in {4, 6}:
        raise ValueError(f"{version} is not in [4, 6].")
    if version == 6:
        raise ValueError(lacking("DHCPv6"))
    return version


class DhcpOption(Strict):
    """An extra DHCP option; null removes it."""

    opt_name: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_option_name)]
    opt_value: Annotated[str, Field(max_length=255), AfterValidator(_option_value)] | None
    ip_version: Annotated[int, AfterValidator(_ip_version)] = 4

    @model_validator(mode="after")
    def _has_value(self) -> Self:
        if not self.opt_value and self.opt_value is not None and self.opt_name not in dhcp_options.MAY_BE_EMPTY:
            raise ValueError(f"Option '{self.opt_name}' needs a value.")
        return self
