#!/bin/bash
# Remove all that `make launch` made: guests, bridges, namespaces, filters, state. Installed packages stay.
. "$(dirname "$0")/common.sh"
[ -x "$VENV/bin/kilonova" ] || exit 0
kilonova clean --yes --state "$STATE"
rm -rf "$STATE"
CLOUDS=$HOME/.config/openstack/clouds.yaml
[ -e "$CLOUDS" ] && grep -q '^# written by kilonova' "$CLOUDS" && rm -f "$CLOUDS"
say "removed"
