"""The extra specs and image properties that have an effect: servers of this cloud must have what they request.

The others that Nova's libvirt driver would interpret are refused when a server is created. Names that Nova does not
interpret are labels, and are ignored.
https://docs.openstack.org/glance/latest/admin/useful-image-properties.html
"""

import re
from collections.abc import Mapping
from typing import Any

from skywright.http import BadRequest
from skywright.http.fields import FALSE, TRUE
from skywright.services.compute.extra_specs import is_interpreted
from skywright.services.compute.tables import Flavor
from skywright.services.image.internal import BOOTABLE, Image

Values = frozenset[str]
NONE: Values = frozenset()


def _values(*values: str) -> Values:
    return frozenset(values)


# Values of extra specs that servers have in any case. All other extra specs of Nova are refused.
OFFERED_SPECS: Mapping[str, Values] = {
    "hide_hypervisor_id": FALSE,
    "hw:boot_menu": FALSE,
    "hw:cpu_policy": _values("shared"),
    "hw:cpu_realtime": FALSE,
    "hw:emulator_threads_policy": _values("share"),
    "hw:ephemeral_encryption": FALSE,
    "hw:hide_hypervisor_id": FALSE,
    "hw:locked_memory": FALSE,
    "hw:mem_encryption": FALSE,
    "hw:mem_page_size": _values("small", "any"),
    "hw:redirected_usb_ports": _values("0"),
    "hw:serial_port_count": _values("1"),
    "hw:usb_model": _values("none"),
    "hw:vif_multiqueue_enabled": FALSE,
    "hw:virtio_packed_ring": FALSE,
    "hw:watchdog_action": _values("disabled"),
    "hw_rng:allowed": TRUE,
    "os:secure_boot": _values("disabled", "optional"),
}
# Values of image properties that servers have in any case. Other values of these properties are refused. Properties
# that are not listed have no effect in Nova's libvirt driver, or are about devices that servers here do not have, such
# as CD-ROM drives.
OFFERED_PROPERTIES: Mapping[str, Values] = {
    "hw_boot_menu": FALSE,
    "hw_cpu_policy": _values("shared"),
    "hw_disk_bus": _values("virtio"),
    "hw_ephemeral_encryption": FALSE,
    "hw_firmware_stateless": FALSE,
    "hw_firmware_type": _values("bios"),
    "hw_ipxe_boot": FALSE,
    "hw_locked_memory": FALSE,
    "hw_machine_type": _values("pc"),
    "hw_mem_encryption": FALSE,
    "hw_mem_page_size": _values("small", "any"),
    "hw_qemu_guest_agent": FALSE,
    "hw_redirected_usb_ports": _values("0"),
    "hw_rng_model": _values("virtio"),
    "hw_serial_port_count": _values("1"),
    "hw_time_hpet": FALSE,
    "hw_usb_model": _values("none"),
    "hw_vif_model": _values("virtio"),
    "hw_vif_multiqueue_enabled": FALSE,
    "hw_video_model": _values("vga"),
    "hw_virtio_packed_ring": FALSE,
    "hw_vm_mode": _values("hvm"),
    "hw_watchdog_action": _values("disabled"),
    "img_config_drive": _values("optional", "mandatory"),
    "img_hide_hypervisor_id": FALSE,
    "img_hv_type": _values("qemu", "kvm"),
    "img_root_device_name": _values("/dev/vda", "vda"),
    "kernel_id": _values(""),
    "os_require_quiesce": FALSE,
    "os_secure_boot": _values("disabled", "optional"),
    "os_type": _values("linux"),
    "ramdisk_id": _values(""),
} | dict.fromkeys(
    (
        "hw_cpu_cores",
        "hw_cpu_max_cores",
        "hw_cpu_max_sockets",
        "hw_cpu_max_threads",
        "hw_cpu_realtime_mask",
        "hw_cpu_sockets",
        "hw_cpu_thread_policy",
        "hw_cpu_threads",
        "hw_input_bus",
        "hw_maxphysaddr_bits",
        "hw_maxphysaddr_mode",
        "hw_mem_encryption_model",
        "hw_numa_nodes",
        "hw_pmu",
        "hw_pointer_model",
        "hw_sound_model",
        "hw_tpm_model",
        "hw_tpm_version",
        "hw_video_ram",
        "hw_viommu_model",
        "img_bdm_v2",
        "img_block_device_mapping",
        "img_hv_requested_version",
        "img_mappings",
    ),
    NONE,
)
REFUSED_PROPERTY = re.compile(r"trait:.*|hw_numa_(cpus|mem)\.\d+", re.ASCII | re.DOTALL)
# Names from before the release Liberty.
OLD_NAMES = {
    "architecture": "hw_architecture",
    "bdm_v2": "img_bdm_v2",
    "block_device_mapping": "img_block_device_mapping",
    "hypervisor_type": "img_hv_type",
    "hypervisor_version_requires": "img_hv_requested_version",
    "ipxe_boot": "hw_ipxe_boot",
    "mappings": "img_mappings",
    "root_device_name": "img_root_device_name",
    "vm_mode": "hw_vm_mode",
}
# {architecture: architectures of hosts that can also run it}.
SAME_ARCHITECTURE = dict.fromkeys(("amd64", "i386", "i486", "i586", "i686", "x86"), "x86_64") | {"arm64": "aarch64"}


def check_flavor(flavor: Flavor) -> None:
    """Raise BadRequest if the flavor requests what servers do not have."""
    if flavor.swap_mib or flavor.ephemeral_gib:
        raise BadRequest("Flavors with swap or ephemeral disks cannot be used: servers have one disk.")
    if flavor.rxtx_factor != 1:
        raise BadRequest("Flavors with an rxtx_factor other than 1 cannot be used: all ports have the same share.")
    for name, value in flavor.extra_specs.items():
        offered = OFFERED_SPECS.get(name, NONE)
        if is_interpreted(name) and str(value).strip().lower() not in offered:
            raise BadRequest(f"Flavor {flavor.name} cannot be used: extra spec {_not_offered(name, value, offered)}")


def check_image(image: Image) -> None:
    """Raise BadRequest if servers cannot boot from the image, or if it requests what they do not have."""
    if image.disk_format not in BOOTABLE or image.container_format != "bare":
        kinds = f"{' and '.join(BOOTABLE)} images in container format bare"
        raise _unacceptable(
            image, f"servers boot from {kinds}, and it is {image.disk_format} in {image.container_format}."
        )
    for name, value in image.properties.items():
        known = OLD_NAMES.get(name, name)
        offered = NONE if REFUSED_PROPERTY.fullmatch(known) else OFFERED_PROPERTIES.get(known)
        if offered is not None and str(value).strip().lower() not in offered:
            raise _unacceptable(image, f"property {_not_offered(name, value, offered)}")


def needs_config_drive(image: Image) -> bool:
    """Return whether servers of the image must have a config drive."""
    return str(image.properties.get("img_config_drive", "")).strip().lower() == "mandatory"


def architecture_of(image: Image) -> str | None:
    """Return the architecture of the image, if it has that property."""
    wanted: Any = image.properties.get("hw_architecture") or image.properties.get("architecture")
    name = str(wanted or "").strip().lower()
    return SAME_ARCHITECTURE.get(name, name) or None


def check_architecture(image: Image, known: set[str]) -> None:
    """Raise BadRequest if none of the *known* architectures of hosts fits the image."""
    wanted = architecture_of(image)
    if wanted and known and wanted not in known:
        raise _unacceptable(image, f"it is for {wanted}, and this cloud's hosts are {', '.join(sorted(known))}.")


def _unacceptable(image: Image, reason: str) -> BadRequest:
    return BadRequest(f"Image {image.id} is unacceptable: {reason}")


def _not_offered(name: str, value: Any, offered: Values) -> str:
    rest = f" (offered: {', '.join(sorted(offered))})" if offered else ""
    return f"{name}={value} is not offered by this cloud yet{rest}."
