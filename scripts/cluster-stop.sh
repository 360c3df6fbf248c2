#!/bin/bash
# End the cluster of `make cluster` and remove all that it made: guests, hosts, engines, files.
. "$(dirname "$0")/common.sh"
"$VENV/bin/python" -m kilonova.testing down
say "removed"
