#!/bin/bash
# A cluster on this machine: engines, two of every service behind haproxy, two compute hosts of their own; then a guest on each
# host, on one network, which reach each other as their security group says. A second run reuses what exists.
. "$(dirname "$0")/common.sh"
. scripts/demo.sh
[ "$(id -u)" = 0 ] || die "virtual hosts need root"
CLUSTER=${KILONOVA_CLUSTER:-/var/lib/kilonova-cluster}
GUEST=${KILONOVA_CACHE:-$HOME/.cache/kilonova}/guest KEY=$CLUSTER/demo-key
CONFIG=$CLUSTER/kilonova.toml
HOSTS=(kn-compute1 kn-compute2)
lab() { "$VENV/bin/python" -m kilonova.testing "$@"; }

say "building the guest image"
kilonova image build-guest "$GUEST" >/dev/null
lab up | while read -r line; do say "$line"; done
say "the cluster is ready"
export CLOUDS=$CLUSTER/clouds.yaml OS_CLOUD=kilonova-admin no_proxy=${no_proxy:+$no_proxy,}192.168.240.254
(umask 077; kilonova clouds-yaml --config "$CONFIG" >"$CLOUDS")

say "image, flavor, network, key pair, security group"
demo_image
demo_flavor
demo_network
demo_key
have "security group" demo-group || openstack security group create demo-group -f value -c id >/dev/null
demo_rules demo-group

for n in 1 2; do
  launch "demo-$n" --security-group demo-group --availability-zone "nova:${HOSTS[n-1]}"
done
net=$(openstack network show demo-net -f value -c id)
guest() {  # guest N COMMAND…: run a command in the Nth guest, from its network's namespace on its own host
  login_to "${ip[$1]}" "$net"
  lab exec "${HOSTS[$1 - 1]}" "${login[@]}" "${@:2}" </dev/null
}
for n in 1 2; do
  wait_active "demo-$n"
  ip[n]=$(address_of "demo-$n")
done
for n in 1 2; do
  wait_login "demo-$n" guest "$n"
  say "logged in to demo-$n, which says:"
  guest "$n" 'echo "  $(hostname), kernel $(uname -r), up $(cut -d" " -f1 /proc/uptime) s"'
done

wait_for() {  # wait_for 0|1 TEXT: until demo-1 reaches demo-2 (0) or not (1)
  local got
  for _ in $(seq 20); do
    got=0; guest 1 ping -c 1 -W 1 "${ip[2]}" >/dev/null 2>&1 || got=1
    [ "$got" = "$1" ] && { say "$2"; return; }
    sleep 0.5
  done
  die "not seen within 10 s: $2"
}
wait_for 0 "demo-1 on ${HOSTS[0]} pings demo-2 on ${HOSTS[1]} through the tunnel:"
guest 1 ping -c 3 -W 1 "${ip[2]}" | sed 's/^/  /'
rule=$(openstack security group rule list demo-group --protocol icmp -f value -c ID)
openstack security group rule delete "$rule"
wait_for 1 "the rule for ping is removed: demo-2 no longer answers"
openstack security group rule create demo-group --protocol icmp -f value -c id >/dev/null
wait_for 0 "the rule is there again: demo-2 answers"
COLUMNS=160 kilonova verify --config "$CONFIG" | sed 's/^/  /'
say "done"
login_to "${ip[1]}" "$net"
cat <<TEXT

Where to go next
  be the operator       eval "\$($VENV/bin/kilonova openrc admin --config $CONFIG)"; $CLIENT/bin/openstack server list --long
  what runs             $VENV/bin/python -m kilonova.testing status
  look into a host      $VENV/bin/python -m kilonova.testing exec ${HOSTS[0]} virsh list       (or ip -d link, iptables-save, bash)
  log in to a guest     $VENV/bin/python -m kilonova.testing exec ${HOSTS[0]} ${login[*]}
  kill a part           $VENV/bin/python -m kilonova.testing kill conductor-1      (it comes back; a host: kill ${HOSTS[1]}, boot ${HOSTS[1]})
  is all in order       $VENV/bin/kilonova verify --config $CONFIG
  end and remove        make cluster-stop                                          more: docs/tutorials/cluster.md
TEXT
