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
install_packages() {  # install_packages WHAT NAME…: Debian packages that are not there yet; services are not started
  local missing=() package log
  for package in "${@:2}"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  [ "$(id -u)" = 0 ] || die "root is needed to install: apt-get install --no-install-recommends ${missing[*]}"
  say "installing ${#missing[@]} Debian packages of $1"
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  log=$(mktemp)
  { apt-get -q update && apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null \
    || { tail -20 "$log" >&2; die "apt-get could not install ${missing[*]} (all it said: $log)"; }
  rm -f "$log"
  say "$1 installed"
}
