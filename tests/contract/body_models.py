"""The models of all request bodies: those of routes, and those that routes with an untyped body choose from."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from skywright.services import registry
from skywright.services.compute import server_action_bodies
from skywright.services.network import port_forwardings, schemas
from skywright.services.network.address_scopes import SCOPES
from skywright.services.network.qos_bodies import BODIES
from skywright.services.network.rbac_policies import POLICIES
from skywright.services.network.router_schemas import (
    ExtraRoutes,
    PortForwardingCreate,
    PortForwardingUpdate,
    RouterInterface,
)
from skywright.services.network.tags import RESOURCES

Model = type[BaseModel]
QOS = "/v2.0/qos"
NETWORKING = (*RESOURCES, SCOPES, POLICIES)
ACTIONS = ("add", "remove")
# Routes that accept any object and validate it themselves.
CHOOSE = {
    "compute POST /v2.1/servers/{server_id}/action": [
        each
        for each in vars(server_action_bodies).values()
        if getattr(each, "__module__", "") == server_action_bodies.__name__
    ],
    "network PUT /v2.0/quotas/{project_id}": [schemas.Quota],
    **{f"network PUT /v2.0/routers/{{identifier}}/{action}_router_interface": [RouterInterface] for action in ACTIONS},
    **{f"network PUT /v2.0/routers/{{identifier}}/{action}_extraroutes": [ExtraRoutes] for action in ACTIONS},
    f"network POST {port_forwardings.ALL}": [PortForwardingCreate],
    f"network PUT {port_forwardings.ONE}": [PortForwardingUpdate],
    **{f"network POST {each.path}": [each.create_schema] for each in NETWORKING},
    **{f"network PUT {each.path}/{{identifier}}": [each.update_schema] for each in NETWORKING},
    **{f"network PUT {each.path}/{{identifier}}/tags": [schemas.Tags] for each in RESOURCES},
    **{f"network POST {each.path}/{{identifier}}/tags": [schemas.Tags] for each in RESOURCES},
    **{f"network POST {QOS}/policies/{{policy_id}}/{kind}_rules": [new] for kind, (new, _) in BODIES.items()},
    **{
        f"network PUT {QOS}/policies/{{policy_id}}/{kind}_rules/{{identifier}}": [changed]
        for kind, (_, changed) in BODIES.items()
    },
    **{f"network PUT {QOS}/alias_{kind}_rules/{{identifier}}": [changed] for kind, (_, changed) in BODIES.items()},
}


def routes() -> Iterator[tuple[str, Any]]:
    """Yield (`compute POST /v2.1/servers`, the type of its body) for each route whose body FastAPI reads."""
    for service in registry.services():
        for route in (route for router in service.routers for route in router.routes):
            body = getattr(getattr(route, "dependant", None), "body_params", None)
            for method in sorted(getattr(route, "methods", None) or ()) if body else ():
                yield f"{service.type} {method} {route.path}", body[0].field_info.annotation


def fields() -> dict[str, tuple[Model, str]]:
    """{`compute.NewServer.imageRef`: (the model, the field's name in bodies)}."""
    found: dict[str, tuple[Model, str]] = {}
    for name, kind in routes():
        service = name.partition(" ")[0]
        for model in (each for root in CHOOSE.get(name, [kind]) for each in _models(root)):
            names = (field.alias or name for name, field in model.model_fields.items())
            found |= {f"{service}.{model.__name__}.{each}": (model, each) for each in names}
    return found


def _models(kind: Any) -> Iterator[Model]:
    """Yield the models in a type, each with the models of its fields."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation)
    for part in get_args(kind):
        yield from _models(part)


def takes_null(model: Model, name: str) -> bool:
    """Whether the field may be null; other errors of a body with only this field are ignored."""
    try:
        model.model_validate({name: None})
    except ValidationError as error:
        return not any(item["loc"][0] == name for item in error.errors() if item["loc"])
    return True
