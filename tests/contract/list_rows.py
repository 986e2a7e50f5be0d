"""Creates three or more rows in each list of every service."""

from typing import Any

from openstack.connection import Connection

from contract.compute_helpers import Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from contract.router_helpers import make, make_topology
from skywright.db import new_uuid, utcnow
from skywright.db.identity import AccessRule, ApplicationCredential, Credential, Policy, Project, Trust
from skywright.db.jobs import Job, JobResource
from skywright.db.overcloud import Overcloud
from skywright.db.schedules import Schedule, ScheduleRun
from skywright.db.webhooks import Delivery, Webhook
from skywright.services.image.tables import ImageMember, ImageTask

THREE = ("a", "b", "c")


def make_rows(api: Api) -> dict[str, str]:
    """Create the rows; return the id of a row with sublists for each part of a path that an id follows."""
    with api.connect() as admin:
        found = {"users": admin.current_user_id, "domains": "default"}
        found |= dict.fromkeys(("projects", "os-simple-tenant-usage"), admin.current_project_id)
        return found | _identity(api, admin) | _compute(api, admin) | _image(api, admin) | _operations(api, admin)


def _post(connection: Connection, url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = connection.session.post(url, json=body, raise_exc=False)
    assert answer.ok, answer.text
    found: dict[str, Any] = next(iter(answer.json().values()))
    return found


def _identity(api: Api, admin: Connection) -> dict[str, str]:
    base, me, project = f"{api.url}/identity/v3", admin.current_user_id, admin.current_project_id
    made: dict[str, list[str]] = {}
    for name in THREE:
        for kind, more in (
            ("domain", {}),
            ("user", {"domain_id": "default"}),
            ("group", {"domain_id": "default"}),
            ("project", {"domain_id": "default"}),
            ("role", {}),
            ("region", {}),
        ):
            body = {"name": f"list-{name}", **more} if kind != "region" else {"id": f"list-{name}"}
            made.setdefault(kind, []).append(_post(admin, f"{base}/{kind}s", {kind: body})["id"])
    service = _post(admin, f"{base}/services", {"service": {"type": "list", "name": "list"}})["id"]
    _post(admin, f"{base}/endpoints", {"endpoint": {"service_id": service, "interface": "public", "url": "http://x"}})
    group, role = made["group"][0], made["role"][0]
    for user in (me, *made["user"]):
        assert admin.session.put(f"{base}/groups/{group}/users/{user}").status_code == 204
    for each in made["group"]:
        assert admin.session.put(f"{base}/groups/{each}/users/{me}").status_code == 204
    for each in made["project"]:
        assert admin.session.put(f"{base}/projects/{each}/users/{me}/roles/{role}").status_code == 204
    trust = Trust(trustor_user_id=me, trustee_user_id=me, project_id=project, impersonation=False, role_ids=[role])
    with api.cloud.database.write() as session:
        session.add(trust)
        session.add_all(Policy(type="list", blob=name) for name in THREE)
        session.add_all(
            Credential(user_id=me, type="list", sealed=api.cloud.secrets.seal(name.encode())) for name in THREE
        )
        session.add_all(AccessRule(user_id=me, service="compute", method="GET", path=f"/{name}") for name in THREE)
        owned = {"user_id": me, "project_id": project}
        session.add_all(
            ApplicationCredential(name=name, name_key=name, secret_hash="x", role_ids=[], **owned) for name in THREE
        )
        session.get_one(Project, project).tags = list(THREE)
    return {"groups": group, "roles": role, "trusts": trust.id}


def _compute(api: Api, admin: Connection) -> dict[str, str]:
    add_hosts(api.cloud, "host1", "host2", "host3")
    fixtures, nova = make_fixtures(api, admin, admin), Nova(admin, api.url)
    servers = []
    for name in THREE:
        server = nova("POST", "/servers", fixtures.body(name, metadata=dict.fromkeys(THREE, "1"), tags=list(THREE)))
        servers.append(server.json()["server"]["id"])
        flavor = {"name": f"list-{name}", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
        made = nova("POST", "/flavors", {"flavor": flavor}).json()["flavor"]["id"]
        assert nova("POST", "/os-keypairs", {"keypair": {"name": name}}, version="2.91").status_code == 201
    run_jobs(api.cloud)
    assert nova("POST", f"/flavors/{made}/os-extra_specs", {"extra_specs": dict.fromkeys(THREE, "1")}).ok
    for action in ("os-stop", "os-start", "os-stop"):
        assert nova("POST", f"/servers/{servers[0]}/action", {action: None}).status_code == 202
        run_jobs(api.cloud)
    with api.cloud.database.write() as session:
        resource = JobResource(resource_type="server", resource_id=servers[0])
        # This one has no request: its host had rebooted.
        session.add(Job(playbook="server", action="restore", state="successful", resources=[resource]))
    return {"servers": servers[0], "flavors": made} | _network(admin, fixtures.network)


def _image(api: Api, admin: Connection) -> dict[str, str]:
    for name in THREE:
        assert admin.image.post("/images", json={"name": name}).status_code == 201
        namespace = {
            "namespace": f"list-{name}",
            "objects": [{"name": each} for each in THREE],
            "tags": [{"name": each} for each in THREE],
            "properties": {each: {"type": "string", "title": each} for each in THREE},
            "resource_type_associations": [{"name": each} for each in THREE],
        }
        assert admin.image.post("/metadefs/namespaces", json=namespace).status_code == 201
    shared = admin.image.post("/images", json={"name": "shared"}).json()["id"]
    with api.cloud.database.write() as session:
        session.add_all(ImageTask(image_id=shared, request={}, status="success") for _ in THREE)
        session.add_all(ImageMember(image_id=shared, member_id=name) for name in THREE)
    return {"namespaces": "list-a", "images": shared}


def _network(admin: Connection, network: str) -> dict[str, str]:
    for index, name in enumerate(THREE):
        subnet = admin.network.create_subnet(network_id=network, ip_version=4, cidr=f"10.{index}.0.0/24")
        port = admin.network.create_port(network_id=network)
        pool = admin.network.create_subnet_pool(name=name, prefixes=[f"10.{100 + index}.0.0/16"])
        listed = admin.network.create_network(name=f"list-{name}")
        admin.network.create_address_scope(name=name, ip_version=4)
        span = {"network_type": "gre", "minimum": 100 * index + 1, "maximum": 100 * index + 9, "shared": False}
        segments = admin.network.create_network_segment_range(name=name, project_id=listed.project_id, **span)
        policy = {"object_type": "network", "object_id": listed.id, "action": "access_as_shared"}
        admin.network.create_rbac_policy(**policy, target_project_id="*")
        limits = admin.network.create_qos_policy(name=name)
        admin.network.create_qos_bandwidth_limit_rule(limits, max_kbps=1)
        admin.network.create_qos_dscp_marking_rule(limits, dscp_mark=0)
        admin.network.create_qos_packet_rate_limit_rule(limits, max_kpps=1)
    made = {"networks": network, "subnets": subnet.id, "ports": port.id, "subnetpools": pool.id, "policies": limits.id}
    made["network_segment_ranges"] = segments.id
    made |= _routers(admin)
    for kind, identifier in made.items():
        path = "qos/policies" if kind == "policies" else kind
        assert admin.network.put(f"/{path}/{identifier}/tags", json={"tags": list(THREE)}).status_code == 200
    return made


def _routers(admin: Connection) -> dict[str, str]:
    for index, _ in enumerate(THREE):
        topology = make_topology(admin, admin, index)
        floating = make(admin, "floatingip", floating_network_id=topology.external)["id"]
    for number, _ in enumerate(THREE):
        body = {"protocol": "tcp", "internal_port_id": topology.port}
        body |= {"external_port": 80 + number, "internal_port": 80 + number}
        path = f"/floatingips/{floating}/port_forwardings"
        assert admin.network.post(path, json={"port_forwarding": body}).status_code == 201
    return {"routers": topology.router, "floatingips": floating}


def _operations(api: Api, admin: Connection) -> dict[str, str]:
    me, project, now = admin.current_user_id, admin.current_project_id, utcnow()
    directory = api.cloud.settings.operator_dir
    directory.mkdir(parents=True, exist_ok=True)
    for name in THREE:
        (directory / f"{name}.yml").write_text("[]")
    webhooks = [
        Webhook(id=new_uuid(), project_id=project, user_id=me, url="http://x", sealed_secret="x", created_at=now)
        for _ in THREE
    ]
    owned = {"project_id": project, "user_id": me, "cron": "0 0 1 1 *", "timezone": "UTC", "kind": "request"}
    schedules = [Schedule(id=new_uuid(), name=name, sealed="x", **owned) for name in THREE]
    with api.cloud.database.write() as session:
        session.add_all([*webhooks, *schedules])
        session.flush()
        session.add_all(
            Delivery(webhook_id=webhooks[0].id, job_id=new_uuid(), body="{}", state="delivered", created_at=now)
            for _ in THREE
        )
        session.add_all(ScheduleRun(schedule_id=schedules[0].id, due_at=now, state="skipped") for _ in THREE)
        session.add_all(Overcloud(name=name, plan={"virtual_address": "192.0.2.1/24", "hosts": {}}) for name in THREE)
    return {"webhooks": webhooks[0].id, "schedules": schedules[0].id}
