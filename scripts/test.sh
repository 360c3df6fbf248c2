#!/bin/bash
# All checks and all tests; with arguments only those tests. What needs the machine for itself (real guests, bridges,
# filters, clouds of many processes) runs alone, the rest two at a time. In CI (CI set) a skipped real-guest or lab test is a
# failure.
. "$(dirname "$0")/common.sh"
if [ $# -gt 0 ]; then exec "$VENV/bin/pytest" "$@"; fi
make --no-print-directory check
say "checks passed; tests, two at a time"
"$VENV/bin/pytest" -q -n 2 --dist loadfile -m 'not guest and not lab and not cluster'
say "tests of what databases do, on PostgreSQL and MariaDB"
scripts/test-databases.sh quick
say "tests with many processes, real guests and namespaces"
"$VENV/bin/pytest" -q -m 'guest or lab or cluster'
say "all tests passed"
