"""Requests for servers that this cloud cannot fulfill are refused at once: Nova's 400 and 403, with the reason."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, add_image, make_fixtures, run_jobs
from contract.conftest import Api
from skywright.db.jobs import Host
from skywright.services.compute.tables import Server


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "host1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def nova_admin(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


@pytest.fixture(autouse=True)
def done(api: Api) -> Iterator[None]:
    yield
    run_jobs(api.cloud)


def refusal(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    [(_, fault)] = answer.json().items()
    return str(fault["message"])


def flavor(nova_admin: Nova, *, specs: dict[str, str] | None = None, **values: Any) -> str:
    columns = {"name": str(uuid.uuid4()), "vcpus": 1, "ram": 128, "disk": 1} | values
    made: str = nova_admin("POST", "/flavors", {"flavor": columns}).json()["flavor"]["id"]
    if specs:
        answer = nova_admin("POST", f"/flavors/{made}/os-extra_specs", {"extra_specs": specs}, version="2.85")
        assert answer.status_code == 200
    return made


@pytest.mark.parametrize(
    ("disk_format", "container_format"),
    [("vmdk", "bare"), ("iso", "bare"), ("vdi", "bare"), ("vhd", "bare"), ("raw", "ovf"), ("qcow2", "docker")],
)
def test_images_that_no_host_boots(
    api: Api, nova: Nova, fixtures: Fixtures, disk_format: str, container_format: str
) -> None:
    image = add_image(api.cloud, disk_format=disk_format, container_format=container_format)
    message = refusal(nova("POST", "/servers", fixtures.body(imageRef=image)))
    assert message == (
        f"Image {image} is unacceptable: servers boot from qcow2 and raw images in container format bare, and it is "
        f"{disk_format} in {container_format}."
    )


@pytest.mark.parametrize("status", ["queued", "saving", "deactivated", "pending_delete", "killed"])
def test_images_that_are_not_active(api: Api, nova: Nova, fixtures: Fixtures, status: str) -> None:
    image = add_image(api.cloud, status=status)
    assert refusal(nova("POST", "/servers", fixtures.body(imageRef=image))) == f"Image {image} is not active."


def test_flavors_that_are_too_small(api: Api, nova: Nova, fixtures: Fixtures) -> None:
    for values, message in (
        ({"min_ram": 129}, "Flavor's memory is too small for requested image."),
        (
            {"virtual_size": (1 << 30) + 1},
            "Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is 1073741825 "
            "bytes.",
        ),
        (
            {"min_disk": 2},
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is 1073741824 "
            "bytes, minimum size is 2147483648 bytes.",
        ),
    ):
        image = add_image(api.cloud, **values)
        assert refusal(nova("POST", "/servers", fixtures.body(imageRef=image))) == message


@pytest.mark.parametrize("more", [{"swap": 1}, {"OS-FLV-EXT-DATA:ephemeral": 1}, {"rxtx_factor": 1.5}])
def test_flavors_with_what_servers_do_not_have(
    nova: Nova, nova_admin: Nova, fixtures: Fixtures, more: dict[str, Any]
) -> None:
    body = fixtures.body(flavorRef=flavor(nova_admin, **more))
    assert "cannot be used: " in refusal(nova("POST", "/servers", body))


def test_a_disk_of_0_is_for_administrators(nova: Nova, nova_admin: Nova, fixtures: Fixtures) -> None:
    body = fixtures.body(flavorRef=flavor(nova_admin, disk=0), networks="none")
    message = refusal(nova("POST", "/servers", body), 403)
    assert message == "Only volume-backed servers are allowed for flavors with zero disk."
    assert nova_admin("POST", "/servers", body).status_code == 202


ASKED_SPECS = {
    "quota:cpu_shares": "2048",
    "hw:cpu_policy": "dedicated",
    "hw:numa_nodes": "1",
    "hw:bogus": "1",
    "trait:HW_CPU_X86_AVX2": "required",
    "resources:VGPU": "1",
    "aggregate_instance_extra_specs:ssd": "true",
    "hw_rng:allowed": "false",
    "os:secure_boot": "required",
    "hide_hypervisor_id": "true",
}


@pytest.mark.parametrize("name", ASKED_SPECS)
def test_extra_specs_that_servers_would_ignore(nova: Nova, nova_admin: Nova, fixtures: Fixtures, name: str) -> None:
    body = fixtures.body(flavorRef=flavor(nova_admin, specs={name: ASKED_SPECS[name]}))
    assert f"extra spec {name}={ASKED_SPECS[name]} is not offered" in refusal(nova("POST", "/servers", body))


def test_extra_specs_that_every_server_fulfills(nova: Nova, nova_admin: Nova, fixtures: Fixtures) -> None:
    specs = {"hw:cpu_policy": "shared", "hw_rng:allowed": "True", "hw:boot_menu": "no", "team": "blue", "foo:bar": "1"}
    body = fixtures.body(flavorRef=flavor(nova_admin, specs=specs))
    assert nova("POST", "/servers", body).status_code == 202


def test_extra_specs_are_validated_since_2_86(nova_admin: Nova) -> None:
    path = f"/flavors/{flavor(nova_admin)}/os-extra_specs"
    for name, value in (("hw:bogus", "1"), ("hw:cpu_policy", "none"), ("hw:numa_nodes", "0")):
        for method, where, body in (
            ("POST", path, {"extra_specs": {name: value}}),
            ("PUT", f"{path}/{name}", {name: value}),
        ):
            assert refusal(nova_admin(method, where, body, version="2.86")).startswith("Validation failed; ")
            assert nova_admin(method, where, body, version="2.85").status_code == 200
    fine = {"hw:numa_nodes": "1", "hw:cpu_policy": "shared", "foo:bar": "baz"}
    assert nova_admin("POST", path, {"extra_specs": fine}, version="2.86").json() == {"extra_specs": fine}


ASKED_PROPERTIES = {
    "hw_disk_bus": "scsi",
    "hw_vif_model": "e1000",
    "hw_video_model": "qxl",
    "hw_firmware_type": "uefi",
    "hw_machine_type": "q35",
    "hw_qemu_guest_agent": "yes",
    "hw_cpu_cores": "2",
    "hw_numa_mem.0": "512",
    "hw_tpm_version": "2.0",
    "os_secure_boot": "required",
    "os_type": "windows",
    "vm_mode": "xen",
    "hypervisor_type": "xen",
    "kernel_id": "0a0b0c0d-0000-4000-8000-000000000004",
    "trait:HW_CPU_X86_AVX2": "required",
    "img_config_drive": "maybe",
}


@pytest.mark.parametrize("name", ASKED_PROPERTIES)
def test_image_properties_that_servers_would_ignore(api: Api, nova: Nova, fixtures: Fixtures, name: str) -> None:
    image = add_image(api.cloud, properties={name: ASKED_PROPERTIES[name]})
    message = refusal(nova("POST", "/servers", fixtures.body(imageRef=image)))
    assert message.startswith(f"Image {image} is unacceptable: property {name}={ASKED_PROPERTIES[name]} is not offered")


def test_image_properties_that_every_server_fulfills(api: Api, nova: Nova, fixtures: Fixtures) -> None:
    properties = {
        "hw_disk_bus": "virtio",
        "hw_vif_model": "virtio",
        "hw_qemu_guest_agent": "no",
        "hw_rng_model": "virtio",
        "hw_scsi_model": "virtio-scsi",  # of SCSI disks, which this cloud does not have
        "hypervisor_type": "qemu",
        "os_type": "linux",
        "os_distro": "debian",
        "architecture": "x86_64",
        "kernel_id": "",
        "hw_unheard_of": "1",
        "owner_specified.openstack.md5": "",
    }
    image = add_image(api.cloud, properties=properties)
    assert nova("POST", "/servers", fixtures.body(imageRef=image)).status_code == 202


@pytest.mark.parametrize(("wanted", "kept"), [("x86_64", "x86_64"), ("i686", "x86_64"), ("AMD64", "x86_64")])
def test_servers_keep_the_architecture_of_their_image(
    api: Api, nova: Nova, fixtures: Fixtures, wanted: str, kept: str
) -> None:
    image = add_image(api.cloud, properties={"hw_architecture": wanted})
    created = nova("POST", "/servers", fixtures.body(imageRef=image)).json()["server"]["id"]
    with api.cloud.database.read() as session:
        assert session.get_one(Server, created).architecture == kept


def test_an_architecture_that_no_host_has(api: Api, nova: Nova, fixtures: Fixtures) -> None:
    image = add_image(api.cloud, properties={"architecture": "aarch64"})
    message = refusal(nova("POST", "/servers", fixtures.body(imageRef=image)))
    assert message == f"Image {image} is unacceptable: it is for aarch64, and this cloud's hosts are x86_64."
    with api.cloud.database.write() as session:
        session.get_one(Host, "host1").architecture = None
    try:
        assert nova("POST", "/servers", fixtures.body(imageRef=image)).status_code == 202, "no host said what it is"
    finally:
        with api.cloud.database.write() as session:
            session.get_one(Host, "host1").architecture = "x86_64"


def test_an_image_can_demand_a_config_drive(api: Api, nova: Nova, fixtures: Fixtures) -> None:
    image = add_image(api.cloud, properties={"img_config_drive": "mandatory"})
    body = fixtures.body(imageRef=image, config_drive=False, adminPass="mine")
    created = nova("POST", "/servers", body).json()["server"]
    assert created["adminPass"] == "mine"
    assert nova("GET", f"/servers/{created['id']}").json()["server"]["config_drive"] == "True"


LOCAL = {"source_type": "image", "destination_type": "local", "boot_index": 0}


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ({"networks": [{"uuid": "NETWORK", "tag": "nic1"}]}, "no device tags yet"),
        ({"security_groups": [{"name": "default"}]}, "no security groups yet"),
        ({"block_device_mapping": [{"volume_id": "x"}]}, "no volumes yet"),
        ({"block_device_mapping_v2": [LOCAL | {"uuid": "IMAGE", "destination_type": "volume"}]}, "no volumes yet"),
        ({"block_device_mapping_v2": [LOCAL | {"uuid": "IMAGE", "source_type": "blank"}]}, "no volumes yet"),
        ({"block_device_mapping_v2": [LOCAL | {"uuid": "IMAGE", "boot_index": 1}]}, "no volumes yet"),
        ({"block_device_mapping_v2": [LOCAL | {"uuid": "IMAGE"}] * 2}, "one block device at most"),
        ({"block_device_mapping_v2": [LOCAL | {"uuid": "IMAGE", "tag": "root"}]}, "does not offer tag"),
        ({"block_device_mapping_v2": [LOCAL | {"uuid": "IMAGE", "disk_bus": "scsi"}]}, "does not offer disk_bus"),
        ({"block_device_mapping_v2": [LOCAL | {"uuid": "IMAGE", "volume_size": 5}]}, "does not offer volume_size"),
        (
            {"block_device_mapping_v2": [LOCAL | {"uuid": "IMAGE", "delete_on_termination": False}]},
            "a local disk is deleted with its server",
        ),
        ({"trusted_image_certificates": ["x"]}, "does not check images' certificates"),
        ({"hostname": "web", "min_count": 2}, "Unable to allocate a single hostname to multiple instances"),
    ],
)
def test_attributes_that_servers_would_ignore(
    nova: Nova, fixtures: Fixtures, attribute: dict[str, Any], message: str
) -> None:
    names = {"NETWORK": fixtures.network, "IMAGE": fixtures.image}
    known = {
        key: [{name: names.get(str(entry), entry) for name, entry in item.items()} for item in value]
        if isinstance(value, list) and isinstance(value[0], dict)
        else value
        for key, value in attribute.items()
    }
    assert message in refusal(nova("POST", "/servers", fixtures.body(**known)))


def test_files_and_hints_that_servers_would_ignore(nova: Nova, fixtures: Fixtures) -> None:
    file = {"personality": [{"path": "/etc/motd", "contents": "aGk="}]}
    assert "does not inject files" in refusal(nova("POST", "/servers", fixtures.body(**file), version="2.56"))
    for name in ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"):
        body = fixtures.body() | {name: {"same_host": "x"}}
        assert "no scheduler hints yet" in refusal(nova("POST", "/servers", body))
        assert nova("POST", "/servers", fixtures.body() | {name: {}}).status_code == 202


def test_empty_values_are_accepted(nova: Nova, fixtures: Fixtures) -> None:
    body = fixtures.body(security_groups=[], block_device_mapping_v2=[LOCAL | {"uuid": fixtures.image}])
    assert nova("POST", "/servers", body).status_code == 202
    assert nova("POST", "/servers", fixtures.body(personality=[]), version="2.56").status_code == 202


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"host": "host1", "hypervisor_hostname": "host2"}, "Compute host host2 could not be found."),
        ({"host": "host1", "availability_zone": "nova:host1"}, "are mutually exclusive"),
    ],
)
def test_hosts_that_contradict_each_other(
    nova_admin: Nova, fixtures: Fixtures, attributes: dict[str, str], message: str
) -> None:
    assert message in refusal(nova_admin("POST", "/servers", fixtures.body(**attributes)))
