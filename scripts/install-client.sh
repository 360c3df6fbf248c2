#!/bin/bash
# The real OpenStack client, in an environment of its own. Does nothing when it is there.
. "$(dirname "$0")/common.sh"
[ -x "$CLIENT/bin/openstack" ] && [ -e "$CLIENT/.complete" ] && exit 0
say "installing the openstack client into $CLIENT"
[ -x "$CLIENT/bin/python" ] || /usr/bin/python3 -m venv "$CLIENT"
"$CLIENT/bin/pip" install -q --disable-pip-version-check python-openstackclient osc-placement 2>&1 | grep -v '^WARNING: Location' || :
"$CLIENT/bin/openstack" --version >/dev/null || die "pip could not install python-openstackclient"
touch "$CLIENT/.complete"
say "openstack client installed"
