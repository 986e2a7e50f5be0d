"""The functions of this service for other services."""

from skywright.services.image.access import visible_image
from skywright.services.image.kinds.image import BOOTABLE, image_item, server_left
from skywright.services.image.tables import Image

__all__ = ["BOOTABLE", "Image", "image_item", "server_left", "visible_image"]
