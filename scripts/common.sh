# Shared by the scripts: progress lines, where things are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export STATE=${KILONOVA_STATE:-/var/lib/kilonova}
export VENV=${VENV:-.venv}
export CLIENT=${KILONOVA_CLIENT:-.venv-client}
export PYTHONWARNINGS=ignore
kilonova() { "$VENV/bin/kilonova" "$@"; }
openstack() { OS_CLIENT_CONFIG_FILE=${CLOUDS:-$HOME/.config/openstack/clouds.yaml} OS_CLOUD=${OS_CLOUD:-kilonova-admin} "$CLIENT/bin/openstack" "$@"; }
BEGAN=$(date +%s%N)
say() {  # say TEXT: one line of progress with the seconds since the script began
  local ms=$(( ($(date +%s%N) - BEGAN) / 1000000 ))
  printf '\033[36m%6d.%01ds\033[0m  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*"
}
die() { printf '\033[31mfailed:\033[0m %s\n' "$*" >&2; exit 1; }
