#!/bin/bash
# From an installed program to a real guest that answers by ssh. A second run reuses what exists.
. "$(dirname "$0")/common.sh"
. scripts/demo.sh
. scripts/outside.sh
[ "$(id -u)" = 0 ] || die "real guests need root (without it: $VENV/bin/kilonova up --driver fake)"
GUEST=$STATE/guest KEY=$STATE/demo-key
SERVER=${SERVER:-demo-1}

say "building the guest image"
mkdir -p "$STATE"
kilonova image build-guest "$GUEST" >/dev/null

pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/' "$STATE/kilonova.json" 2>/dev/null || :)
if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
  say "the cloud runs already"
  grep -qz '^KILONOVA_DATAPLANE_BRIDGE_MAPPINGS=' "/proc/$pid/environ" \
    || die "it was started without a bridge for floating IPs: stop it (make stop), then make launch again"
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

say "images"
demo_image
if ! have image kilonova-guest-uec; then
  aki=$(openstack image create kilonova-guest-kernel --public --disk-format aki --container-format aki --file "$GUEST/vmlinuz" -f value -c id)
  ari=$(openstack image create kilonova-guest-ramdisk --public --disk-format ari --container-format ari --file "$GUEST/initrd.gz" -f value -c id)
  openstack image create kilonova-guest-uec --public --disk-format ami --container-format ami --file "$GUEST/root.ext4" \
    --property kernel_id="$aki" --property ramdisk_id="$ari" \
    --property os_command_line="root=/dev/vda $(cat "$GUEST/kernel-args")" -f value -c id >/dev/null
fi
say "flavor"
demo_flavor

say "external network"
make_outside
demo_public

export OS_CLOUD=kilonova
say "network, router, key pair, security group rules"
demo_network
demo_router
demo_key
demo_rules default

launch "$SERVER"
wait_active "$SERVER"
ip=$(floating_ip_of "$SERVER")
login_to "$ip"
wait_login "$SERVER" "${login[@]}"
say "logged in to its floating IP $ip by ssh with the injected key; the guest says:"
"${login[@]}" 'echo "  $(hostname), kernel $(uname -r), up $(cut -d" " -f1 /proc/uptime) s"' </dev/null

echo; kilonova trace "$SERVER" --state "$STATE"
place= setting=
[ "$STATE" = /var/lib/kilonova ] || place=" --state $STATE" setting="KILONOVA_STATE=$STATE "
cat <<TEXT

Where to go next
  servers               $CLIENT/bin/openstack --os-cloud kilonova server list        (admin: --os-cloud kilonova-admin)
  log in                ${login[*]}
  console               $CLIENT/bin/openstack --os-cloud kilonova console log show $SERVER
  why this host         $VENV/bin/kilonova explain $SERVER$place
  is all in order       $VENV/bin/kilonova verify$place
  stop, remove          ${setting}make stop, ${setting}make clean
TEXT
