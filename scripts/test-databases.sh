#!/bin/bash
# Tests that touch a database, on PostgreSQL and on MariaDB or on the one named: all of them, or with `quick` those that CI runs
# on both.
. "$(dirname "$0")/common.sh"
. scripts/stages.sh
ALL="tests/core/test_database.py tests/core/test_outbox.py tests/races tests/placement tests/cli/test_db.py tests/identity
  tests/image tests/network tests/compute_api tests/conductor tests/scheduler/test_manager.py"
QUICK="tests/core/test_database.py tests/core/test_outbox.py tests/races tests/placement tests/cli/test_db.py"
# these start servers of their own, of both kinds, and run with the rest
ELSEWHERE="--ignore=tests/races/test_database_away.py"
CHOSEN=$ALL
if [ "${1:-}" = quick ]; then CHOSEN=$QUICK; shift; fi
[ $# -gt 0 ] || set -- postgresql mariadb
for engine in "$@"; do
  # shellcheck disable=SC2086 - lists of words
  stage "databases on $engine" "$VENV/bin/pytest" -q -n 2 --dist loadfile --database "$engine" $ELSEWHERE $CHOSEN
done
stages_end
