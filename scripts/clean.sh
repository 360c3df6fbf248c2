#!/bin/bash
# Remove all that `make launch` made: guests, bridges, namespaces, filters, state. Installed packages stay.
. "$(dirname "$0")/common.sh"
. scripts/outside.sh
[ -x "$VENV/bin/kilonova" ] || exit 0
kilonova clean --yes --state "$STATE"
remove_outside
rm -rf "$STATE"
CLOUDS=$HOME/.config/openstack/clouds.yaml
[ -e "$CLOUDS" ] && grep -q '^# written by kilonova' "$CLOUDS" && rm -f "$CLOUDS"
say "removed"
