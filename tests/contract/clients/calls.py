"""The calls of the installed openstacksdk."""

import inspect
import types
import warnings
from typing import Any

from openstack.connection import Connection
from openstack.proxy import Proxy

SERVICES = ("compute", "identity", "image", "network")


def calls(connection: Connection, service: str) -> set[str]:
    """Return the public methods of the service's proxy."""
    proxy = type(getattr(connection, service))
    return {
        name
        for name in dir(proxy)
        if not name.startswith("_") and not hasattr(Proxy, name) and callable(getattr(proxy, name))
    }


def call(connection: Connection, service: str, text: str, names: dict[str, Any]) -> Any:
    """Return the result of *text*. Arguments may name earlier results; without any, required ones are made up."""
    proxy = getattr(connection, service)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation warnings of the client
        if "(" in text:
            result = eval(f"proxy.{text}", {"proxy": proxy, **names})
        else:
            method = getattr(proxy, text)
            result = method(**_arguments(method))
        return list(result) if isinstance(result, types.GeneratorType) else result


def _arguments(method: Any) -> dict[str, Any]:
    """Return made-up values for the required arguments of *method*."""
    parameters = inspect.signature(method).parameters.values()
    needed: dict[str, Any] = {
        parameter.name: "x"
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    names = [parameter.name for parameter in parameters]
    if "ignore_missing" in names:
        needed["ignore_missing"] = False
    if "attrs" in names:  # without any change no request is sent
        needed |= {"name": "x", "description": "x"}
    return needed
