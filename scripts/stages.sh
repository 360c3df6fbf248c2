# Stages of a long check, for scripts that begin with common.sh: one that fails does not keep the later ones from running.
#   stage NAME COMMAND…    runs it; what it prints is shown, and searched for pytest's names of failed tests
#   beside NAME COMMAND…   starts it beside the stages that follow (one at a time)
#   beside_ends            waits for it, and shows what it printed
#   stages_end             prints how each stage ended, its time and the failed tests, and exits: 1 when one failed
STAGES=() FAILED=() BESIDE=()
stage() {
  local name=$1 began=$SECONDS output ended
  shift
  say "$name"
  output=$(mktemp)
  "$@" 2>&1 | tee "$output" && ended=passed || ended="FAILED (${PIPESTATUS[0]})"
  stage_ended "$name" $((SECONDS - began)) "$ended" "$output"
}
stage_ended() {  # stage_ended NAME SECONDS HOW OUTPUT
  STAGES+=("$(printf '%5ds  %-12s %s' "$2" "$3" "$1")")
  [ "$3" = passed ] || FAILED+=("$1" "$(grep -aE '^(FAILED|ERROR) ' "$4" | cut -c1-300 || true)")
  rm -f "$4"
}
beside() {
  local output
  output=$(mktemp)
  say "$1, beside what follows"
  { "${@:2}" && echo passed || echo "FAILED ($?)"; } >"$output" 2>&1 </dev/null &
  BESIDE=("$1" "$SECONDS" "$output" $!)
  trap 'pkill -P "${BESIDE[3]}" || :' EXIT  # Ctrl-C is not sent to it
}
beside_ends() {
  local how
  say "waiting for: ${BESIDE[0]}"
  wait "${BESIDE[3]}" || true
  how=$(tail -n 1 "${BESIDE[2]}")
  cat "${BESIDE[2]}"
  stage_ended "${BESIDE[0]}" $((SECONDS - BESIDE[1])) "$how" "${BESIDE[2]}"
}
stages_end() {
  say "stages:"
  printf '%s\n' "${STAGES[@]}"
  [ ${#FAILED[@]} -gt 0 ] || return 0
  printf '\nfailed: %s\n%s\n' "${FAILED[@]}"
  exit 1
}
