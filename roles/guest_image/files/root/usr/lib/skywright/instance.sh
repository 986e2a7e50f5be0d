# What makes this guest the instance that its owner asked for. Sourced by the boot script.
#
# Everything that comes from outside is data: it is read by jq, passed on in quoted variables, and never evaluated.
# The one exception is the owner's own script, user_data.

META_DATA=/run/instance/meta_data.json
USER_DATA=/run/instance/user_data
STATE=/var/lib/skywright
METADATA_URL=http://169.254.169.254/openstack/latest

from_config_drive() {
	drive=$(findfs LABEL=config-2 2>/dev/null) || return 1
	modprobe -a isofs vfat nls_cp437 nls_ascii nls_utf8
	mkdir -p /run/config
	mount -o ro "$drive" /run/config 2>/dev/null || return 1
	cp /run/config/openstack/latest/meta_data.json "$META_DATA"
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

# The host name follows the instance data at every boot. Keys, password and host keys are set once for an instance, so
# that its owner's later changes last; a disk that boots as another instance (a snapshot) starts over.
apply_instance_data() {
	jq -r -f /usr/lib/skywright/instance.jq "$META_DATA" >/run/instance/fields || return
	new=
	while read -r field value; do
		case $field in
		uuid) is_same_instance "$value" || new=yes ;;
		hostname) set_hostname "$value" ;;
		key) [ -n "$new" ] && add_key "$value" ;;
		password) [ -n "$new" ] && set_password "$value" ;;
		esac
	done </run/instance/fields
	sync
}

is_same_instance() {
	[ "$1" = "$(cat $STATE/instance)" ] && return
	echo "$1" >$STATE/instance
	rm -f $STATE/user-data-done /etc/dropbear/ed25519
	for home in /root /home/sky; do
		rm -f $home/.ssh/authorized_keys
	done
	return 1
}

# The first label, of the characters that a host name may have.
set_hostname() {
	name=$(printf '%s' "${1%%.*}" | tr -c 'A-Za-z0-9-' '-' | cut -c 1-63 | sed 's/^-*//; s/-*$//')
	[ -n "$name" ] || return
	hostname "$name"
	[ "$name" = "$(cat /etc/hostname)" ] && return
	echo "$name" >/etc/hostname
	printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
}

add_key() {
	for user in root:/root sky:/home/sky; do
		home=${user#*:}
		mkdir -p "$home/.ssh"
		printf '%s\n' "$1" >>"$home/.ssh/authorized_keys"
		chmod 700 "$home/.ssh"
		chmod 600 "$home/.ssh/authorized_keys"
		chown -R "${user%%:*}" "$home/.ssh"
	done
}

set_password() {
	hash=$(printf '%s' "$1" | mkpasswd -m sha512 -P 0) || return
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
