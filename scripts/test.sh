#!/bin/bash
# All checks and all tests; with arguments only those tests. Real guests, bridges, filters and clouds of many processes, which
# share names of this machine and mostly wait, run one at a time beside the rest, which runs two at a time. In CI (CI set) a
# skipped real-guest or lab test is a failure. All stages run, also after one that failed or found no test; the end lists all
# that failed.
. "$(dirname "$0")/common.sh"
. scripts/stages.sh
if [ $# -gt 0 ]; then exec "$VENV/bin/pytest" "$@"; fi
stage "lint, types, contracts" make --no-print-directory --keep-going --output-sync=target check
stage "documentation" make --no-print-directory docs
beside "tests with many processes, real guests and namespaces" "$VENV/bin/pytest" -q --durations=20 -m '(guest or lab or cluster) and not ceph'
stage "tests, two at a time" "$VENV/bin/pytest" -q -n 2 --dist loadfile --durations=20 -m 'not guest and not lab and not cluster and not ceph'
for engine in postgresql mariadb; do
  stage "tests of what databases do, on $engine" scripts/test-databases.sh quick "$engine"
done
beside_ends
stages_end
say "all tests passed"
