# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of the configuration files of HAProxy, which is the metadata proxy of all networks of a host."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from urllib.parse import urlsplit

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError

ADDRESS, PORT = "169.254.169.254", 80
UNIT_NAME = "skywright-metadata.service"
# A missing namespace would stop the proxies of all networks: it is made, empty, until its DHCP server starts.
UNIT = """\
[Unit]
Description=Metadata proxies of networks
After=network.target openvswitch-switch.service
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStartPre=-{namespaces}
ExecStart={haproxy}
ExecReload=-{namespaces}
ExecReload={haproxy} -c -q
ExecReload=/bin/kill -USR2 $MAINPID
KillMode=mixed
Restart=always
RestartSec=1
SuccessExitStatus=143

[Install]
WantedBy=multi-user.target
"""
HAPROXY = "/usr/sbin/haproxy -Ws -f {directory}/haproxy.cfg -f {directory}/networks"
NAMESPACES = (
    "/bin/sh -c \"sed -n 's/^ *bind .* namespace /netns add /p' {directory}/networks/*.cfg | ip -force -batch -\""
)
BASE = """\
global
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
    nbthread 1
    maxconn 4000
    hard-stop-after 30s

defaults
    mode http
    # Of one network: a network cannot use up the connections of all.
    maxconn 100
    # Requests of different servers never share a connection to the API.
    http-reuse never
    retries 2
    timeout connect 2s
    timeout http-request 10s
    timeout http-keep-alive 10s
    timeout client 30s
    timeout server 30s
"""
# "transparent" lets HAProxy listen before the DHCP server's unit has added the address.
NETWORK = """\
listen {id}
    bind {address}:{port} transparent namespace qdhcp-{id}
    http-request del-header x- -m beg
    http-request del-header forwarded
    http-request set-header X-Metadata-Provider {id}
    http-request set-header X-Metadata-Provider-Signature {signature}
    http-request set-header X-Metadata-Address %[src]
    http-request set-header Host {netloc}
    http-request set-path {path}%[path]
    server api {server}
"""
SIGNATURE = re.compile(r"(?<=X-Metadata-Provider-Signature )\S+")
URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9/._-]*)?")
CLOUD_AUTHORITY = "/etc/skywright/tls/ca.pem"
SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def unit(directory):
    """Return the unit of all proxies."""
    return UNIT.format(haproxy=HAPROXY.format(directory=directory), namespaces=NAMESPACES.format(directory=directory))


def network_file(item):
    """Return the configuration of a network's proxy."""
    metadata = item["dhcp"]["metadata"]
    signature = metadata["signature"]
    if not re.fullmatch(r"[0-9a-f]{64}", signature):
        raise ItemError("the signature of the metadata proxy is not a SHA-256 digest")
    if not URL.fullmatch(metadata["api_url"]):
        raise ItemError(f"{metadata['api_url']!r} is not a URL of the API")
    url = urlsplit(metadata["api_url"])
    return NETWORK.format(
        id=check.uuid(item["id"]),
        address=ADDRESS,
        port=PORT,
        signature=signature,
        netloc=url.netloc,
        path=url.path,
        server=_server(url),
    )


def _server(url):
    """Return the address of the API with the settings of HAProxy."""
    try:
        name, port = url.hostname, url.port or {"http": 80, "https": 443}[url.scheme]
    except ValueError as error:
        raise ItemError(f"{url.geturl()!r} is not a URL of the API") from error
    server = f"{name}:{port} init-addr last,libc,none"
    if url.scheme == "http":
        return server
    return f"{server} ssl verify required {_trust(name)}"


def _trust(name):
    """Return how HAProxy verifies the API's certificate. It cannot compare IP addresses in certificates: then only
    certificates of the cloud's own CA are accepted.
    """
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return f"ca-file {SYSTEM_AUTHORITIES} sni str({name}) verifyhost {name}"
    return f"ca-file {CLOUD_AUTHORITY}"


def concealed(text):
    """Return a configuration with a digest in place of the signature."""
    return SIGNATURE.sub(lambda found: hashlib.sha256(found[0].encode()).hexdigest(), text)
