#!/bin/bash
# A hand-written script, as fast as possible, that creates or deletes a server like the cloud: one SSH round trip per
# host, the compute host and the network host in parallel, and independent steps of a host in parallel. Usage: bare.sh create|delete DIRECTORY; the directory holds `variables` (shell), domain.xml,
# meta_data.json and network_data.json.
set -eu
operation=$1 directory=$2
# shellcheck source=/dev/null
. "$directory/variables"

assignments() {
    declare -p ID TAP PORT ADDRESS MAC NETWORK TAG IMAGE DISK_GIB
    echo 'home=/var/lib/skywright/servers/$ID hosts=/var/lib/skywright/dhcp/$NETWORK/hosts'
}

create_compute() {
    echo 'mkdir -p "$home/tree/openstack/latest"'
    for file in meta_data.json network_data.json; do
        printf "cat > \"\$home/tree/openstack/latest/%s\" <<'END-OF-FILE'\n%s\nEND-OF-FILE\n" "$file" "$(< "$directory/$file")"
    done
    printf "cat > \"\$home/domain.xml\" <<'END-OF-FILE'\n%s\nEND-OF-FILE\n" "$(< "$directory/domain.xml")"
    cat <<'END'
qemu-img create -q -f qcow2 -b "$IMAGE" -F qcow2 "$home/disk" "${DISK_GIB}G" & disk=$!
xorrisofs -quiet -V config-2 -r -J -o "$home/disk.config" "$home/tree" & config=$!
{
    printf 'tuntap add dev %s mode tap\nlink set dev %s addrgenmode none mtu 1450 up\n' "$TAP" "$TAP" | ip -batch -
    ovs-vsctl --no-wait add-port br-int "$TAP" tag="$TAG"
} & port=$!
wait $disk; wait $config; wait $port
rm -r "$home/tree"
virsh -q "define $home/domain.xml; start instance-$ID" > /dev/null
END
}

create_network() {
    cat <<'END'
exec 9> "$hosts.lock"; flock 9
echo "$MAC,host-${ADDRESS//./-},$ADDRESS # $PORT" >> "$hosts"
systemctl reload "skywright-dhcp@$NETWORK.service"
END
}

delete_compute() {
    cat <<'END'
virsh -q "destroy instance-$ID; undefine instance-$ID" > /dev/null & domain=$!
ovs-vsctl --no-wait --if-exists del-port "$TAP"
wait $domain
ip link delete dev "$TAP"
rm -rf "$home"
END
}

delete_network() {
    cat <<'END'
exec 9> "$hosts.lock"; flock 9
sed -i "/^$MAC,/d" "$hosts"
systemctl reload "skywright-dhcp@$NETWORK.service"
END
}

# $1: the host; the other arguments are the parts of its work, which run in parallel.
remote() {
    local host=$1 part
    shift
    {
        echo 'set -e'
        assignments
        for part; do
            echo "("
            "${operation}_$part"
            echo ") & parts=\"\$parts \$!\""
        done
        echo 'for part in $parts; do wait $part; done'
    } | $SSH "$host" 'parts= exec bash -s'
}

if [ "$COMPUTE_HOST" = "$NETWORK_HOST" ]; then
    remote "$COMPUTE_HOST" compute network
else
    remote "$NETWORK_HOST" network & other=$!
    remote "$COMPUTE_HOST" compute
    wait $other
fi
