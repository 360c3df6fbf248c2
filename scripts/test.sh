#!/bin/bash
# All checks and all tests. Real-guest and lab tests run as root; in CI (CI set) one that is skipped is a failure.
. "$(dirname "$0")/common.sh"
make --no-print-directory check
"$VENV/bin/pytest" -q "$@"
