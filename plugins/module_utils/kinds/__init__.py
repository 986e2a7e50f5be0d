# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All kinds, in the order in which hosts converge them."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils.kinds.dhcp_network import DhcpNetwork
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.image_cache import ImageCache
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.libvirt_domain import LibvirtDomain
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.metadata_proxy import MetadataProxy
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_network import OvsNetwork
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_port_security import OvsPortSecurity
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_qos import OvsQos
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_security_group import OvsSecurityGroup
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.router import Router
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.server_disk import ServerDisk

KINDS = (
    OvsNetwork,
    OvsSecurityGroup,
    OvsPortSecurity,
    OvsQos,
    DhcpNetwork,
    MetadataProxy,
    Router,
    ImageCache,
    ServerDisk,
    LibvirtDomain,
)
