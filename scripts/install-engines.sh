#!/bin/bash
# Debian packages of the engines that many hosts share: for the tests, `make cluster` and `make grid`. Their services are
# not started: tests start their own, with folders of their own.
. "$(dirname "$0")/common.sh"
packages=(rabbitmq-server postgresql mariadb-server memcached haproxy)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit 0
[ "$(id -u)" = 0 ] || die "root is needed to install: apt-get install --no-install-recommends ${missing[*]}"
say "installing ${#missing[@]} Debian packages of engines"
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
log=$(mktemp)
{ apt-get -q update && apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null \
  || { tail -20 "$log" >&2; die "apt-get could not install ${missing[*]} (all it said: $log)"; }
rm -f "$log"
say "engines installed"
