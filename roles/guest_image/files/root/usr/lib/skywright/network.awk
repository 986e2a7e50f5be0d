# Reads network_data.json as json.awk prints it, and prints the settings of the interface with the MAC address `mac`:
#   mtu BYTES
#   address ADDRESS/LENGTH
#   route NETWORK/LENGTH GATEWAY
#   nameserver ADDRESS
#   dhcp
# An interface that the document does not name uses DHCP. IPv6 networks without a static address are left to the
# kernel, which follows router advertisements. Values that are neither numbers nor addresses are ignored.

BEGIN {
	# Each group of a netmask in order of its bits: decimal for IPv4, hexadecimal for IPv6, which abbreviates zeros.
	count = split("0 128 192 224 240 248 252 254 255", groups)
	for (i = 1; i <= count; i++)
		bits[groups[i]] = i - 1
	count = split("0 8000 c000 e000 f000 f800 fc00 fe00 ff00 ff80 ffc0 ffe0 fff0 fff8 fffc fffe ffff", groups)
	for (i = 1; i <= count; i++)
		bits[groups[i]] = i - 1
	bits[""] = 0
}

{
	path = $1
	value[path] = substr($0, length(path) + 2)
	while (sub(/\.[^.]*$/, "", path))
		container[path]
}

END {
	link = "links.0"
	for (i = 1; link in container && tolower(text(link ".ethernet_mac_address")) != mac; i++)
		link = "links." i
	if (!(link in container)) {
		print "dhcp"
		exit
	}
	if (value[link ".mtu"] ~ /^[0-9]+$/)
		print "mtu", value[link ".mtu"]
	for (i = 0; ("networks." i) in container; i++)
		if (text("networks." i ".link") == text(link ".id"))
			print_network("networks." i)
	print_name_servers("services")
	if (dhcp)
		print "dhcp"
}

function print_network(path,   type, address, i) {
	type = text(path ".type")
	if (type == "ipv4_dhcp")
		dhcp = 1
	if (type != "ipv4" && type != "ipv6")
		return
	address = prefixed(text(path ".ip_address"), text(path ".netmask"))
	if (address != "")
		print "address", address
	for (i = 0; (path ".routes." i) in container; i++)
		print_route(path ".routes." i)
	print_name_servers(path ".services")
}

# If several networks of the interface have a route to the same destination, the first one wins.
function print_route(path,   destination, gateway) {
	destination = prefixed(text(path ".network"), text(path ".netmask"))
	gateway = text(path ".gateway")
	if (destination != "" && is_address(gateway) && !routed[destination]++)
		print "route", destination, gateway
}

function print_name_servers(path,   i, address) {
	for (i = 0; (path "." i) in container; i++) {
		address = text(path "." i ".address")
		if (text(path "." i ".type") == "dns" && is_address(address) && !name_server[address]++)
			print "nameserver", address
	}
}

# The string at a path; empty if there is none.
function text(path) {
	return path in value && value[path] ~ /^"/ ? substr(value[path], 2) : ""
}

function is_address(string) {
	return string ~ /^[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*$/
}

# ADDRESS/LENGTH; empty if the address or the netmask is malformed.
function prefixed(address, netmask,   groups, count, full, prefix, i) {
	if (!is_address(address) || !is_address(netmask))
		return ""
	count = split(tolower(netmask), groups, /[.:]/)
	full = index(netmask, ":") ? 16 : 8
	for (i = 1; i <= count; i++) {
		if (!(groups[i] in bits) || (bits[groups[i]] && prefix < full * (i - 1)))
			return ""
		prefix += bits[groups[i]]
	}
	return address "/" prefix
}
