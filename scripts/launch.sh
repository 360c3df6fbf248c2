#!/bin/bash
# From an installed program to a real guest that answers by ssh. A second run reuses what exists.
. "$(dirname "$0")/common.sh"
[ "$(id -u)" = 0 ] || die "real guests need root (without it: $VENV/bin/kilonova up --driver fake)"
GUEST=$STATE/guest KEY=$STATE/demo-key
SERVER=${SERVER:-demo-1}

say "building the guest image"
mkdir -p "$STATE"
kilonova image build-guest "$GUEST" >/dev/null

if [ -e "$STATE/kilonova.json" ] && kill -0 "$(sed 's/.*"pid": *\([0-9]*\).*/\1/' "$STATE/kilonova.json")" 2>/dev/null; then
  say "the cloud runs already"
else
  say "starting the cloud"
  kilonova up --detach --state "$STATE"
fi
CLOUDS=$HOME/.config/openstack/clouds.yaml
mkdir -p "$(dirname "$CLOUDS")"
if [ ! -e "$CLOUDS" ] || grep -q '^# written by kilonova' "$CLOUDS"; then
  (umask 077; { echo "# written by kilonova"; kilonova clouds-yaml --state "$STATE"; } >"$CLOUDS")
else
  CLOUDS=$STATE/clouds.yaml   # the user's own file is left alone
  (umask 077; kilonova clouds-yaml --state "$STATE" >"$CLOUDS")
  say "your own clouds.yaml is left alone; use OS_CLIENT_CONFIG_FILE=$CLOUDS"
fi
export CLOUDS

have() { openstack "$1" show "$2" -f value -c id >/dev/null 2>&1; }
say "images"
have image kilonova-guest || openstack image create kilonova-guest --public --disk-format qcow2 --container-format bare \
  --file "$GUEST/disk.qcow2" --property hw_rng_model=virtio -f value -c id >/dev/null
if ! have image kilonova-guest-uec; then
  aki=$(openstack image create kilonova-guest-kernel --public --disk-format aki --container-format aki --file "$GUEST/vmlinuz" -f value -c id)
  ari=$(openstack image create kilonova-guest-ramdisk --public --disk-format ari --container-format ari --file "$GUEST/initrd.gz" -f value -c id)
  openstack image create kilonova-guest-uec --public --disk-format ami --container-format ami --file "$GUEST/root.ext4" \
    --property kernel_id="$aki" --property ramdisk_id="$ari" \
    --property os_command_line="root=/dev/vda $(cat "$GUEST/kernel-args")" -f value -c id >/dev/null
fi
say "flavor"
have flavor m1.nano || openstack flavor create m1.nano --ram 128 --vcpus 1 --disk 1 -f value -c id >/dev/null

export OS_CLOUD=kilonova
say "network, key pair, security group rules"
have network demo-net || openstack network create demo-net -f value -c id >/dev/null
have subnet demo-subnet || openstack subnet create demo-subnet --network demo-net --subnet-range 10.77.0.0/24 -f value -c id >/dev/null
[ -e "$KEY" ] || ssh-keygen -q -t ed25519 -N '' -C demo -f "$KEY"
have keypair demo-key || openstack keypair create demo-key --public-key "$KEY.pub" -f value -c fingerprint >/dev/null
rules=$(openstack security group rule list default -f value -c "IP Protocol" -c "Port Range" 2>/dev/null || :)
grep -q '^tcp 22:22' <<<"$rules" || openstack security group rule create default --protocol tcp --dst-port 22 -f value -c id >/dev/null
grep -q '^icmp' <<<"$rules" || openstack security group rule create default --protocol icmp -f value -c id >/dev/null

if [ "$(openstack server show "$SERVER" -f value -c status 2>/dev/null)" = ERROR ]; then
  say "removing server $SERVER, which is in ERROR from an earlier try"
  openstack server delete --wait "$SERVER"
fi
if have server "$SERVER"; then
  say "server $SERVER exists"
  [ "$(openstack server show "$SERVER" -f value -c status)" = ACTIVE ] || openstack server start "$SERVER" || :
else
  say "launching server $SERVER"
  openstack server create "$SERVER" --image kilonova-guest --flavor m1.nano --network demo-net --key-name demo-key -f value -c id >/dev/null
fi
for _ in $(seq 240); do
  status=$(openstack server show "$SERVER" -f value -c status)
  case $status in ACTIVE) break ;; ERROR) die "the server is in ERROR: $(openstack server show "$SERVER" -f value -c fault)" ;; esac
  sleep 0.5
done
[ "$status" = ACTIVE ] || die "the server is still in $status"
say "server $SERVER is ACTIVE"

net=$(openstack network show demo-net -f value -c id)
ip=$(openstack server show "$SERVER" -f json -c addresses | grep -oE '10\.77\.0\.[0-9]+' | head -1)
login=(ip netns exec "qdhcp-$net" ssh -i "$KEY" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
  -o LogLevel=ERROR -o ConnectTimeout=3 "root@$ip")
for try in $(seq 60); do
  "${login[@]}" true 2>/dev/null </dev/null && break
  [ "$try" -lt 60 ] || { openstack console log show "$SERVER" --lines 30; die "no ssh login to $ip"; }
  sleep 0.5
done
say "logged in to $ip by ssh with the injected key; the guest says:"
"${login[@]}" 'echo "  $(hostname), kernel $(uname -r), up $(cut -d" " -f1 /proc/uptime) s"' </dev/null

echo; kilonova trace "$SERVER" --state "$STATE"
cat <<TEXT

Where to go next
  source of truth       $CLIENT/bin/openstack --os-cloud kilonova server list        (admin: --os-cloud kilonova-admin)
  log in                ${login[*]}
  console               $CLIENT/bin/openstack --os-cloud kilonova console log show $SERVER
  why this host         $VENV/bin/kilonova explain $SERVER
  is all in order       $VENV/bin/kilonova verify
  stop, remove          make stop, make clean
TEXT
