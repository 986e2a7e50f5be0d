"""Sending image data: to users by token, to hosts by signed URL."""

from typing import Any

from fastapi import Response
from fastapi.responses import FileResponse

from skywright.auth.signatures import Signatures, image_data_path
from skywright.db.image import Image
from skywright.http import Context, Forbidden, NotFound, Router
from skywright.services.image.access import visible_image
from skywright.services.image.store import Store

router = Router()


class DataResponse(FileResponse):
    """A file in larger pieces than Starlette's: each costs a change of threads."""

    chunk_size = 256 * 1024


@router.operation("GET", "/v2/images/{image_id}/file", policy=None)
def download_data(context: Context, image_id: str) -> Response:
    row = _by_signature(context, image_id) if "signature" in context.request.query_params else None
    if row is None:
        row = _by_token(context, image_id)
    if row.status not in ("active", "deactivated"):
        return Response(status_code=204)
    path = Store(context.cloud.settings.image_dir).path(row.id)
    try:
        stat = path.stat()
    except FileNotFoundError as error:
        raise NotFound(f"The data of image {image_id} could not be found.") from error
    headers: dict[str, Any] = {}
    if row.checksum and "range" not in context.request.headers:
        headers["Content-MD5"] = row.checksum
    return DataResponse(path, headers=headers, media_type="application/octet-stream", stat_result=stat)


def _by_signature(context: Context, image_id: str) -> Image:
    query = context.request.query_params
    signatures = Signatures(context.cloud.settings.key_dir)
    row = context.db.get(Image, image_id)
    if not signatures.valid(image_data_path(image_id), query.get("expires", ""), query["signature"]):
        raise Forbidden("The signature of this URL is not valid, or it has expired.")
    if row is None or row.status != "active":
        raise NotFound(f"Failed to find image {image_id}")
    return row


def _by_token(context: Context, image_id: str) -> Image:
    context.enforce("image:images:download")
    row = visible_image(context, image_id)
    if row.status == "deactivated" and not context.allows("image:images:download_deactivated"):
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    return row
