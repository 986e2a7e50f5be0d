"""The sources of a new server: the flavor, image and key pair in the request, if they can be used."""

from sqlalchemy import select

from skywright.db.jobs import Host
from skywright.http import BadRequest, Context, Forbidden, NotFound
from skywright.services.compute.flavors import find_flavor
from skywright.services.compute.keypairs import find_keypair
from skywright.services.compute.server_bodies import NewServer
from skywright.services.compute.server_demands import check_architecture, check_flavor, check_image
from skywright.services.compute.tables import Flavor, Keypair
from skywright.services.image.internal import Image, visible_image

ZERO_DISK = "os_compute_api:servers:create:zero_disk_flavor"
GIB = 1 << 30


def usable_flavor(context: Context, reference: str) -> Flavor:
    """Return the flavor if servers can use it; raise Forbidden if it has disk 0 and the policy does not allow that."""
    identifier = reference.rsplit("/", 1)[-1]
    try:
        flavor = find_flavor(context, identifier)
    except NotFound as error:
        raise BadRequest(error.message) from None
    if flavor.disabled:
        raise BadRequest(f"Flavor {identifier} could not be found.")
    check_flavor(flavor)
    if not flavor.disk_gib and not context.allows(ZERO_DISK):
        raise Forbidden("Only volume-backed servers are allowed for flavors with zero disk.")
    return flavor


def usable_image(context: Context, wanted: NewServer, flavor: Flavor) -> Image:
    """Return the image if servers of *flavor* can boot from it."""
    image = _image(context, wanted)
    if image.status != "active":
        raise BadRequest(f"Image {image.id} is not active.")
    check_image(image)
    if image.properties:
        query = select(Host.architecture).where(Host.architecture.is_not(None)).distinct()
        check_architecture(image, {str(name) for name in context.db.scalars(query)})
    if flavor.ram_mib < image.min_ram:
        raise BadRequest("Flavor's memory is too small for requested image.")
    virtual, size = image.virtual_size or image.size or 0, flavor.disk_gib * GIB
    if size and size < virtual:
        raise BadRequest(
            f"Flavor's disk is too small for requested image. Flavor disk is {size} bytes, image is {virtual} bytes."
        )
    if size and size < image.min_disk * GIB:
        raise BadRequest(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {size} bytes, minimum size is {image.min_disk * GIB} bytes."
        )
    return image


def _image(context: Context, wanted: NewServer) -> Image:
    mapped = wanted.block_device_mapping_v2[0].uuid if wanted.block_device_mapping_v2 else None
    reference = wanted.imageRef or mapped
    if not reference:
        raise BadRequest("Invalid imageRef provided.")
    identifier = reference.rsplit("/", 1)[-1]
    if mapped not in (None, identifier):
        raise BadRequest("Block Device Mapping is Invalid: the image that it boots from is not imageRef.")
    try:
        return visible_image(context, identifier)
    except NotFound:
        raise BadRequest("Can not find requested image") from None


def usable_keypair(context: Context, name: str | None) -> Keypair | None:
    """Return the caller's key pair *name*."""
    if name is None:
        return None
    keypair = find_keypair(context.db, context.caller.user_id, name)
    if keypair is None:
        raise BadRequest("Invalid key_name provided.")
    return keypair
