"""The image service's policy rules. Rules on an image are enforced with the image's owner as the project."""

from skywright.auth.policy import MEMBER, READER

ADMIN = "role:admin"
POLICIES = {
    "context_is_admin": "role:admin",
    "image:images:create": MEMBER,
    "image:images:list": READER,
    "image:images:show": READER,
    "image:images:update": MEMBER,
    "image:images:delete": MEMBER,
    "image:images:publicize": ADMIN,
    "image:images:communitize": MEMBER,
    "image:images:set_owner": ADMIN,
    "image:images:upload": MEMBER,
    "image:images:download": READER,
    "image:images:download_deactivated": ADMIN,
    "image:images:deactivate": MEMBER,
    "image:images:reactivate": MEMBER,
    "image:images:tags": MEMBER,
    "image:images:import": MEMBER,
    "image:members:list": READER,
    "image:members:show": READER,
    "image:members:create": MEMBER,
    "image:members:update": MEMBER,
    "image:members:delete": MEMBER,
    "image:tasks:list": READER,
    "image:tasks:list_all": ADMIN,
    "image:tasks:create": ADMIN,
    "image:metadefs:read": READER,
    "image:metadefs:write": ADMIN,
    "image:info": READER,
    "image:schemas": READER,
}
