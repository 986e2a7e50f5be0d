"""Routers."""

from collections.abc import Sequence
from typing import Any

from skywright import http
from skywright.db import utcnow
from skywright.http import Conflict, Context, NotFound
from skywright.http.paging import Clause
from skywright.jobs.engine.submit import submit
from skywright.services.network import ipam, listing
from skywright.services.network.guard import Guard
from skywright.services.network.router_gateways import remove_gateway, set_gateway
from skywright.services.network.router_ports import GATEWAY, INTERFACE, ports_of, refresh
from skywright.services.network.router_routes import set_routes
from skywright.services.network.router_schemas import RouterCreate, RouterUpdate
from skywright.services.network.router_tables import Router
from skywright.services.network.standard import StandardResource, standard_columns
from skywright.services.network.tables import NetworkTag, Port
from skywright.services.network.targets import owned

router = http.Router()
SIMPLE = ("name", "description", "admin_state_up")
ON_HOST = {"admin_state_up", "external_gateway_info", "routes"}


class Routers(StandardResource[Router]):
    name, collection, label, model = "router", "routers", "Router", Router
    create_schema, update_schema = RouterCreate, RouterUpdate
    filters = listing.Listing(
        Router,
        "Router",
        tags=NetworkTag,
        columns={
            **standard_columns(Router),
            "admin_state_up": Router.admin_state_up,
            "status": Router.status,
            "enable_snat": Router.enable_snat,
        },
        constants={"ha": False, "distributed": False},
    )

    guard = Guard(
        "router",
        {"external_gateway_info": None, "ha": None, "distributed": None},
        {"external_gateway_info": ("network_id", "enable_snat", "external_fixed_ips")},
        hidden=("ha", "distributed"),
    )

    def missing(self, identifier: str) -> NotFound:
        return NotFound(f"Router {identifier} could not be found", kind="RouterNotFound")

    def deleted(self) -> Clause:
        return Router.deleted_at.is_not(None)

    def views(self, context: Context, rows: Sequence[Router]) -> list[dict[str, Any]]:
        ports = ports_of(context.db, [row.id for row in rows])
        return [_view(row, ports.get(row.id, [])) for row in rows]

    def create(self, context: Context, item: RouterCreate, project_id: str) -> Router:
        self.guard.authorize(context, owned(project_id), item)
        ipam.check_quota(context.db, project_id, self.name)
        row = Router(project_id=project_id, **item.given(*SIMPLE))
        context.db.add(row)
        context.db.flush()
        if item.external_gateway_info is not None:
            set_gateway(context, row, item.external_gateway_info)
        refresh(context, [row.id])
        return row

    def update(self, context: Context, row: Router, item: RouterUpdate) -> None:
        for name, value in item.given(*SIMPLE).items():
            setattr(row, name, value)
        gone = []
        if "routes" in item.model_fields_set:
            set_routes(context, row, [route.model_dump() for route in item.routes])
        if "external_gateway_info" in item.model_fields_set:
            info = item.external_gateway_info
            gone = remove_gateway(context, row) if info is None else set_gateway(context, row, info)
        if item.model_fields_set & ON_HOST:
            refresh(context, [row.id], gone)

    def delete(self, context: Context, row: Router) -> None:
        attached = [port for port in ports_of(context.db, [row.id]).get(row.id, []) if port.device_owner == INTERFACE]
        if attached:
            text = f"Router {row.id} has ports still attached: {', '.join(port.id for port in attached)}"
            raise Conflict(text, kind="RouterInUse")
        gone = remove_gateway(context, row)
        if not row.host:
            context.db.delete(row)
            return
        row.deleted_at = utcnow()
        arguments = {"router_id": row.id, "ports": gone}
        submit(context, "router", "delete", [("router", row.id)], arguments)


def _view(row: Router, ports: Sequence[Port]) -> dict[str, Any]:
    gateway = next((port for port in ports if port.device_owner == GATEWAY), None)
    return {
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "external_gateway_info": gateway and _gateway(row, gateway),
        "routes": row.routes,
        "enable_snat": row.enable_snat,
        "ha": False,
        "distributed": False,
    }


def _gateway(row: Router, port: Port) -> dict[str, Any]:
    return {
        "network_id": port.network_id,
        "enable_snat": row.enable_snat,
        "external_fixed_ips": [{"subnet_id": each.subnet_id, "ip_address": each.ip_address} for each in port.addresses],
    }


ROUTERS = Routers()
ROUTERS.register(router)
