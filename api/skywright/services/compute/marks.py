"""Marks of servers on hosts."""

from skywright.db.host_facts import Mark


class ServerDirectory(Mark):
    """A server's directory; `image_id` is the image that its disk is based on."""

    disk: bool
    image_id: str | None
