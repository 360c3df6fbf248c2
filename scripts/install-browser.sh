#!/bin/bash
# Debian's Chromium, with which tests look at the pages. Does nothing when it is there.
. "$(dirname "$0")/common.sh"
command -v chromium >/dev/null && exit 0
[ "$(id -u)" = 0 ] || { say "no Chromium: tests of pages are skipped (root installs it: apt-get install chromium)"; exit 0; }
say "installing Chromium"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
{ apt-get -q update && apt-get -q install -y --no-install-recommends chromium; } >"$log" 2>&1 </dev/null \
  || { tail -20 "$log" >&2; die "apt-get could not install chromium (all it said: $log)"; }
rm -f "$log"
say "Chromium installed"
