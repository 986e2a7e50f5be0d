"""`/v3/services` and `/v3/endpoints`: the contents of the catalog.
https://docs.openstack.org/api-ref/identity/v3/#service-catalog-and-endpoints
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.directory import has_unknown_placeholders
from skywright.db.identity import Endpoint, Region, Service
from skywright.http import BadRequest, Context, Router
from skywright.http.bodies import Omittable, Strict
from skywright.services.identity.common import Body, Description, Id, Name, change_extra, exists, flush, link, reads
from skywright.services.identity.listing import page
from skywright.services.identity.regions import RegionId

router = Router()


def _fillable(url: str) -> str:
    if has_unknown_placeholders(url):
        raise ValueError(f"Cannot create an endpoint with an invalid URL: {url}.")
    return url


Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048, pattern=r"^[a-zA-Z0-9+.-]+:[^\x00]+$"),
    AfterValidator(_fillable),
]
Label = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]
Interface = Literal["public", "internal", "admin"]


class NewService(Body):
    type: Name
    name: Label | None = None  # openstackclient sends null for no name
    description: Description | None = None
    enabled: bool = True


class ServiceChange(Body):
    type: Omittable[Name] = None
    name: Label | None = None
    description: Description | None = None
    enabled: Omittable[bool] = None


class NewEndpoint(Body):
    service_id: Id
    interface: Interface
    url: Url
    region_id: RegionId | None = None
    region: RegionId | None = None
    name: Omittable[Label] = None
    enabled: bool = True


class EndpointChange(Body):
    service_id: Omittable[Id] = None
    interface: Omittable[Interface] = None
    url: Omittable[Url] = None
    region_id: RegionId | None = None
    region: RegionId | None = None
    name: Omittable[Label] = None
    enabled: Omittable[bool] = None


class CreateService(Strict):
    service: NewService


class UpdateService(Strict):
    service: ServiceChange


class CreateEndpoint(Strict):
    endpoint: NewEndpoint


class UpdateEndpoint(Strict):
    endpoint: EndpointChange


def _view_service(context: Context, row: Service) -> dict[str, Any]:
    shown = {
        **row.extra,
        "id": row.id,
        "type": row.type,
        "enabled": row.enabled,
        "links": link(context, f"services/{row.id}"),
    }
    return shown | {name: getattr(row, name) for name in ("name", "description") if getattr(row, name) is not None}


def _view_endpoint(context: Context, row: Endpoint) -> dict[str, Any]:
    shown = {
        **row.extra,
        "id": row.id,
        "service_id": row.service_id,
        "interface": row.interface,
        "url": row.url,
        "region": row.region_id,
        "region_id": row.region_id,
        "enabled": row.enabled,
        "links": link(context, f"endpoints/{row.id}"),
    }
    return shown | ({"name": row.name} if row.name is not None else {})


@reads(router, "/v3/services", "identity:list_services")
def list_services(context: Context) -> dict[str, Any]:
    filters = {"type": Service.type, "name": Service.name}
    return page(context, "services", select(Service), _view_service, order=(Service.type, Service.id), filters=filters)


@router.operation("POST", "/v3/services", policy="identity:create_service", status=201)
def create_service(context: Context, body: CreateService) -> dict[str, Any]:
    wanted = body.service
    row = Service(
        type=wanted.type,
        name=wanted.name,
        description=wanted.description,
        enabled=wanted.enabled,
        extra=wanted.unknown,
    )
    context.db.add(row)
    flush(context.db, "service")
    return {"service": _view_service(context, row)}


@reads(router, "/v3/services/{service_id}", "identity:get_service")
def show_service(context: Context, service_id: str) -> dict[str, Any]:
    return {"service": _view_service(context, _service(context.db, service_id))}


@router.operation("PATCH", "/v3/services/{service_id}", policy="identity:update_service")
def update_service(context: Context, service_id: str, body: UpdateService) -> dict[str, Any]:
    row, wanted = _service(context.db, service_id), body.service
    for name, value in wanted.given().items():
        setattr(row, name, value)
    change_extra(row, wanted)
    return {"service": _view_service(context, row)}


@router.operation("DELETE", "/v3/services/{service_id}", policy="identity:delete_service", status=204)
def delete_service(context: Context, service_id: str) -> None:
    context.db.delete(_service(context.db, service_id))


@reads(router, "/v3/endpoints", "identity:list_endpoints")
def list_endpoints(context: Context) -> dict[str, Any]:
    filters = {"interface": Endpoint.interface, "service_id": Endpoint.service_id, "region_id": Endpoint.region_id}
    filters["region"] = Endpoint.region_id
    return page(context, "endpoints", select(Endpoint), _view_endpoint, order=(Endpoint.id,), filters=filters)


@router.operation("POST", "/v3/endpoints", policy="identity:create_endpoint", status=201)
def create_endpoint(context: Context, body: CreateEndpoint) -> dict[str, Any]:
    wanted = body.endpoint
    _check(context.db, wanted.service_id)
    row = Endpoint(
        service_id=wanted.service_id,
        interface=wanted.interface,
        url=wanted.url,
        region_id=_region(context.db, wanted),
        name=wanted.name,
        enabled=wanted.enabled,
        extra=wanted.unknown,
    )
    context.db.add(row)
    flush(context.db, "endpoint")
    return {"endpoint": _view_endpoint(context, row)}


@reads(router, "/v3/endpoints/{endpoint_id}", "identity:get_endpoint")
def show_endpoint(context: Context, endpoint_id: str) -> dict[str, Any]:
    row = exists(context.db.get(Endpoint, endpoint_id), "endpoint", endpoint_id)
    return {"endpoint": _view_endpoint(context, row)}


@router.operation("PATCH", "/v3/endpoints/{endpoint_id}", policy="identity:update_endpoint")
def update_endpoint(context: Context, endpoint_id: str, body: UpdateEndpoint) -> dict[str, Any]:
    row, wanted = exists(context.db.get(Endpoint, endpoint_id), "endpoint", endpoint_id), body.endpoint
    if wanted.service_id is not None:
        _check(context.db, wanted.service_id)
    if {"region", "region_id"} & wanted.model_fields_set:
        row.region_id = _region(context.db, wanted)
    for name, value in wanted.given().items():
        if name not in ("region", "region_id"):
            setattr(row, name, value)
    change_extra(row, wanted)
    flush(context.db, "endpoint")
    return {"endpoint": _view_endpoint(context, row)}


@router.operation("DELETE", "/v3/endpoints/{endpoint_id}", policy="identity:delete_endpoint", status=204)
def delete_endpoint(context: Context, endpoint_id: str) -> None:
    context.db.delete(exists(context.db.get(Endpoint, endpoint_id), "endpoint", endpoint_id))


def _service(session: Session, service_id: str) -> Service:
    return exists(session.get(Service, service_id), "service", service_id)


def _check(session: Session, service_id: str) -> None:
    """Raise BadRequest, not NotFound, if the service of an endpoint does not exist: the id is part of the body."""
    if session.get(Service, service_id) is None:
        raise BadRequest(f"Could not find service: {service_id}.")


def _region(session: Session, wanted: NewEndpoint | EndpointChange) -> str | None:
    """Return the region of an endpoint: `region_id` must exist; the region in the old `region` is created if needed."""
    if wanted.region_id is not None:
        if session.get(Region, wanted.region_id) is None:
            raise BadRequest(f"Could not find region: {wanted.region_id}.")
        return wanted.region_id
    if wanted.region is not None and session.get(Region, wanted.region) is None:
        session.add(Region(id=wanted.region))
        flush(session, "region")
    return wanted.region
