# Stages of a long check, for scripts that begin with common.sh: one that fails does not keep the later ones from running.
#   stage NAME COMMAND…   runs it; what it prints is shown, and searched for pytest's names of failed tests
#   stages_end            prints how each stage ended, its time and the failed tests, and exits: 1 when one failed
STAGES=() FAILED=()
stage() {
  local name=$1 began=$SECONDS output ended
  shift
  say "$name"
  output=$(mktemp)
  "$@" 2>&1 | tee "$output" && ended=passed || ended="FAILED (${PIPESTATUS[0]})"
  STAGES+=("$(printf '%5ds  %-12s %s' $((SECONDS - began)) "$ended" "$name")")
  [ "$ended" = passed ] || FAILED+=("$name" "$(grep -aE '^(FAILED|ERROR) ' "$output" | cut -c1-300 || true)")
  rm -f "$output"
}
stages_end() {
  say "stages:"
  printf '%s\n' "${STAGES[@]}"
  [ ${#FAILED[@]} -gt 0 ] || return 0
  printf '\nfailed: %s\n%s\n' "${FAILED[@]}"
  exit 1
}
