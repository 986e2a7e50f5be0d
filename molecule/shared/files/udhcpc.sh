#!/bin/sh
# Called by udhcpc with the event as argument and the lease in the environment.
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
ip link set dev "$interface" mtu "$mtu"
env | sort
