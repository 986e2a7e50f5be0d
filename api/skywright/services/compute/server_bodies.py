"""Bodies of requests about servers."""

import base64
import binascii
import re
from typing import Annotated, Any, Literal

import netaddr
from pydantic import AfterValidator, BeforeValidator, Field, StrictInt

from skywright.errors import BadRequest, lacking
from skywright.http.bodies import Omittable, Strict, misfit, only_empty
from skywright.services.compute.validation import (
    Boolean,
    Description,
    Identifier,
    IpAddress,
    Metadata,
    Name,
    Positive,
    printable,
)

MAX_USER_DATA = 65535
Reference = Annotated[str, Field(max_length=1024), AfterValidator(printable)]


def _base64(text: str) -> str:
    text = re.sub(r"\s", "", text)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise misfit("base64") from None
    return text


def _address(version: Literal[4, 6]) -> Any:
    def check(text: str) -> str:
        if not text:
            return text
        try:
            return str(netaddr.IPAddress(text, version))
        except (netaddr.AddrFormatError, ValueError):
            raise misfit(f"ipv{version}") from None

    return check


def _unique(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _block_devices(value: Any) -> Any:
    """Validate the block devices of a request: at most the server's image as its disk, which is the default."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return value
    if len(value) > 1:
        raise ValueError(f"{NO_VOLUMES} There can be one block device at most, the server's image as its disk.")
    for item in value:
        if any(str(item.get(name)) != wanted for name, wanted in IMAGE_AS_DISK.items()):
            raise ValueError(f"{NO_VOLUMES} A block device has {', '.join(map('='.join, IMAGE_AS_DISK.items()))}.")
        if others := sorted(item.keys() - IMAGE_AS_DISK.keys() - BlockDevice.model_fields.keys()):
            raise ValueError(f"This cloud does not offer {', '.join(others)} of block devices yet.")
    return value


def _with_server(delete_on_termination: bool) -> bool:
    if not delete_on_termination:
        raise ValueError("delete_on_termination must be true: a local disk is deleted with its server.")
    return True


NO_VOLUMES = lacking("volumes")
IMAGE_AS_DISK = {"source_type": "image", "destination_type": "local", "boot_index": "0"}
# Nova's fields that have no effect here.
NoTag = Annotated[str, Field(min_length=1), only_empty(lacking("device tags"))]
NoVolumes = Annotated[list[Any], only_empty(NO_VOLUMES)]
NoGroups = Annotated[list[Any], only_empty(lacking("security groups"))]
NoFiles = Annotated[list[Any], only_empty("This cloud does not inject files: use user_data.")]
NoCertificates = Annotated[
    list[str], Field(min_length=1), only_empty("This cloud does not check images' certificates yet.")
]
NoHints = Annotated[dict[str, Any], only_empty(lacking("scheduler hints"))]
Tag = Annotated[str, Field(min_length=1, max_length=60, pattern="^[^,/]*$"), AfterValidator(printable)]
Tags = Annotated[list[Tag], Field(max_length=50), AfterValidator(_unique)]
UserData = Annotated[str, Field(max_length=MAX_USER_DATA), AfterValidator(_base64)]
Hostname = Annotated[str, Field(pattern=r"\A[a-zA-Z0-9]([a-zA-Z0-9\-.]{0,253}[a-zA-Z0-9])?\z")]
AccessIPv4 = Annotated[str, Field(max_length=64), AfterValidator(_address(4))]
AccessIPv6 = Annotated[str, Field(max_length=64), AfterValidator(_address(6))]
DiskConfig = Literal["AUTO", "MANUAL"]


def check_hostname(hostname: str | None, version: int) -> None:
    """Raise BadRequest for a hostname with a domain before microversion 2.94."""
    if hostname and version < 94 and (len(hostname) > 63 or "." in hostname):
        raise BadRequest(
            f"Invalid input for field/attribute hostname. Value: {hostname}. It must have no domain before 2.94."
        )


class NetworkRequest(Strict):
    """One interface: an existing port, or a new port on a network, optionally with a fixed address."""

    uuid: Omittable[Identifier] = None
    port: Identifier | None = None
    fixed_ip: Omittable[IpAddress] = None
    tag: Omittable[NoTag] = None


class BlockDevice(Strict):
    """The image, on a disk of the host that is deleted with the server."""

    uuid: Identifier
    boot_index: Literal[0, "0"]
    source_type: Literal["image"]
    destination_type: Literal["local"]
    delete_on_termination: Annotated[Boolean, AfterValidator(_with_server)] = True


class NewServer(Strict):
    name: Name
    imageRef: Omittable[Reference] = None
    flavorRef: Reference | StrictInt
    networks: Omittable[list[NetworkRequest] | Literal["auto", "none"]] = None
    key_name: Omittable[Identifier] = None
    metadata: Metadata = Field(default_factory=dict)
    user_data: Omittable[UserData] = None
    config_drive: Omittable[Boolean | Literal[""]] = None
    availability_zone: Omittable[Identifier] = None
    host: Omittable[Identifier] = None
    hypervisor_hostname: Omittable[Identifier] = None
    min_count: Positive = 1
    max_count: Omittable[Positive] = None
    return_reservation_id: Boolean = False
    description: Description | None = None
    tags: Tags = Field(default_factory=list)
    hostname: Omittable[Hostname] = None
    adminPass: Omittable[Identifier] = None
    accessIPv4: AccessIPv4 = ""
    accessIPv6: AccessIPv6 = ""
    disk_config: DiskConfig = Field("MANUAL", alias="OS-DCF:diskConfig")
    block_device_mapping_v2: Annotated[list[BlockDevice], BeforeValidator(_block_devices)] = Field(default_factory=list)
    block_device_mapping: NoVolumes = Field(default_factory=list)
    security_groups: NoGroups = Field(default_factory=list)
    personality: NoFiles = Field(default_factory=list)
    trusted_image_certificates: NoCertificates | None = None


class CreateServer(Strict):
    server: NewServer
    hints: NoHints = Field(default_factory=dict, alias="os:scheduler_hints")
    old_hints: NoHints = Field(default_factory=dict, alias="OS-SCH-HNT:scheduler_hints")


class ServerChange(Strict):
    name: Omittable[Name] = None
    description: Description | None = None
    hostname: Omittable[Hostname] = None
    accessIPv4: Omittable[AccessIPv4] = None
    accessIPv6: Omittable[AccessIPv6] = None
    disk_config: Omittable[DiskConfig] = Field(None, alias="OS-DCF:diskConfig")


class UpdateServer(Strict):
    server: ServerChange
