# The demonstration's external network, on top of common.sh: a bridge with an address of this machine, made here and removed here.
# No interface is joined to it, so floating IPs are reached from this machine alone; guests reach what this machine reaches, with its
# addresses (NAT), for which IP forwarding is turned on.
# OUTSIDE_BRIDGE: its name. OUTSIDE: the first three octets of its /24. Another cloud on this machine needs others.
OUTSIDE_BRIDGE=${OUTSIDE_BRIDGE:-kilonova-ext} OUTSIDE=${OUTSIDE:-203.0.113}
OUTSIDE_ALIAS="demonstration of $STATE"
export KILONOVA_DATAPLANE_BRIDGE_MAPPINGS=${KILONOVA_DATAPLANE_BRIDGE_MAPPINGS:-"{\"public\": \"$OUTSIDE_BRIDGE\"}"}

OUTSIDE_FORWARDING=/proc/sys/net/ipv4/ip_forward OUTSIDE_NOTE=$STATE/forwarding-was-off

outside_rules() {  # outside_rules DO: DO is called with a table and a rule for each
  "$1" nat "POSTROUTING -s $OUTSIDE.0/24 ! -o $OUTSIDE_BRIDGE -j MASQUERADE"
  "$1" filter "FORWARD -i $OUTSIDE_BRIDGE ! -o $OUTSIDE_BRIDGE -j ACCEPT"
  "$1" filter "FORWARD -o $OUTSIDE_BRIDGE -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
}
# shellcheck disable=SC2086 - a rule's words
have_rule() { iptables -w -t "$1" -C $2 2>/dev/null; }
# shellcheck disable=SC2086
add_rule() { have_rule "$1" "$2" || iptables -w -t "$1" -A $2; }
# shellcheck disable=SC2086
drop_rule() { ! have_rule "$1" "$2" || iptables -w -t "$1" -D $2; }

outside_is_ours() { [ "$(cat "/sys/class/net/$OUTSIDE_BRIDGE/ifalias" 2>/dev/null)" = "$OUTSIDE_ALIAS" ]; }

make_outside() {  # the bridge; again after a reboot
  [ -e "/sys/class/net/$OUTSIDE_BRIDGE" ] || {
    [ -z "$(ip route show root "$OUTSIDE.0/24")" ] || die "this machine has routes to $OUTSIDE.0/24: set OUTSIDE to three other octets"
    ip link add "$OUTSIDE_BRIDGE" type bridge
    ip link set "$OUTSIDE_BRIDGE" alias "$OUTSIDE_ALIAS"
  }
  outside_is_ours || die "device $OUTSIDE_BRIDGE was not made for $STATE: set OUTSIDE_BRIDGE to another name, OUTSIDE to three other octets"
  ip address replace "$OUTSIDE.1/24" dev "$OUTSIDE_BRIDGE"
  ip link set "$OUTSIDE_BRIDGE" up
  outside_rules add_rule
  [ "$(cat $OUTSIDE_FORWARDING)" = 1 ] || { echo 1 >$OUTSIDE_FORWARDING; mkdir -p "$STATE"; touch "$OUTSIDE_NOTE"; }
}

remove_outside() {
  outside_is_ours || return 0
  outside_rules drop_rule
  ip link delete "$OUTSIDE_BRIDGE"
  [ ! -e "$OUTSIDE_NOTE" ] || echo 0 >$OUTSIDE_FORWARDING
}

demo_public() {  # the external network; an admin's
  have network public || openstack network create public --external --provider-network-type flat \
    --provider-physical-network public -f value -c id >/dev/null
  have subnet public-subnet || openstack subnet create public-subnet --network public --subnet-range "$OUTSIDE.0/24" \
    --gateway "$OUTSIDE.1" --no-dhcp -f value -c id >/dev/null
}

demo_router() {
  have router demo-router || openstack router create demo-router --external-gateway public -f value -c id >/dev/null
  openstack router show demo-router -f json -c interfaces_info | grep -q subnet_id || openstack router add subnet demo-router demo-subnet
}

floating_ip_of() {  # floating_ip_of SERVER: the one that it has, or a new one
  local address
  address=$(openstack server show "$1" -f json -c addresses | grep -oE "${OUTSIDE//./\\.}\.[0-9]+" | head -1 || :)
  [ -n "$address" ] || {
    address=$(openstack floating ip create public -f value -c floating_ip_address)
    openstack server add floating ip "$1" "$address"
  }
  echo "$address"
}
