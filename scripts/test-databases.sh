#!/bin/bash
# Tests that touch a database, on PostgreSQL and on MariaDB or on the one named: all of them, or with `quick` those that CI runs
# on both.
. "$(dirname "$0")/common.sh"
. scripts/stages.sh
ENGINE="tests/component/core/test_database.py tests/component/core/test_outbox.py tests/component/cli/test_db.py"
QUICK="$ENGINE tests/service/races tests/service/placement"
ALL="$ENGINE tests/service tests/component/conductor tests/component/scheduler"
CHOSEN=$ALL
if [ "${1:-}" = quick ]; then CHOSEN=$QUICK; shift; fi
[ $# -gt 0 ] || set -- postgresql mariadb
for engine in "$@"; do
  # shellcheck disable=SC2086 - lists of words
  stage "databases on $engine" "$VENV/bin/pytest" -q -n 2 --dist loadfile --database "$engine" $CHOSEN
done
stages_end
