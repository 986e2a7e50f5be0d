"""The image service's policy rules: Glance's names, targets and defaults.

https://docs.openstack.org/glance/latest/configuration/glance_policy.html
"""

from skywright.auth.policy import ADMIN

# Base rules of Glance, which its other rules and operators' policy files use.
BASE = {
    "default": "",
    "context_is_admin": "role:admin",
    "service_api": "role:service or role:admin",
    "metadef_default": "",
    "metadef_admin": "rule:context_is_admin",
}
READER = f"{ADMIN} or (role:reader and project_id:%(project_id)s)"
MEMBER = f"{ADMIN} or (role:member and project_id:%(project_id)s)"
_VISIBLE = (
    "(project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s"
    " or 'public':%(visibility)s or 'shared':%(visibility)s)"
)
MEMBERS_READER = f"{ADMIN} or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)"
METADEF_READER = f"{ADMIN} or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"
METADEF_ADMIN = "rule:metadef_admin"

POLICIES = BASE | {
    "stores_info_detail": f"{ADMIN} or rule:service_api",
    "get_images": READER,
    "get_image": f"{ADMIN} or (role:reader and {_VISIBLE})",
    "add_image": f"{ADMIN} or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
    "modify_image": MEMBER,
    "delete_image": MEMBER,
    "publicize_image": ADMIN,
    "communitize_image": MEMBER,
    "upload_image": MEMBER,
    "download_image": f"{ADMIN} or (role:member and {_VISIBLE})",
    "deactivate": MEMBER,
    "reactivate": MEMBER,
    "get_members": MEMBERS_READER,
    "get_member": MEMBERS_READER,
    "add_member": MEMBER,
    "modify_member": f"{ADMIN} or (role:member and project_id:%(member_id)s)",
    "delete_member": MEMBER,
    "tasks_api_access": ADMIN,
    "get_metadef_namespaces": READER,
    "get_metadef_namespace": METADEF_READER,
    "add_metadef_namespace": METADEF_ADMIN,
    "modify_metadef_namespace": METADEF_ADMIN,
    "delete_metadef_namespace": METADEF_ADMIN,
    "list_metadef_resource_types": METADEF_READER,
    "get_metadef_resource_type": METADEF_READER,
    "add_metadef_resource_type_association": METADEF_ADMIN,
    "remove_metadef_resource_type_association": METADEF_ADMIN,
    **{f"get_metadef_{kind}": METADEF_READER for kind in ("object", "property", "tag")},
    **{f"get_metadef_{kinds}": METADEF_READER for kinds in ("objects", "properties", "tags")},
    **{f"{verb}_metadef_{kind}": METADEF_ADMIN for verb in ("add", "modify") for kind in ("object", "property", "tag")},
    "delete_metadef_object": METADEF_ADMIN,
    "remove_metadef_property": METADEF_ADMIN,
    "delete_metadef_tag": METADEF_ADMIN,
    "add_metadef_tags": METADEF_ADMIN,
    "delete_metadef_tags": METADEF_ADMIN,
}
