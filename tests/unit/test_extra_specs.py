"""Flavors' extra specs as Nova validates them since 2.86, with the examples of nova.tests.unit.api.validation."""

import pytest

from skywright.http import BadRequest
from skywright.services.compute.extra_specs import check_extra_specs, is_interpreted

VALID = [
    ("hide_hypervisor_id", "true"),
    ("group_policy", "none"),
    ("accel:device_profile", "foo"),
    ("aggregate_instance_extra_specs:foo", "bar"),
    ("capabilities:cpu_info:features", "<in> avx"),
    ("capabilities:vcpus", "s>= 5"),
    ("hw:cpu_realtime_mask", "^0"),
    ("hw:cpu_realtime_mask", "0-1,^2"),
    ("hw:cpu_policy", "dedicated"),
    ("hw:cpu_dedicated_mask", "0-4,^3"),
    ("hw:mem_page_size", "1GiB"),
    ("hw:mem_page_size", "2048"),
    ("hw:mem_page_size", "large"),
    ("hw:numa_nodes", "1"),
    ("hw:numa_cpus.0", "0-3,8-11"),
    ("hw:numa_mem.1", "1024"),
    ("hw:cpu_max_sockets", "12"),
    ("hw:pmem", "4GB,4GB,SMALL"),
    ("hw:watchdog_action", "disabled"),
    ("hw_rng:rate_bytes", "0"),
    ("hw_video:ram_max_mb", "64"),
    ("os:secure_boot", "optional"),
    ("pci_passthrough:alias", "a1:2, b2:3"),
    ("quota:cpu_quota", "-1"),
    ("quota:disk_write_iops_sec", "10"),
    ("quota:vif_shares_level", "custom"),
    ("resources:VCPU", "4"),
    ("resources1:CUSTOM_GOLD", "4"),
    ("trait:HW_CPU_X86_AVX2", "required"),
    ("trait_NET1:CUSTOM_FOO", "forbidden"),
    # Keys that Nova does not interpret.
    ("foo", "bar"),
    ("foo:bar", "baz"),
    ("hardware:bogus", "1"),
]
INVALID = [
    ("hw:bogus", "1", "extra spec 'hw:bogus' does not appear to be a valid extra spec."),
    ("hw:cpu_realtime_foo", "true", "does not appear to be a valid extra spec."),
    ("quota:bogus", "1", "does not appear to be a valid extra spec."),
    ("trait:lower", "required", "does not appear to be a valid extra spec."),
    ("resources:BOGUS", "1", "does not appear to be a valid extra spec."),
    ("capabilities:bogus", "1", "does not appear to be a valid extra spec."),
    ("hw:cpu_policy", "sharrred", "'sharrred' is not one of: dedicated, shared, mixed."),
    ("hw:cpu_policy", "", "'' is not one of"),
    ("hw:cpu_policy", "SHARED", "'SHARED' is not one of"),
    ("hw_rng:allowed", "tru", "'tru' is not a valid boolean-like value."),
    ("hw:numa_nodes", "0", "'0' is less than the min value of '1'."),
    ("hw:numa_nodes", "two", "'two' is not a valid integer value."),
    ("hw:redirected_usb_ports", "16", "'16' is greater than the max value of '15'."),
    ("hw:mem_page_size", "huge", "'huge' is not of the format"),
    ("hw:pmem", "spaces foo bar", "is not of the format"),
    ("pci_passthrough:alias", "abc", "is not of the format"),
    ("quota:cpu_shares", "-1", "is less than the min value"),
    ("trait:CUSTOM_FOO", "bar", "is not one of: required, forbidden."),
]


@pytest.mark.parametrize(("name", "value"), VALID)
def test_extra_specs_that_nova_accepts(name: str, value: str) -> None:
    check_extra_specs({name: value})


@pytest.mark.parametrize(("name", "value", "message"), INVALID)
def test_extra_specs_that_nova_refuses(name: str, value: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_extra_specs({"foo": "bar", name: value})
    assert refused.value.message.startswith("Validation failed; ")
    assert message in refused.value.message


def test_labels_need_no_feature() -> None:
    asked = {name for name, _ in VALID if is_interpreted(name)}
    assert {name for name, _ in VALID} - asked == {"foo", "foo:bar", "hardware:bogus"}
