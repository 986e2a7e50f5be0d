#!/bin/sh
# Lists everything on a host that a server, a port or a network could leave there, one item per line.
virsh list --all --uuid | sed 's/^/domain /'
ls -1 /var/lib/skywright/servers | sed 's/^/directory /'
ls -1 /var/lib/skywright/dhcp | sed 's/^/dhcp /'
ls -1 /var/lib/skywright/images | sed 's/^/image /'
grep -rs '' /var/lib/skywright/dhcp | sed 's/^/dhcp /'
ls -1R /var/lib/skywright/flows 2>/dev/null | sed 's/^/flows of /'
ovs-ofctl --names --no-stats dump-flows br-int | sed 's/^ cookie=[^,]*,/flow/'
ovs-ofctl --names --no-stats dump-flows br-sec | sed 's/^ cookie=[^,]*,/flow of port security/'
ls -1 /run/netns 2>/dev/null | sed 's/^/namespace /'
ip -o link | sed 's/^/device /'
ovs-vsctl --format=csv --no-headings --columns=name,external_ids list port | sed 's/^/port /'
ps -eo args | sed 's/^/process /'
