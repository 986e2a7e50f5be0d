# shellcheck shell=sh
# Settings of the network interface $interface. interface and dhcp-event source this file.

# If several interfaces have the same route, the interface with the lowest index wins.
metric=$((100 + $(cat "/sys/class/net/${interface:?}/ifindex")))

# Sets MTU, addresses and routes; standard input has them as network.awk prints them.
apply_settings() {
	while read -r setting value gateway; do
		case $setting in
		mtu) ip link set "$interface" mtu "$value" ;;
		address) ip address replace "$value" dev "$interface" ;;
		route) route replace "$value" "$gateway" ;;
		esac
	done
}

# route ACTION DESTINATION GATEWAY: the gateway 0.0.0.0 or :: means that the destination is on the link.
route() {
	case $2 in
	*:*) family=-6 ;;
	*) family=-4 ;;
	esac
	case $3 in
	0.0.0.0 | ::) ip $family route "$1" "$2" dev "$interface" metric $metric ;;
	*) ip $family route "$1" "$2" via "$3" dev "$interface" metric $metric onlink ;;
	esac
}

# write_resolver ORIGIN: standard input has the lines of resolv.conf that ORIGIN, static or dhcp, gives the interface.
write_resolver() {
	cat >"/run/network/$interface.$1.resolv"
	cat /run/network/*.resolv | awk '!printed[$0]++' >/etc/resolv.conf
}
