"""The log of usage audits, which no host runs here: `os-simple-tenant-usage` always has the current usage.

https://docs.openstack.org/api-ref/compute/#server-usage-audit-log-os-instance-usage-audit-log
"""

from datetime import datetime, timedelta
from typing import Any

from skywright.db import utcnow
from skywright.http import BadRequest, Context, Router
from skywright.services.compute.compute_hosts import compute_hosts

router = Router()


@router.operation("GET", "/v2.1/os-instance_usage_audit_log", policy="os_compute_api:os-instance-usage-audit-log:list")
def list_log(context: Context) -> dict[str, Any]:
    return {"instance_usage_audit_logs": _log(context, utcnow())}


@router.operation(
    "GET", "/v2.1/os-instance_usage_audit_log/{before}", policy="os_compute_api:os-instance-usage-audit-log:show"
)
def show_log(context: Context, before: str) -> dict[str, Any]:
    for form in ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S"):
        try:
            moment = datetime.strptime(before, form)
        except ValueError:
            continue
        return {"instance_usage_audit_log": _log(context, moment)}
    raise BadRequest(f"Invalid timestamp for date {before}")


def _log(context: Context, before: datetime) -> dict[str, Any]:
    """Return the log of the last month that ended before a time."""
    end = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    hosts = [host.name for host in compute_hosts(context.db)]
    return {
        "period_beginning": str((end - timedelta(days=1)).replace(day=1)),
        "period_ending": str(end),
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(hosts),
        "hosts_not_run": hosts,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"{f'0 of {len(hosts)}' if hosts else 'ALL'} hosts done. 0 errors.",
        "log": {},
    }
