"""Extensions, as API v2 called its optional parts. All that exist here are part of v2.1."""

from typing import Any

from skywright.http import Context, NotFound, Router

router = Router()
NAMES = {
    "os-availability-zone": "AvailabilityZone",
    "os-config-drive": "ConfigDrive",
    "os-console-output": "ConsoleOutput",
    "os-deferred-delete": "DeferredDelete",
    "os-extended-availability-zone": "ExtendedAvailabilityZone",
    "os-extended-server-attributes": "ExtendedServerAttributes",
    "os-extended-status": "ExtendedStatus",
    "os-flavor-access": "FlavorAccess",
    "os-flavor-extra-specs": "FlavorExtraSpecs",
    "os-flavor-manage": "FlavorManage",
    "os-hypervisors": "Hypervisors",
    "os-instance-actions": "InstanceActions",
    "os-keypairs": "Keypairs",
    "os-lock-server": "LockServer",
    "os-multiple-create": "MultipleCreate",
    "os-quota-sets": "Quotas",
    "os-remote-consoles": "Consoles",
    "os-server-usage": "ServerUsage",
    "os-services": "Services",
    "os-simple-tenant-usage": "SimpleTenantUsage",
    "os-user-data": "UserData",
}


@router.operation("GET", "/v2.1/extensions", policy="os_compute_api:extensions")
def list_extensions(context: Context) -> dict[str, Any]:
    return {"extensions": [_extension(alias) for alias in NAMES]}


@router.operation("GET", "/v2.1/extensions/{alias}", policy="os_compute_api:extensions")
def show_extension(context: Context, alias: str) -> dict[str, Any]:
    if alias not in NAMES:
        raise NotFound("The resource could not be found.")
    return {"extension": _extension(alias)}


def _extension(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": NAMES[alias],
        "description": "",
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
        "links": [],
    }
