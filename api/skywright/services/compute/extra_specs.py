"""The extra specs that Nova interprets, and their valid values, which Nova validates since microversion 2.86.

Names without a namespace and names of other namespaces are not validated.
https://docs.openstack.org/nova/latest/configuration/extra-specs.html
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from skywright.http import BadRequest, fields

# Returns what is wrong with a value, or None.
Check = Callable[[str], str | None]

MASK = r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"
GROUP = "[a-zA-Z0-9_-]{0,64}"
RESOURCES = (
    "VCPU|MEMORY_MB|DISK_GB|PCI_DEVICE|SRIOV_NET_VF|NUMA_SOCKET|NUMA_CORE|NUMA_THREAD|NUMA_MEMORY_MB|IPV4_ADDRESS|VGPU|"
    "VGPU_DISPLAY_HEAD|NET_BW_EGR_KILOBIT_PER_SEC|NET_BW_IGR_KILOBIT_PER_SEC|NET_PACKET_RATE_KILOPACKET_PER_SEC|"
    "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC|NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC|PCPU|MEM_ENCRYPTION_CONTEXT|FPGA|PGPU"
)
CAPABILITIES = (
    "id|uuid|service_id|host|vcpus|memory_mb|local_gb|vcpus_used|memory_mb_used|local_gb_used|hypervisor_type|"
    "hypervisor_version|hypervisor_hostname|free_ram_mb|free_disk_gb|current_workload|running_vms|disk_available_least|"
    "host_ip|mapped|cpu_allocation_ratio|ram_allocation_ratio|disk_allocation_ratio|total_usable_ram_mb|"
    "total_usable_disk_gb|disk_mb_used|free_disk_mb|vcpus_total|num_instances|num_io_ops|failed_builds|aggregates|"
    r"cell_uuid|updated|(cpu_info|metrics|stats|numa_topology|supported_hv_specs|pci_device_pools|nodename|pci_stats|"
    r"supported_instances|limits|instances)(:\w+)*"
)


def _text(_value: str) -> None:
    """Accept any value."""


def _boolean(value: str) -> str | None:
    try:
        fields.boolean(value)
    except ValueError:
        return f"'{value}' is not a valid boolean-like value."
    return None


def _number(least: int | None = None, most: int | None = None) -> Check:
    def check(value: str) -> str | None:
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,30}\s*", value):
            return f"'{value}' is not a valid integer value."
        if most is not None and int(value) > most:
            return f"'{value}' is greater than the max value of '{most}'."
        if least is not None and int(value) < least:
            return f"'{value}' is less than the min value of '{least}'."
        return None

    return check


def _one_of(*values: str) -> Check:
    return lambda value: None if value in values else f"'{value}' is not one of: {', '.join(values)}."


def _matching(pattern: str) -> Check:
    return lambda value: None if re.fullmatch(pattern, value) else f"'{value}' is not of the format '{pattern}'."


_natural, _positive, _integer = _number(0), _number(1), _number()
_required = _one_of("required", "forbidden")
# {pattern of names: check of values}
SPECS: Mapping[str, Check] = {
    "hide_hypervisor_id": _boolean,
    "group_policy": _one_of("isolate", "none"),
    "accel:device_profile": _text,
    "aggregate_instance_extra_specs:.+": _text,
    f"capabilities:({CAPABILITIES})": _text,
    "hw:(cpu_realtime|hide_hypervisor_id|locked_memory|boot_menu|vif_multiqueue_enabled)": _boolean,
    "hw:(mem_encryption|pmu|virtio_packed_ring|ephemeral_encryption)": _boolean,
    "hw:cpu_realtime_mask": _matching(r"(\^)?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"),
    "hw:cpu_policy": _one_of("dedicated", "shared", "mixed"),
    "hw:cpu_thread_policy": _one_of("prefer", "isolate", "require"),
    "hw:emulator_threads_policy": _one_of("isolate", "share"),
    r"hw:(cpu_dedicated_mask|numa_cpus\.\d+)": _matching(MASK),
    "hw:mem_page_size": _matching(r"(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)"),
    r"hw:(numa_nodes|numa_mem\.\d+|cpu_(max_)?(sockets|cores|threads))": _positive,
    "hw:pci_numa_affinity_policy": _one_of("required", "preferred", "legacy", "socket"),
    "hw:mem_encryption_model": _one_of("amd-sev", "amd-sev-es", "amd-sev-snp"),
    "hw:pmem": _matching("([a-zA-Z0-9_]+(,)?)+"),
    "hw:serial_port_count": _natural,
    "hw:tpm_model": _one_of("tpm-tis", "tpm-crb"),
    "hw:tpm_version": _one_of("1.2", "2.0"),
    "hw:tpm_secret_security": _one_of("user", "host", "deployment"),
    "hw:watchdog_action": _one_of("none", "pause", "poweroff", "reset", "disabled"),
    "hw:viommu_model": _one_of("intel", "smmuv3", "virtio", "auto"),
    "hw:sound_model": _one_of("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
    "hw:usb_model": _one_of("none", "nec-xhci", "qemu-xhci"),
    "hw:redirected_usb_ports": _number(0, 15),
    "hw:ephemeral_encryption_format": _one_of("plain", "luks", "luksv2"),
    "hw_rng:allowed": _boolean,
    "hw_rng:rate_(bytes|period)": _natural,
    "hw_video:ram_max_mb": _natural,
    "os:secure_boot": _one_of("disabled", "optional", "required"),
    "pci_passthrough:alias": _matching(r"[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*"),
    "quota:(cpu|memory|disk_io|vif)_(limit|shares_share)": _natural,
    "quota:(cpu|memory|disk_io|vif)_reservation": _integer,
    "quota:(cpu|memory|disk_io|vif)_shares_level": _one_of("custom", "high", "normal", "low"),
    "quota:cpu_(shares|period)": _natural,
    "quota:cpu_quota": _integer,
    "quota:disk_(read|write|total)_(bytes|iops)_sec": _natural,
    "quota:vif_(inbound|outbound)_(average|peak|burst)": _natural,
    f"resources{GROUP}:({RESOURCES}|CUSTOM_[A-Z0-9_]+)": _integer,
    f"trait{GROUP}:[A-Z0-9_]+": _required,
    "vmware:(hw_version|storage_policy)": _text,
}
_SPECS = [(re.compile(pattern, re.ASCII), check) for pattern, check in SPECS.items()]
_NAMESPACES = re.compile(
    "(accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|vmware"
    f"|resources{GROUP}|trait{GROUP}):.*",
    re.ASCII | re.DOTALL,
)


def check_extra_specs(specs: Mapping[str, Any]) -> None:
    """Raise BadRequest, as Nova does, for unknown extra specs in Nova's namespaces, and for invalid values."""
    for name, value in specs.items():
        check = next((check for pattern, check in _SPECS if pattern.fullmatch(name)), None)
        if check is not None:
            if problem := check(str(value)):
                raise BadRequest(f"Validation failed; {problem}")
        elif _NAMESPACES.fullmatch(name):
            raise BadRequest(f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec.")


def is_interpreted(name: str) -> bool:
    """Return whether Nova interprets the extra spec *name*; others are labels of the operator."""
    return _NAMESPACES.fullmatch(name) is not None or name in ("hide_hypervisor_id", "group_policy")
