# shellcheck shell=sh
# Applies the instance data to the guest. The boot script sources this file.
#
# Instance data is untrusted: json.awk parses it, the scripts pass it on in quoted variables and never evaluate it.
# The one exception is user_data, the owner's script.

META_DATA=/run/instance/meta_data.json
USER_DATA=/run/instance/user_data
STATE=/var/lib/skywright
METADATA_URL=http://169.254.169.254/openstack/latest

from_config_drive() {
	drive=$(findfs LABEL=config-2 2>/dev/null) || return 1
	mkdir -p /run/config
	mount -t iso9660 -o ro "$drive" /run/config 2>/dev/null || mount -t vfat -o ro "$drive" /run/config || return
	cp /run/config/openstack/latest/meta_data.json "$META_DATA"
	cp /run/config/openstack/latest/network_data.json /run/instance 2>/dev/null
	cp /run/config/openstack/latest/user_data "$USER_DATA" 2>/dev/null
	umount /run/config
	[ -s "$META_DATA" ]
}

from_metadata_service() {
	for try in 1 2 3; do
		timeout 3 wget -q -O "$META_DATA" $METADATA_URL/meta_data.json 2>/dev/null && break
		rm -f "$META_DATA"
		[ $try = 3 ] && return 1
		sleep 1
	done
	timeout 10 wget -q -O "$USER_DATA" $METADATA_URL/user_data 2>/dev/null || rm -f "$USER_DATA"
}

# Sets the host name at every boot. Sets authorized keys, password and SSH host key once per instance, so that the owner's
# later changes persist. A disk that boots as another instance, such as a snapshot, gets new ones.
apply_instance_data() {
	fields=/run/instance/fields
	awk -f /usr/lib/skywright/json.awk $META_DATA >$fields
	set_hostname "$(field hostname)"
	uuid=$(field uuid)
	if [ "$uuid" != "$(cat $STATE/instance)" ]; then
		rm -f $STATE/user-data-done /etc/dropbear/*
		set_keys
		set_password "$(field admin_pass)"
	fi
}

# Records the instance. The caller syncs the instance's data first, because the power may fail at any time.
keep_instance() {
	[ -n "$uuid" ] && [ "$uuid" != "$(cat $STATE/instance)" ] && echo "$uuid" >$STATE/instance
}

# field PATH: prints the strings at a path, a regular expression, one per line.
field() {
	sed -n "s/^$1 \"//p" "$fields"
}

# Uses the first label, without characters that a host name cannot have. If nothing remains, the name is a default.
set_hostname() {
	name=$(printf '%s' "${1%%.*}" | tr -c 'A-Za-z0-9-' '-' | cut -c 1-63 | sed 's/^-*//; s/-*$//')
	name=${name:-skywright}
	[ "$name" = "$(cat /etc/hostname)" ] && return
	hostname "$name"
	echo "$name" >/etc/hostname
	printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
}

set_keys() {
	for home in /root /home/sky; do
		mkdir -p $home/.ssh
		chmod 700 $home/.ssh
		field 'public_keys\.[^. ]*' >$home/.ssh/authorized_keys
		chmod 600 $home/.ssh/authorized_keys
	done
	chown -R sky /home/sky/.ssh
}

# The password is for the console and SSH. Without one, the accounts are locked for password logins.
set_password() {
	hash='!'
	[ -n "$1" ] && hash=$(printf '%s' "$1" | mkpasswd -m sha512 -P 0)
	sed -i "s|^\(root\|sky\):[^:]*:|\1:$hash:|" /etc/shadow
}

run_user_data() {
	[ "$(head -c 2 "$USER_DATA" 2>/dev/null)" = '#!' ] || return
	[ -e $STATE/user-data-done ] && return
	touch $STATE/user-data-done
	cp "$USER_DATA" $STATE/user-data
	chmod 700 $STATE/user-data
	cd /
	setsid $STATE/user-data </dev/null
	echo "skywright guest: user data ended with status $?"
}
