"""Runs a data source of cloud-init, and prints what it found as JSON.

The arguments are the URL of the metadata service, what the guest's firmware says about its product, by which cloud-init
recognizes OpenStack, and the data source.
"""

import json
import sys
import tempfile

from cloudinit import helpers, settings
from cloudinit.sources import DataSourceEc2, DataSourceOpenStack
from cloudinit.sources.helpers.openstack import convert_net_json


def network_config(source):
    """Convert network_data.json as on a machine that has the NIC."""
    links = source.network_json["links"]
    return convert_net_json(source.network_json, known_macs={link["ethernet_mac_address"]: "eth0" for link in links})


url, product, kind = sys.argv[1:]
# Clouds with EC2's tree are recognized by other marks, unless the image says that any cloud may be one.
SOURCES = {"datasource": {kind: {"metadata_urls": [url], "strict_id": False}}}
with tempfile.TemporaryDirectory() as directory:
    paths = helpers.Paths({"cloud_dir": directory, "run_dir": directory})
    if kind == "OpenStack":
        DataSourceOpenStack.dmi.read_dmi_data = {"system-product-name": product}.get
        source = DataSourceOpenStack.DataSourceOpenStack(settings.CFG_BUILTIN | SOURCES, None, paths)
    else:
        source = DataSourceEc2.DataSourceEc2(settings.CFG_BUILTIN | SOURCES, None, paths)
    found = source.get_data()
    print(
        json.dumps(
            {
                "found": found,
                "instance_id": source.get_instance_id(),
                "hostname": source.metadata.get("local-hostname"),
                "keys": source.get_public_ssh_keys(),
                "zone": source.availability_zone,
                "user_data": (source.userdata_raw or b"").decode(),
                "network": network_config(source) if kind == "OpenStack" else None,
            }
        )
    )
