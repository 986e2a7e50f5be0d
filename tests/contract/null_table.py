"""The meaning of null: for each attribute that may be null a request, and the values that are shown afterwards."""

from typing import Any, NamedTuple

from contract.conftest import PASSWORD


class Null(NamedTuple):
    """A request with *nulls* (fields as named by `body_models.fields`) and the values *shown* afterwards.

    `{name: ...}` is any value but None, MISSING means that the field is absent; *shown* may be a status instead.
    """

    nulls: str
    request: str
    body: Any
    shown: Any
    made: tuple[str, Any] | None = None  # the resource that is created first; its id replaces {id}
    look: str = ""  # the request that shows the values, if not the answer itself


MISSING, ANY = object(), object()
USERS, PROJECTS, SERVERS = "identity/v3/users", "identity/v3/projects", "compute/v2.1/servers"
NEUTRON = "networking/v2.0"
OPTIONS = {
    "ignore_change_password_upon_first_use": True,
    "ignore_password_expiry": True,
    "ignore_lockout_failure_attempts": True,
    "ignore_user_inactivity": True,
    "lock_password": True,
    "multi_factor_auth_enabled": True,
    "multi_factor_auth_rules": [["password"]],
}
SERVICE = ("identity/v3/services", {"service": {"name": "n", "type": "t", "description": "d"}})
ENDPOINT = {"interface": "public", "url": "http://x", "service_id": "{service}"}
SUBNET = {"network_id": "{network}", "ip_version": 4, "cidr": "10.{n}.0.0/24", "enable_dhcp": False}
FULL = SUBNET | {
    "dns_nameservers": ["10.{n}.0.2"],
    "host_routes": [{"destination": "10.0.0.0/24", "nexthop": "10.{n}.0.3"}],
    "allocation_pools": [{"start": "10.{n}.0.9", "end": "10.{n}.0.10"}],
}
FLOATING = {"floating_network_id": "{external}"}
FORWARDINGS = f"{NEUTRON}/floatingips/{{floating}}/port_forwardings"
FORWARDING = {
    "protocol": "tcp",
    "internal_port_id": "{port}",
    "external_port_range": "{n}:{n}",
    "internal_port_range": "{n}:{n}",
}
GRANTED = (
    Null("identity.NewProject.domain_id parent_id description", f"POST {PROJECTS}",
         {"project": {"name": "unique", "domain_id": None, "parent_id": None, "description": None}},
         {"domain_id": "default", "parent_id": "default", "description": ""}),
    Null("identity.ResourceOptions.immutable", f"PATCH {PROJECTS}/{{id}}",
         {"project": {"options": {"immutable": None}}},
         {"options": {}}, (PROJECTS, {"project": {"name": "unique", "options": {"immutable": False}}})),
    Null("identity.ProjectChange.domain_id", f"PATCH {PROJECTS}/{{id}}", {"project": {"domain_id": None}}, 400,
         (PROJECTS, {"project": {"name": "unique"}})),
    Null("identity.ProjectChange.parent_id", f"PATCH {PROJECTS}/{{id}}", {"project": {"parent_id": None}}, 403,
         (PROJECTS, {"project": {"name": "unique"}})),
    Null("identity.ProjectChange.description", f"PATCH {PROJECTS}/{{id}}", {"project": {"description": None}},
         {"description": ""}, (PROJECTS, {"project": {"name": "unique", "description": "d"}})),
    Null("identity.NewUser.default_project_id", f"POST {USERS}", {"user": {"name": "unique",
         "default_project_id": None}},
         {"default_project_id": MISSING}),
    Null("identity.NewUser.password", f"POST {USERS}", {"user": {"name": "unique", "password": None}},
         {"password_expires_at": None}),
    *(Null(f"identity.UserOptions.{name}", f"PATCH {USERS}/{{id}}", {"user": {"options": {name: None}}},
         {"options": {}},
           (USERS, {"user": {"name": "unique", "options": {name: value}}})) for name, value in OPTIONS.items()),
    Null("identity.UserChange.default_project_id", f"PATCH {USERS}/{{id}}", {"user": {"default_project_id": None}},
         {"default_project_id": MISSING}, (USERS, {"user": {"name": "unique", "default_project_id": "{project}"}})),
    Null("identity.UserChange.password", f"PATCH {USERS}/{{id}}", {"user": {"password": None}}, {"enabled": True},
         (USERS, {"user": {"name": "unique", "password": PASSWORD}})),
    Null("identity.NewGroup.description", "POST identity/v3/groups", {"group": {"name": "unique", "description": None}},
         {"description": ""}),
    Null("identity.GroupChange.description", "PATCH identity/v3/groups/{id}", {"group": {"description": None}},
         {"description": ""}, ("identity/v3/groups", {"group": {"name": "unique", "description": "d"}})),
    Null("identity.NewDomain.description", "POST identity/v3/domains", {"domain": {"name": "unique",
         "description": None}},
         {"description": ""}),
    Null("identity.DomainChange.description", "PATCH identity/v3/domains/{id}", {"domain": {"description": None}},
         {"description": ""}, ("identity/v3/domains", {"domain": {"name": "unique", "description": "d"}})),
    Null("identity.NewRole.domain_id description", "POST identity/v3/roles",
         {"role": {"name": "unique", "domain_id": None, "description": None}}, {"domain_id": None,
         "description": None}),
    Null("identity.RoleChange.domain_id description", "PATCH identity/v3/roles/{id}",
         {"role": {"domain_id": None, "description": None}}, {"domain_id": None, "description": None},
         ("identity/v3/roles", {"role": {"name": "unique", "description": "d"}})),
    Null("identity.RoleChange.domain_id", "PATCH identity/v3/roles/{id}", {"role": {"domain_id": None}}, 400,
         ("identity/v3/roles", {"role": {"name": "unique", "domain_id": "default"}})),
    Null("identity.NewRegion.id parent_region_id description", "POST identity/v3/regions",
         {"region": {"id": None, "parent_region_id": None, "description": None}},
         {"id": ANY, "parent_region_id": None, "description": ""}),
    Null("identity.RegionChange.parent_region_id description", "PATCH identity/v3/regions/{id}",
         {"region": {"parent_region_id": None, "description": None}}, {"parent_region_id": None, "description": ""},
         ("identity/v3/regions", {"region": {"parent_region_id": "{region}", "description": "d"}})),
    Null("identity.NewService.name description", "POST identity/v3/services",
         {"service": {"type": "t", "name": None, "description": None}}, {"name": MISSING, "description": MISSING}),
    Null("identity.ServiceChange.name description", "PATCH identity/v3/services/{id}",
         {"service": {"name": None, "description": None}}, {"name": MISSING, "description": MISSING}, SERVICE),
    Null("identity.NewEndpoint.region_id region", "POST identity/v3/endpoints",
         {"endpoint": ENDPOINT | {"region_id": None, "region": None}}, {"region_id": None, "region": None}),
    *(Null(f"identity.EndpointChange.{name}", "PATCH identity/v3/endpoints/{id}", {"endpoint": {name: None}},
           {"region_id": None, "region": None}, ("identity/v3/endpoints",
           {"endpoint": ENDPOINT | {"region_id": "{region}"}}))
      for name in ("region_id", "region")),
    Null("identity.NewCredential.project_id", "POST identity/v3/credentials",
         {"credential": {"type": "t", "blob": "b", "project_id": None}}, {"project_id": None}),
    Null("identity.CredentialChange.project_id", "PATCH identity/v3/credentials/{id}",
         {"credential": {"project_id": None}},
         {"project_id": None}, ("identity/v3/credentials",
                                {"credential": {"type": "t", "blob": "b", "project_id": "{project}"}})),
    Null("identity.NewApplicationCredential.description secret expires_at unrestricted",
         f"POST {USERS}/{{me}}/application_credentials",
         {"application_credential": {"name": "unique", "description": None, "secret": None, "expires_at": None,
                                     "unrestricted": None}},
         {"description": None, "secret": ANY, "expires_at": None, "unrestricted": False}),
    Null("identity.NewTrust.expires_at remaining_uses allow_redelegation redelegation_count",
         "POST identity/v3/OS-TRUST/trusts",
         {"trust": {"trustor_user_id": "{me}", "trustee_user_id": "{me}", "impersonation": False,
                    "project_id": "{project}", "roles": [{"name": "admin"}], "expires_at": None, "remaining_uses": None,
                    "allow_redelegation": None, "redelegation_count": None}},
         {"expires_at": None, "remaining_uses": None, "redelegation_count": 0}),
    Null("identity.NewTrust.project_id", "POST identity/v3/OS-TRUST/trusts",
         {"trust": {"trustor_user_id": "{me}", "trustee_user_id": "{me}", "impersonation": False,
         "project_id": None}}, 403),
    Null("compute.NewServer.description trusted_image_certificates", f"POST {SERVERS}",
         {"server": {"name": "unique", "flavorRef": "{flavor}", "imageRef": "{image}", "networks": "none",
                     "description": None, "trusted_image_certificates": None}},
         {"description": None, "trusted_image_certificates": None}, look=SERVERS),
    Null("compute.NetworkRequest.port", f"POST {SERVERS}",
         {"server": {"name": "unique", "flavorRef": "{flavor}", "imageRef": "{image}",
                     "networks": [{"uuid": "{network}", "port": None}]}}, {"status": "BUILD"}, look=SERVERS),
    Null("compute.ServerChange.description", f"PUT {SERVERS}/{{server}}", {"server": {"description": None}},
         {"description": None}),
    Null("compute.NewFlavor.id description", "POST compute/v2.1/flavors",
         {"flavor": {"name": "unique", "ram": 1, "vcpus": 1, "disk": 0, "id": None, "description": None}},
         {"id": ANY, "description": None}),
    Null("compute.FlavorChange.description", "PUT compute/v2.1/flavors/{id}", {"flavor": {"description": None}},
         {"description": None}, ("compute/v2.1/flavors",
                                 {"flavor": {"name": "unique", "ram": 1, "vcpus": 1, "disk": 0, "description": "d"}})),
    # A server that is being built has no console yet: its state is refused, not the null.
    Null("compute.ConsoleOutput.length", f"POST {SERVERS}/{{server}}/action",
         {"os-getConsoleOutput": {"length": None}}, 409),
    Null("network.SubnetCreate.gateway_ip dns_nameservers host_routes allocation_pools subnetpool_id",
         f"POST {NEUTRON}/subnets",
         {"subnet": SUBNET | {"gateway_ip": None, "dns_nameservers": None, "host_routes": None,
         "allocation_pools": None,
                              "subnetpool_id": None}},
         {"gateway_ip": None, "dns_nameservers": [], "host_routes": [], "allocation_pools": [], "subnetpool_id": None}),
    Null("network.SubnetCreate.cidr", f"POST {NEUTRON}/subnets", {"subnet": SUBNET | {"cidr": None}}, 400),
    *(Null(f"network.SubnetUpdate.{name}", f"PUT {NEUTRON}/subnets/{{id}}", {"subnet": {name: None}}, {name: value},
           (f"{NEUTRON}/subnets", {"subnet": FULL}))
      for name, value in {"gateway_ip": None, "dns_nameservers": [], "host_routes": [],
         "allocation_pools": []}.items()),
    Null("network.PortCreate.binding:host_id binding:profile security_groups allowed_address_pairs"
         " extra_dhcp_opts", f"POST {NEUTRON}/ports",
         {"port": {"network_id": "{network}", "binding:host_id": None, "binding:profile": None, "security_groups": None,
                   "allowed_address_pairs": None, "extra_dhcp_opts": None}},
         {"binding:host_id": "", "binding:profile": {}}),
    Null("network.PortUpdate.binding:host_id security_groups allowed_address_pairs extra_dhcp_opts",
         f"PUT {NEUTRON}/ports/{{id}}", {"port": {"binding:host_id": None, "security_groups": None,
                                                   "allowed_address_pairs": None, "extra_dhcp_opts": None}},
         {"binding:host_id": ""}, (f"{NEUTRON}/ports", {"port": {"network_id": "{network}", "binding:host_id": "h"}})),
    Null("network.DhcpOption.opt_value", f"PUT {NEUTRON}/ports/{{id}}",
         {"port": {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": None}]}}, {"extra_dhcp_opts": []},
         (f"{NEUTRON}/ports", {"port": {"network_id": "{network}",
                                        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}]}})),
    # Only the role service may change it.
    Null("network.PortUpdate.binding:profile", f"PUT {NEUTRON}/ports/{{id}}", {"port": {"binding:profile": None}}, 403,
         (f"{NEUTRON}/ports", {"port": {"network_id": "{network}"}})),
    Null("network.RouterCreate.external_gateway_info", f"POST {NEUTRON}/routers",
         {"router": {"external_gateway_info": None}}, {"external_gateway_info": None}),
    Null("network.RouterUpdate.external_gateway_info routes", f"PUT {NEUTRON}/routers/{{id}}",
         {"router": {"external_gateway_info": None, "routes": None}}, {"external_gateway_info": None, "routes": []},
         (f"{NEUTRON}/routers", {"router": {"external_gateway_info": {"network_id": "{external}"}}})),
    Null("network.Gateway.external_fixed_ips", f"POST {NEUTRON}/routers",
         {"router": {"external_gateway_info": {"network_id": "{external}", "external_fixed_ips": None}}},
         {"external_gateway_info": ANY}),
    Null("network.FloatingIpCreate.port_id fixed_ip_address floating_ip_address subnet_id",
         f"POST {NEUTRON}/floatingips",
         {"floatingip": FLOATING | {"port_id": None, "fixed_ip_address": None, "floating_ip_address": None,
                                    "subnet_id": None}},
         {"port_id": None, "fixed_ip_address": None, "floating_ip_address": ANY}),
    Null("network.FloatingIpUpdate.port_id fixed_ip_address", f"PUT {NEUTRON}/floatingips/{{id}}",
         {"floatingip": {"port_id": None, "fixed_ip_address": None}}, {"port_id": None, "fixed_ip_address": None},
         (f"{NEUTRON}/floatingips", {"floatingip": FLOATING | {"port_id": "{port}"}})),
    Null("network.PortForwardingCreate.external_port internal_port", f"POST {FORWARDINGS}",
         {"port_forwarding": FORWARDING | {"external_port": None, "internal_port": None}}, {"external_port": ANY}),
    Null("network.PortForwardingCreate.external_port_range internal_port_range", f"POST {FORWARDINGS}",
         {"port_forwarding": {"protocol": "udp", "internal_port_id": "{port}", "external_port": 53,
                              "external_port_range": None, "internal_port": 53, "internal_port_range": None}},
         {"external_port_range": "53:53", "internal_port_range": "53:53"}),
    Null("network.PortForwardingUpdate.external_port external_port_range internal_port internal_port_range",
         f"PUT {FORWARDINGS}/{{id}}",
         {"port_forwarding": {"external_port": None, "external_port_range": None, "internal_port": None,
                              "internal_port_range": None}},
         {"external_port": ANY, "internal_port": ANY}, (FORWARDINGS, {"port_forwarding": FORWARDING})),
    Null("network.SubnetPoolCreate.address_scope_id", f"POST {NEUTRON}/subnetpools",
         {"subnetpool": {"prefixes": ["10.1.0.0/16"], "address_scope_id": None}}, {"address_scope_id": None}),
    Null("network.SubnetPoolUpdate.address_scope_id", f"PUT {NEUTRON}/subnetpools/{{id}}",
         {"subnetpool": {"address_scope_id": None}}, {"address_scope_id": None},
         (f"{NEUTRON}/subnetpools", {"subnetpool": {"prefixes": ["10.1.0.0/16"]}})),
    Null("operations.HostBody.disabled_reason", "PUT v1/hosts/null1", {"host": {"disabled_reason": None}},
         {"disabled_reason": None}),
    Null("operations.DrainBody.reason", "POST v1/hosts/null1/drain", {"reason": None}, {"disabled_reason": None}),
    # Everything that the user may see is compared.
    Null("operations.DriftRequest.host project", "POST v1/drift", {"host": None, "project": None}, 200),
    Null("operations.ConvergeRequest.host project", "POST v1/converge", {"host": None, "project": None}, 202),
    # Newer microversions have no such call; `test_server_floating_ips` calls it without a body.
    Null("compute.Pool.pool", "POST compute/v2.1/os-floating-ips", {"pool": None}, 404),
    Null("operations.NewWebhook.secret", "POST v1/webhooks",
         {"webhook": {"url": "https://hooks.invalid/", "secret": None}},
         {"secret": ANY}),
    Null("operations.PlanRequest.body", "POST v1/plan",
         {"service": "network", "method": "DELETE", "path": "/v2.0/ports/none", "body": None}, {"status": 404,
         "body": ANY}),
    Null("operations.ScheduledRequest.body", "POST v1/schedules",
         {"schedule": {"name": "unique", "cron": "0 0 1 1 *",
                       "request": {"service": "network", "method": "DELETE", "path": "/v2.0/ports/none",
                       "body": None}}},
         {"name": ANY}),
)  # fmt: skip
