#!/bin/bash
# Stop the cloud; guests keep running.
. "$(dirname "$0")/common.sh"
[ -x "$VENV/bin/kilonova" ] || exit 0
kilonova down --state "$STATE"
