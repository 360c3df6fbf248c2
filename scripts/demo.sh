# What the demonstrations share, on top of common.sh: images, flavor, network, key, rules; a server, and a login to it.
# Each makes what is not there yet. GUEST: folder of the guest image. KEY: file of the private key.

have() { openstack $1 show "$2" -f value -c id >/dev/null 2>&1; }

demo_image() {
  have image kilonova-guest || openstack image create kilonova-guest --public --disk-format qcow2 --container-format bare \
    --file "$GUEST/disk.qcow2" --property hw_rng_model=virtio -f value -c id >/dev/null
}

demo_flavor() { have flavor m1.nano || openstack flavor create m1.nano --ram 128 --vcpus 1 --disk 1 -f value -c id >/dev/null; }

demo_network() {
  have network demo-net || openstack network create demo-net -f value -c id >/dev/null
  have subnet demo-subnet || openstack subnet create demo-subnet --network demo-net --subnet-range 10.77.0.0/24 -f value -c id >/dev/null
}

demo_key() {
  [ -e "$KEY" ] || ssh-keygen -q -t ed25519 -N '' -C demo -f "$KEY"
  have keypair demo-key || openstack keypair create demo-key --public-key "$KEY.pub" -f value -c fingerprint >/dev/null
}

demo_rules() {  # demo_rules GROUP: ssh and ping
  local rules
  rules=$(openstack security group rule list "$1" -f value -c "IP Protocol" -c "Port Range" 2>/dev/null || :)
  grep -q '^tcp 22:22' <<<"$rules" || openstack security group rule create "$1" --protocol tcp --dst-port 22 -f value -c id >/dev/null
  grep -q '^icmp' <<<"$rules" || openstack security group rule create "$1" --protocol icmp -f value -c id >/dev/null
}

launch() {  # launch SERVER OPTIONS…: a server, a new one instead of one in ERROR, an old one started
  case $(openstack server show "$1" -f value -c status 2>/dev/null || :) in
    ACTIVE) say "server $1 exists"; return ;;
    ERROR) say "removing server $1, which is in ERROR from an earlier try"; openstack server delete --wait "$1" ;;
    ?*) say "server $1 exists"; openstack server start "$1" || :; return ;;
  esac
  say "launching server $1"
  openstack server create "$1" --image kilonova-guest --flavor m1.nano --network demo-net --key-name demo-key "${@:2}" \
    -f value -c id >/dev/null
}

wait_active() {  # wait_active SERVER
  local status
  for _ in $(seq 240); do
    status=$(openstack server show "$1" -f value -c status)
    case $status in
      ACTIVE) say "server $1 is ACTIVE"; return ;;
      ERROR) die "the server is in ERROR: $(openstack server show "$1" -f value -c fault)" ;;
    esac
    sleep 0.5
  done
  die "the server is still in $status"
}

address_of() { openstack server show "$1" -f json -c addresses | grep -oE '10\.77\.0\.[0-9]+' | head -1; }

login_to() {  # login_to ADDRESS [NETWORK_ID]: set `login` to the words that log in, from here or from the network's namespace
  login=(${2:+ip netns exec "qdhcp-$2"} ssh -i "$KEY" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
    -o LogLevel=ERROR -o ConnectTimeout=3 "root@$1")
}

wait_login() {  # wait_login SERVER WORDS…: until these words log in
  for _ in $(seq 60); do
    "${@:2}" true 2>/dev/null </dev/null && return
    sleep 0.5
  done
  openstack console log show "$1" --lines 30
  die "no ssh login to $1"
}
