"""Bodies of requests about servers."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import netaddr
from pydantic import AfterValidator, BeforeValidator, Field

from skywright.services.compute.validation import (
    Boolean,
    Description,
    Identifier,
    Metadata,
    Name,
    Positive,
    Strict,
    printable,
)

MAX_USER_DATA = 65535
Reference = Annotated[str, Field(max_length=1024), AfterValidator(printable)]


def _base64(text: str) -> str:
    text = re.sub(r"\s", "", text)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it must be base64") from None
    return text


def _address(version: Literal[4, 6]) -> Any:
    def check(text: str) -> str:
        if not text:
            return text
        try:
            return str(netaddr.IPAddress(text, version))
        except (netaddr.AddrFormatError, ValueError):
            raise ValueError(f"it must be an IPv{version} address") from None

    return check


def _ip(text: str) -> str:
    try:
        return str(netaddr.IPAddress(text))
    except (netaddr.AddrFormatError, ValueError):
        raise ValueError("it must be an IP address") from None


def _tag(text: str) -> str:
    if "/" in text or "," in text:
        raise ValueError("tags must not have / or ,")
    return printable(text)


def _unique(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _unless_empty(reason: str) -> Callable[[Any], None]:
    """The check of a field that this cloud could only ignore."""

    def check(value: Any) -> None:
        if value not in (None, "", [], {}):
            raise ValueError(reason)

    return check


def _block_devices(value: Any) -> Any:
    """The block devices of a request: at most the server's image as its disk, which is what it gets anyway."""
    if not isinstance(value, list) or len(value) > 1 or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{NO_VOLUMES}: there can be one block device at most, the server's image as its disk")
    for item in value:
        if any(str(item.get(name)) != wanted for name, wanted in IMAGE_AS_DISK.items()):
            raise ValueError(f"{NO_VOLUMES}: a block device has {', '.join(map('='.join, IMAGE_AS_DISK.items()))}")
        if others := sorted(item.keys() - IMAGE_AS_DISK.keys() - BlockDevice.model_fields.keys()):
            raise ValueError(f"this cloud does not offer {', '.join(others)} of block devices yet")
    return value


def _with_server(delete_on_termination: bool) -> bool:
    if not delete_on_termination:
        raise ValueError("a local disk is deleted with its server")
    return True


NO_VOLUMES = "this cloud has no volumes yet"
IMAGE_AS_DISK = {"source_type": "image", "destination_type": "local", "boot_index": "0"}
# Fields of Nova's without effect here.
NoTag = Annotated[None, BeforeValidator(_unless_empty("this cloud has no device tags yet"))]
NoVolumes = Annotated[None, BeforeValidator(_unless_empty(NO_VOLUMES))]
NoGroups = Annotated[None, BeforeValidator(_unless_empty("this cloud has no security groups yet"))]
NoFiles = Annotated[None, BeforeValidator(_unless_empty("this cloud does not inject files: use user_data"))]
NoCertificates = Annotated[None, BeforeValidator(_unless_empty("this cloud does not check images' certificates yet"))]
NoHints = Annotated[None, BeforeValidator(_unless_empty("this cloud has no scheduler hints yet"))]
Tag = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_tag)]
Tags = Annotated[list[Tag], Field(max_length=50), AfterValidator(_unique)]
UserData = Annotated[str, Field(max_length=MAX_USER_DATA), AfterValidator(_base64)]
Hostname = Annotated[str, Field(pattern=r"\A[a-zA-Z0-9]([a-zA-Z0-9\-.]{0,253}[a-zA-Z0-9])?\z")]
AccessIPv4 = Annotated[str, Field(max_length=64), AfterValidator(_address(4))]
AccessIPv6 = Annotated[str, Field(max_length=64), AfterValidator(_address(6))]
DiskConfig = Literal["AUTO", "MANUAL"]


class NetworkWish(Strict):
    """One interface: a port of the user's, or a new port on a network, perhaps with a certain address."""

    uuid: Identifier | None = None
    port: Identifier | None = None
    fixed_ip: Annotated[str, AfterValidator(_ip)] | None = None
    tag: NoTag = None


class BlockDevice(Strict):
    """The image, on the host's disk, which leaves with the server."""

    uuid: Identifier
    boot_index: Literal[0, "0"]
    source_type: Literal["image"]
    destination_type: Literal["local"]
    delete_on_termination: Annotated[Boolean, AfterValidator(_with_server)] = True


class NewServer(Strict):
    name: Name
    imageRef: Reference | None = None
    flavorRef: Reference | int
    networks: list[NetworkWish] | Literal["auto", "none"] | None = None
    key_name: Identifier | None = None
    metadata: Metadata = Field(default_factory=dict)
    user_data: UserData | None = None
    config_drive: Boolean | Literal[""] | None = None
    availability_zone: Identifier | None = None
    host: Identifier | None = None
    hypervisor_hostname: Identifier | None = None
    min_count: Positive = 1
    max_count: Positive | None = None
    return_reservation_id: Boolean = False
    description: Description | None = None
    tags: Tags = Field(default_factory=list)
    hostname: Hostname | None = None
    adminPass: Identifier | None = None
    accessIPv4: AccessIPv4 = ""
    accessIPv6: AccessIPv6 = ""
    disk_config: DiskConfig = Field("MANUAL", alias="OS-DCF:diskConfig")
    block_device_mapping_v2: Annotated[list[BlockDevice], BeforeValidator(_block_devices)] = Field(default_factory=list)
    block_device_mapping: NoVolumes = None
    security_groups: NoGroups = None
    personality: NoFiles = None
    trusted_image_certificates: NoCertificates = None


class CreateServer(Strict):
    server: NewServer
    hints: NoHints = Field(None, alias="os:scheduler_hints")
    old_hints: NoHints = Field(None, alias="OS-SCH-HNT:scheduler_hints")


class ServerChange(Strict):
    name: Name | None = None
    description: Description | None = None
    hostname: Hostname | None = None
    accessIPv4: AccessIPv4 | None = None
    accessIPv6: AccessIPv6 | None = None
    disk_config: DiskConfig | None = Field(None, alias="OS-DCF:diskConfig")


class UpdateServer(Strict):
    server: ServerChange
