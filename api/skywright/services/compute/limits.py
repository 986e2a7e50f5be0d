"""Absolute limits and usage of a project. https://docs.openstack.org/api-ref/compute/#limits-limits"""

from typing import Any

from skywright.http import Context, Router
from skywright.http.microversions import version_of
from skywright.services.compute import quotas
from skywright.services.compute.listing import parameters

router = Router()
# The stock client always sends `reserved`. There are no reservations, so the answer is the same.
PARAMETERS = frozenset({"tenant_id", "reserved"})
OTHER_PROJECT = "os_compute_api:limits:other_project"


@router.operation("GET", "/v2.1/limits", policy=("os_compute_api:limits", OTHER_PROJECT))
def show_limits(context: Context) -> dict[str, Any]:
    version = version_of(context)
    project = parameters(context, PARAMETERS).get("tenant_id") or context.project_id
    if project != context.caller.project_id:
        context.enforce(OTHER_PROJECT)
    allowed, used = quotas.limits(context.db, project), quotas.usage(context.db, project)
    absolute = {
        "maxTotalInstances": allowed["instances"],
        "maxTotalCores": allowed["cores"],
        "maxTotalRAMSize": allowed["ram"],
        "maxTotalKeypairs": allowed["key_pairs"],
        "maxServerMeta": allowed["metadata_items"],
        "maxServerGroups": allowed["server_groups"],
        "maxServerGroupMembers": allowed["server_group_members"],
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": 0,
    }
    if version < 57:
        absolute |= {"maxPersonality": 0, "maxPersonalitySize": 0}
    if version < 39:
        absolute["maxImageMeta"] = allowed["metadata_items"]
    if version < 36:
        absolute |= {"maxTotalFloatingIps": -1, "maxSecurityGroups": -1, "maxSecurityGroupRules": -1}
        absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}
    return {"limits": {"rate": [], "absolute": absolute}}
