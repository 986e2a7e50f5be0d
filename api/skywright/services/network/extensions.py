"""The API extensions of this service."""

from typing import Any

from skywright.http import Context, NotFound, Router
from skywright.http.policy import AUTHENTICATED

router = Router()
EXTENSIONS = {
    "address-scope": ("Address scope", "Address scopes extension."),
    "allowed-address-pairs": ("Allowed Address Pairs", "Provides allowed address pairs"),
    "binding": ("Port Binding", "Expose port bindings of a virtual port to external application"),
    "default-subnetpools": ("Default Subnetpools", "Provides ability to mark and use a subnetpool as the default."),
    "dns-domain-ports": ("dns_domain for ports", "Allows the DNS domain to be specified for a network port."),
    "dns-integration": ("DNS Integration", "Provides integration with DNS."),
    "empty-string-filtering": (
        "Empty String Filtering Extension",
        "Allows filters by empty strings",
    ),
    "extra_dhcp_opt": (
        "Neutron Extra DHCP options",
        "Extra options configuration for DHCP, such as bootfile-name, tftp-server and server-ip-address",
    ),
    "filter-validation": ("Filter parameters validation", "Provides validation on filter parameters."),
    "ip-substring-filtering": ("IP address substring filtering", "Provides IP address substring filtering of ports"),
    "net-mtu": ("Network MTU", "Provides MTU attribute for a network resource."),
    "net-mtu-writable": ("Network MTU (writable)", "Provides a writable MTU attribute for a network resource."),
    "network-ip-availability": (
        "Network IP Availability",
        "Provides IP availability data for each network and subnet.",
    ),
    "network-segment-range": (
        "Neutron Network Segment Range",
        "Provides support for the network segment range management",
    ),
    "pagination": ("Pagination support", "Extension that indicates that pagination is enabled."),
    "port-security": ("Port Security", "Provides port security"),
    "project-id": ("project_id field enabled", "Extension that indicates that project_id field is enabled."),
    "provider": ("Provider Network", "Expose mapping of virtual networks to physical networks"),
    "quota_details": ("Quota details management support", "Expose functions for quotas usage statistics per project"),
    "quotas": ("Quota management support", "Expose functions for quotas management per project"),
    "rbac-address-scope": ("Add address_scope type to RBAC", "Add address_scope type to RBAC"),
    "rbac-policies": (
        "RBAC Policies",
        "Allows creation and modification of policies that control project access to resources.",
    ),
    "rbac-subnetpool": ("Add subnetpool type to RBAC", "Add subnetpool type to RBAC"),
    "revision-if-match": ("If-Match constraints based on revision_number", "Constraints of updates by revision number"),
    "sorting": ("Sorting support", "Extension that indicates that sorting is enabled."),
    "standard-attr-description": ("standard-attr-description", "Adds descriptions to standard attributes"),
    "standard-attr-revisions": ("Resource revision numbers", "Displays the revision number of resources."),
    "standard-attr-tag": ("Tag support for resources with standard attribute", "Enables to set tag on resources."),
    "standard-attr-timestamp": ("Resource timestamps", "Adds created_at and updated_at fields to resources."),
    "subnet_allocation": ("Subnet Allocation", "Enables allocation of subnets from a subnet pool"),
    "tag-creation": ("Tag creation extension", "Allow to create multiple tags for a resource"),
}


def _view(alias: str) -> dict[str, Any]:
    name, description = EXTENSIONS[alias]
    updated = "2026-11-20T00:00:00-00:00"
    return {"alias": alias, "name": name, "description": description, "updated": updated, "links": []}


@router.operation("GET", "/v2.0/extensions", policy=AUTHENTICATED)
def list_extensions(context: Context) -> dict[str, Any]:
    return {"extensions": [_view(alias) for alias in EXTENSIONS]}


@router.operation("GET", "/v2.0/extensions/{alias}", policy=AUTHENTICATED)
def show_extension(context: Context, alias: str) -> dict[str, Any]:
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", kind="ExtensionNotFound")
    return {"extension": _view(alias)}
